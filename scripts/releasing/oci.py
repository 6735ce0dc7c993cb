"""Packs executables as a container image, without a container tool: an OCI layout in a tar archive.

The format: https://github.com/opencontainers/image-spec. The image holds the static executable and
nothing that runs beside it. It runs in the place of n8n's image `n8nio/runners` for Python: the
same variables, user and health port.
"""

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from releasing.archives import Entry, directories, program, tar, tar_gz
from releasing.project import Build, Project

EXECUTABLE = "/usr/local/bin/serpentarium"
# The user and the health port of n8n's image.
USER = 65532
HOME = "/home/runner"
HEALTH_PORT = 5680
TYPE = "application/vnd.oci.image."
NO_LOGIN = "/sbin/nologin"
VARIABLES = {
    "PATH": "/usr/local/bin",
    "HOME": HOME,
    "N8N_RUNNERS_HEALTH_CHECK_SERVER_ENABLED": "true",
    "N8N_RUNNERS_HEALTH_CHECK_SERVER_HOST": "0.0.0.0",
    "N8N_RUNNERS_HEALTH_CHECK_SERVER_PORT": str(HEALTH_PORT),
}


class Blobs:
    """The content of an image, by its hash."""

    def __init__(self) -> None:
        self.by_hash: dict[str, bytes] = {}

    def add(self, kind: str, content: bytes) -> dict[str, Any]:
        """Adds content, and returns its descriptor."""
        digest = hashlib.sha256(content).hexdigest()
        self.by_hash[digest] = content
        return {"mediaType": TYPE + kind, "digest": f"sha256:{digest}", "size": len(content)}

    def add_json(self, kind: str, content: dict[str, Any]) -> dict[str, Any]:
        """Adds an object."""
        return self.add(kind, json.dumps(content, separators=(",", ":")).encode())


def pack(project: Project, builds: Sequence[Build]) -> bytes:
    """The image for the machines of these builds."""
    blobs = Blobs()
    manifests = [_manifest(project, build, blobs) for build in builds]
    index = {
        "schemaVersion": 2,
        "mediaType": f"{TYPE}index.v1+json",
        "manifests": manifests,
    }
    # One name for all machines: tools choose by platform.
    top = blobs.add_json("index.v1+json", index)
    top["annotations"] = {"org.opencontainers.image.ref.name": project.version}
    layout = {"schemaVersion": 2, "mediaType": f"{TYPE}index.v1+json", "manifests": [top]}
    entries = [
        Entry("oci-layout", b'{"imageLayoutVersion":"1.0.0"}'),
        Entry("index.json", json.dumps(layout).encode()),
        *directories("blobs", "blobs/sha256"),
        *(Entry(f"blobs/sha256/{digest}", data) for digest, data in blobs.by_hash.items()),
    ]
    return tar(entries, project.time)


def _manifest(project: Project, build: Build, blobs: Blobs) -> dict[str, Any]:
    files = _files(project, build)
    layer = blobs.add("layer.v1.tar+gzip", tar_gz(files, project.time))
    content = hashlib.sha256(tar(files, project.time)).hexdigest()
    created = datetime.fromtimestamp(project.time, UTC).isoformat().replace("+00:00", "Z")
    labels = {
        "org.opencontainers.image.title": project.name,
        "org.opencontainers.image.version": project.version,
        "org.opencontainers.image.revision": project.commit,
        "org.opencontainers.image.licenses": project.licence,
        "org.opencontainers.image.description": project.description,
    }
    platform = {"architecture": build.target.container, "os": "linux"}
    config = platform | {
        "created": created,
        "config": {
            "User": f"{USER}:{USER}",
            "WorkingDir": HOME,
            "Env": [f"{name}={value}" for name, value in VARIABLES.items()],
            "Entrypoint": [EXECUTABLE],
            "Cmd": ["runner"],
            "ExposedPorts": {f"{HEALTH_PORT}/tcp": {}},
            "Labels": labels,
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{content}"]},
        "history": [{"created": created, "created_by": "scripts/release"}],
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{TYPE}manifest.v1+json",
        "config": blobs.add_json("config.v1+json", config),
        "layers": [layer],
        "annotations": labels,
    }
    return blobs.add_json("manifest.v1+json", manifest) | {"platform": platform}


def _files(project: Project, build: Build) -> list[Entry]:
    users = f"root:x:0:0:root:/:{NO_LOGIN}\nrunner:x:{USER}:{USER}:runner:{HOME}:{NO_LOGIN}\n"
    licences = project.licences(build.target) | {"NOTICES.txt": build.notices.encode()}
    doc = f"usr/share/doc/{project.name}"
    return [
        *directories("etc", "home"),
        *directories(HOME.lstrip("/"), owner=USER),
        Entry("tmp", None, 0o1777),
        *directories("usr", "usr/local", "usr/local/bin", "usr/share", "usr/share/doc", doc),
        Entry("etc/passwd", users.encode()),
        Entry("etc/group", f"root:x:0:\nrunner:x:{USER}:\n".encode()),
        program(EXECUTABLE.lstrip("/"), build.executable.read_bytes()),
        *(Entry(f"{doc}/{name}", text) for name, text in licences.items()),
    ]
