"""Collects the licence notices of all works in the module from their own licence files."""

import re
import zipfile
from pathlib import Path

from inputs import Inputs, Source
from libraries import LIBRARIES, Library
from sources import Tree
from toolchain import Toolchain

_INTRODUCTION = """\
The Python image contains the following works. Each section gives a work's licence
as the work itself states it.
"""
_RULE = "=" * 80


def _first_comment(path: Path) -> str:
    """Returns the comment at the top of a C file: its licence."""
    comment = re.match(r"\s*/\*(.*?)\*/", path.read_text(encoding="utf-8"), re.DOTALL)
    if comment is None:
        raise ValueError(f"{path} does not begin with a licence")
    return re.sub(r"(?m)^ \*? ?", "", comment[1]).strip()


def wheel_licence(wheel: Path) -> str:
    """Returns the licences in a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        names = sorted(
            name for name in archive.namelist() if "/licenses/" in name or "LICENSE" in name
        )
        if not names:
            raise ValueError(f"{wheel} has no licence files")
        return "\n\n".join(archive.read(name).decode() for name in names)


def _level(source: Source) -> str:
    """Returns which corrections of Debian a source has, for `serpentarium --version --verbose`."""
    changes = source.debian
    return f" with Debian's patches of {source.version}-{changes.revision}" if changes else ""


def _library(source: Source, library: Library, tree: Tree) -> tuple[str, str]:
    text = (tree.library(library.source) / library.licence).read_text(encoding="utf-8")
    return f"{source.name} {source.version.rpartition('really')[2]}{_level(source)}", text


def write(
    inputs: Inputs, tree: Tree, toolchain: Toolchain, wheels: dict[str, Path], target: Path
) -> None:
    """Writes all notices into `target`. `wheels` maps names of Python packages to archives."""
    source, python = tree.source, inputs.source("python")
    sections = {
        f"CPython {python.version}{_level(python)}": (source / "LICENSE").read_text("utf-8"),
        "Works incorporated in CPython": (source / "Doc/license.rst").read_text(encoding="utf-8"),
        "Expat": (source / "Modules/expat/COPYING").read_text(encoding="utf-8"),
        "libmpdec": _first_comment(source / "Modules/_decimal/libmpdec/mpdecimal.c"),
        "HACL*": _first_comment(source / "Modules/_hacl/Hacl_Hash_SHA2.c"),
        **dict(_library(inputs.source(one.source), one, tree) for one in LIBRARIES),
        **{
            f"{wheel.name} {wheel.version}": wheel_licence(wheels[wheel.name])
            for wheel in inputs.wheels
        },
    }
    for package in inputs.packages:
        if package.notice:
            title = f"{package.notice} {package.version}"
            sections[title] = toolchain.licence(package.name).read_text(encoding="utf-8")
    target.write_text(_INTRODUCTION + "\n" + joined(sections), encoding="utf-8")


def joined(sections: dict[str, str]) -> str:
    """Returns the notices of works: their titles and licences."""
    parts = [f"{_RULE}\n{title}\n{_RULE}\n\n{text.strip()}\n" for title, text in sections.items()]
    return "\n".join(parts)
