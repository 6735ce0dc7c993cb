"""Says what a release was made of: a bill of materials, and how it was made.

The formats: https://cyclonedx.org/docs/1.5/json and https://slsa.dev/spec/v1.0/provenance
"""

import hashlib
import json
import subprocess
import tomllib
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from releasing.project import Build, Project, as_json
from releasing.recipe import ROOT, BuildError, load

BUILD_TYPE = "scripts/release"


def of_materials(project: Project, build: Build) -> bytes:
    """The CycloneDX bill of an executable: crates, and the works in the Python image."""
    crates = _crates(build.target.triple)
    name, licence = ("glibc", "LGPL-2.1-or-later")
    if build.target.is_windows:
        name, licence = ("mingw-w64", "ZPL-2.1")
    libc = _component("generic", name, build.libc, licence, {})
    components = [*_works(), libc, *crates]
    reference = f"{project.name}@{project.version}"
    serial = uuid.uuid5(uuid.NAMESPACE_OID, f"{project.commit} {build.target.triple}")
    content = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": serial.urn,
        "version": 1,
        "metadata": {
            "timestamp": _moment(project.time),
            "component": {
                "type": "application",
                "bom-ref": reference,
                "name": project.name,
                "version": project.version,
                "licenses": [{"expression": project.licence}],
                "hashes": [_hash(hashlib.sha256(build.executable.read_bytes()).hexdigest())],
            },
        },
        "components": components,
        "dependencies": [
            {"ref": reference, "dependsOn": [component["bom-ref"] for component in components]}
        ],
    }
    return as_json(content)


def of_origin(project: Project, builds: Sequence[Build], artefacts: Mapping[str, bytes]) -> bytes:
    """The provenance of the artefacts: commit, lock files, compiler."""
    locks = ("Cargo.lock", "wasm/compiler/Cargo.lock", "wasm/recipe/inputs.toml")
    dependencies = [{"name": "commit", "digest": {"gitCommit": project.commit}}]
    dependencies += [
        {"name": path, "digest": {"sha256": hashlib.sha256((ROOT / path).read_bytes()).hexdigest()}}
        for path in locks
    ]
    content = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [
            {"name": name, "digest": {"sha256": hashlib.sha256(data).hexdigest()}}
            for name, data in sorted(artefacts.items())
        ],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {"targets": [build.target.triple for build in builds]},
                "internalParameters": {"rustc": _output("rustc", "--version")},
                "resolvedDependencies": dependencies,
            },
            "runDetails": {"builder": {"id": BUILD_TYPE}},
        },
    }
    return as_json(content)


def _crates(triple: str) -> list[dict[str, Any]]:
    """The crates that the executable is linked with."""
    words = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", triple]
    metadata = json.loads(_output(*words))
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text(encoding="utf-8"))["package"]
    sums = {(entry["name"], entry["version"]): entry.get("checksum") for entry in lock}
    root = metadata["resolve"]["root"]
    found, open_ = {root}, [root]
    while open_:
        for dependency in nodes[open_.pop()]["deps"]:
            is_linked = any(kind["kind"] is None for kind in dependency["dep_kinds"])
            if is_linked and dependency["pkg"] not in found:
                found.add(dependency["pkg"])
                open_.append(dependency["pkg"])
    linked = (packages[one] for one in found - {root})
    return [
        _component("cargo", crate["name"], crate["version"], crate["license"], sums)
        for crate in sorted(linked, key=lambda crate: (crate["name"], crate["version"]))
    ]


def _component(
    kind: str,
    name: str,
    version: str,
    licence: str | None,
    sums: Mapping[tuple[str, str], str | None],
) -> dict[str, Any]:
    purl = f"pkg:{kind}/{name}@{version}"
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": purl,
        "name": name,
        "version": version,
        "purl": purl,
    }
    if licence:
        component["licenses"] = [{"expression": licence.replace("/", " OR ")}]
    if digest := sums.get((name, version)):
        component["hashes"] = [_hash(digest)]
    return component


def _works() -> list[dict[str, Any]]:
    """The works in the Python image, with the pins of its recipe."""
    inputs = load(ROOT / "wasm" / "recipe" / "inputs.toml")
    sources = [(one.name, one.version, one.sha256) for one in inputs.sources]
    wheels = [(one.name, one.version, one.sha256) for one in inputs.wheels]
    works = []
    for kind, pins in (("generic", sources), ("pypi", wheels)):
        for name, version, digest in pins:
            works.append(_component(kind, name, version, None, {(name, version): digest}))
    return works


def _hash(digest: str) -> dict[str, str]:
    return {"alg": "SHA-256", "content": digest}


def _moment(time: int) -> str:
    return datetime.fromtimestamp(time, UTC).isoformat().replace("+00:00", "Z")


def _output(*command: str) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BuildError(f"  {' '.join(command[:2])} failed\n{done.stderr.strip()}")
    return done.stdout.strip()
