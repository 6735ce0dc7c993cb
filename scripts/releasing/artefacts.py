"""Packs all artefacts of a release."""

import hashlib
from collections.abc import Callable, Sequence
from functools import partial

from releasing import bill, deb, npm, oci, wheel
from releasing.archives import Entry, directories, program, tar_xz, zipped
from releasing.project import Build, Project
from releasing.recipe import ROOT, step

SUMS = "SHA256SUMS"


def archive(project: Project, one: Build) -> bytes:
    """The archive with the executable and all that belongs to it."""
    name = f"{project.name}-{project.version}-{one.target.triple}"
    target = one.target
    files = {} if target.is_windows else {f"share/man/man1/{project.name}.1": one.manual.encode()}
    files |= {"NOTICES.txt": one.notices.encode(), "sbom.cdx.json": bill.of_materials(project, one)}
    files |= project.licences(one.target)
    files |= {"README.md": (ROOT / "README.md").read_bytes()}
    executable = one.executable.read_bytes()
    sums = {f"bin/{target.program}": executable} | files
    manual = ("share", "share/man", "share/man/man1") if not target.is_windows else ()
    entries = [
        *directories(name, f"{name}/bin", *(f"{name}/{path}" for path in manual)),
        program(f"{name}/bin/{target.program}", executable),
        *(Entry(f"{name}/{path}", text) for path, text in files.items()),
        Entry(f"{name}/{SUMS}", sums_of(sums)),
    ]
    return (zipped if target.is_windows else tar_xz)(entries, project.time)


def sums_of(files: dict[str, bytes]) -> bytes:
    """The sums of files, as sha256sum(1) reads them."""
    lines = [
        f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in sorted(files.items())
    ]
    return "".join(lines).encode()


class Names:
    """The file names of artefacts."""

    def __init__(self, project: Project) -> None:
        self._project = project
        base = f"{project.name}-{project.version}"
        self.chooser, self.image, self.origin = (
            f"{base}.tgz",
            f"{base}.oci.tar",
            f"{base}.intoto.json",
        )

    def archive(self, one: Build) -> str:
        """The name of an archive."""
        kind = "zip" if one.target.is_windows else "tar.xz"
        return f"{self._project.name}-{self._project.version}-{one.target.triple}.{kind}"

    def wheel(self, one: Build) -> str:
        """The name of a wheel."""
        return wheel.file_name(self._project, one)

    def deb(self, one: Build) -> str:
        """The name of a Debian package."""
        return deb.file_name(self._project, one)

    def npm(self, one: Build) -> str:
        """The name of a target's package for npm."""
        return f"{npm.platform_package(self._project, one.target)}-{self._project.version}.tgz"


def pack(project: Project, builds: Sequence[Build]) -> dict[str, bytes]:
    """All artefacts, by file name."""
    names, made = Names(project), dict[str, bytes]()

    def add(name: str, content: Callable[[], bytes]) -> None:
        with step(f"Packing {name}"):
            made[name] = content()

    for one in builds:
        add(names.archive(one), partial(archive, project, one))
        add(names.wheel(one), partial(wheel.pack, project, one))
        if one.target.debian:
            add(names.deb(one), partial(deb.pack, project, one))
        add(names.npm(one), partial(npm.pack_platform, project, one))
    add(names.chooser, partial(npm.pack_chooser, project, [one.target for one in builds]))
    if contained := [one for one in builds if one.target.container]:
        add(names.image, partial(oci.pack, project, contained))
    add(names.origin, partial(bill.of_origin, project, builds, dict(made)))
    made[SUMS] = sums_of(made)
    return made
