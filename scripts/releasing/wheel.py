"""Packs the executable as a Python wheel: `pip install` puts it on the PATH.

The format: https://packaging.python.org/en/latest/specifications/binary-distribution-format/
"""

import base64
import hashlib

from releasing.archives import Entry, zipped
from releasing.project import FILES, Build, Project
from releasing.recipe import ROOT


def file_name(project: Project, build: Build) -> str:
    """The name, by which pip knows the machines that a wheel is for."""
    return f"{project.name}-{project.version}-py3-none-{'.'.join(build.target.wheel)}.whl"


def pack(project: Project, build: Build) -> bytes:
    """The wheel."""
    base = f"{project.name}-{project.version}"
    info, script = f"{base}.dist-info", f"{base}.data/scripts/{build.target.program}"
    files = {
        f"{project.name}/__init__.py": (FILES / "wheel" / "__init__.py").read_bytes(),
        f"{project.name}/__main__.py": (FILES / "wheel" / "__main__.py").read_bytes(),
        f"{project.name}/py.typed": b"",
        script: build.executable.read_bytes(),
        f"{info}/METADATA": _metadata(project, build).encode(),
        f"{info}/WHEEL": _wheel(build).encode(),
        f"{info}/licenses/NOTICES.txt": build.notices.encode(),
    }
    files |= {
        f"{info}/licenses/{name}": text for name, text in project.licences(build.target).items()
    }
    record = "".join(f"{path},{_digest(data)},{len(data)}\n" for path, data in files.items())
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    modes = {script: 0o755}
    entries = [Entry(path, data, modes.get(path, 0o644)) for path, data in files.items()]
    return zipped(entries, project.time)


def _metadata(project: Project, build: Build) -> str:
    lines = [
        "Metadata-Version: 2.4",
        f"Name: {project.name}",
        f"Version: {project.version}",
        f"Summary: {project.description}",
        f"License-Expression: {project.licence}",
        *(f"License-File: {name}" for name in (*project.licences(build.target), "NOTICES.txt")),
        "Requires-Python: >=3.8",
        "Description-Content-Type: text/markdown",
    ]
    if project.homepage:
        lines.append(f"Project-URL: Homepage, {project.homepage}")
    return "\n".join(lines) + "\n\n" + (ROOT / "README.md").read_text(encoding="utf-8")


def _wheel(build: Build) -> str:
    tags = "".join(f"Tag: py3-none-{tag}\n" for tag in build.target.wheel)
    return f"Wheel-Version: 1.0\nGenerator: scripts/release\nRoot-Is-Purelib: false\n{tags}"


def _digest(data: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=")
    return f"sha256={digest.decode()}"
