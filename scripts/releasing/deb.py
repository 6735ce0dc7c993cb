"""Packs the executable as a Debian package with a service of systemd (deb(5)).

The executable is static, so the package depends on nothing. The service's user is a dynamic one,
which leaves nothing behind: purging the package removes all of it.
"""

import gzip
import hashlib

from releasing.archives import Entry, ar, directories, program, tar_xz
from releasing.project import FILES, Build, Project

NAME = "serpentarium"
DOC = f"./usr/share/doc/{NAME}"
# Readable by root alone: it may hold the token of the broker.
SECRET = 0o640
MAINTAINER = "Serpentarium's authors <nobody@localhost>"
SCRIPTS = ("postinst", "prerm", "postrm")


def file_name(project: Project, build: Build) -> str:
    """The name of the package's file."""
    return f"{NAME}_{project.version}_{build.target.debian}.deb"


def pack(project: Project, build: Build) -> bytes:
    """The package."""
    data = _data(project, build)
    sums = "".join(
        f"{hashlib.md5(entry.content).hexdigest()}  {entry.path.removeprefix('./')}\n"
        for entry in data
        if entry.content is not None
    )
    control = [
        Entry("./", None, 0o755),
        Entry("./control", _control(project, build, data).encode()),
        Entry("./md5sums", sums.encode()),
        Entry("./conffiles", f"/etc/default/{NAME}\n".encode()),
        *(program(f"./{name}", (FILES / "debian" / name).read_bytes()) for name in SCRIPTS),
    ]
    members = [
        ("debian-binary", b"2.0\n"),
        ("control.tar.xz", tar_xz(control, project.time)),
        ("data.tar.xz", tar_xz(data, project.time)),
    ]
    return ar(members, project.time)


def _data(project: Project, build: Build) -> list[Entry]:
    places = ["./", "./etc/", "./etc/default/", "./usr/", "./usr/bin/", "./usr/lib/"]
    places += [
        "./usr/lib/systemd/",
        "./usr/lib/systemd/system/",
        "./usr/share/",
        "./usr/share/doc/",
    ]
    places += [f"{DOC}/", "./usr/share/man/", "./usr/share/man/man1/"]
    manual = gzip.compress(build.manual.encode(), compresslevel=9, mtime=0)
    licences = project.licences(build.target)
    licences["copyright"] = _copyright(project).encode()
    licences["NOTICES.txt"] = build.notices.encode()
    return [
        *directories(*places),
        Entry(f"./etc/default/{NAME}", (FILES / "debian" / "default").read_bytes(), SECRET),
        program(f"./usr/bin/{NAME}", build.executable.read_bytes()),
        Entry(f"./usr/lib/systemd/system/{NAME}.service", (FILES / f"{NAME}.service").read_bytes()),
        Entry(f"./usr/share/man/man1/{NAME}.1.gz", manual),
        *(Entry(f"{DOC}/{name}", text) for name, text in licences.items()),
    ]


def _control(project: Project, build: Build, data: list[Entry]) -> str:
    size = sum(len(entry.content or b"") for entry in data)
    fields = {
        "Package": NAME,
        "Version": project.version,
        "Architecture": build.target.debian,
        "Maintainer": MAINTAINER,
        "Installed-Size": str(-(-size // 1024)),
        "Section": "interpreters",
        "Priority": "optional",
        "Description": project.description,
    }
    if project.homepage:
        fields["Homepage"] = project.homepage
    return "".join(f"{name}: {text}\n" for name, text in fields.items())


def _copyright(project: Project) -> str:
    return (
        f"Serpentarium is under {project.licence}, at your choice (LICENSE-*).\n"
        "It contains works of others: NOTICES.md lists them, NOTICES.txt has their licences.\n"
    )
