"""Unpacks source archives, with Debian's corrections, and lays the trees of a build out.

The layout is fixed: sources in `python/py`, build in `python/wasi`. The profile identifies a static
function by its relative source path (`../py/Objects/…`), so another layout would lose the profile.
"""

import os
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from inputs import Changes, Fetcher, Source
from report import BuildError, run
from toolchain import Toolchain

# Seconds since the epoch, near CPython 3.13.5's release. `__DATE__` (in sys.version) takes it
# instead of the build's date. See https://reproducible-builds.org/specs/source-date-epoch/
SOURCE_DATE_EPOCH = "1749600000"

# Whether a file of an archive is unpacked, by its path without the archive's top directory.
Wanted = Callable[[str], bool]


@dataclass(frozen=True)
class Tree:
    """A directory with CPython's sources, CPython's build, and the libraries."""

    root: Path

    @property
    def source(self) -> Path:
        """CPython's sources."""
        return self.root / "py"

    @property
    def build(self) -> Path:
        """CPython's build directory."""
        return self.root / "wasi"

    def library(self, name: str) -> Path:
        """The directory of a library, by the name of its source."""
        return self.root / name


def without_tests(path: str) -> bool:
    """Whether a file of CPython is not one of its tests, which are half of all files."""
    return not path.startswith("Lib/test/")


def environment(toolchain: Toolchain) -> dict[str, str]:
    """The environment of configure and make, without variables that could change the build."""
    keep = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    return keep | {
        "LC_ALL": "C",
        "SOURCE_DATE_EPOCH": SOURCE_DATE_EPOCH,
        "AR": str(toolchain.tool("llvm-ar")),
        "RANLIB": str(toolchain.tool("llvm-ranlib")),
        "READELF": str(toolchain.tool("llvm-readelf")),
        "PKG_CONFIG": "/bin/false",
    }


def unpack(
    source: Source, into: Path, wanted: Wanted, fetcher: Fetcher, toolchain: Toolchain, log: Path
) -> None:
    """Unpacks the wanted files of a source, and applies Debian's patches to them."""
    archive = fetcher.source(source)
    with tarfile.open(archive) as tar:
        tops = {name.split("/")[0] for name in tar.getnames()}
        if len(tops) != 1:
            raise BuildError(f"  {archive.name} has {len(tops)} top directories, not one")
        top = tops.pop()
        members = [one for one in tar.getmembers() if wanted(one.name.removeprefix(f"{top}/"))]
        tar.extractall(into.parent / f".{into.name}", members)
    (into.parent / f".{into.name}" / top).rename(into)
    (into.parent / f".{into.name}").rmdir()
    if source.debian is not None:
        for name, text in patches(fetcher.changes(source, source.debian), source.debian):
            patch = into / ".patch"
            patch.write_text(_of_wanted(text, wanted), encoding="utf-8")
            apply(patch, into, toolchain, log, f"correct the patterns of {source.name}: {name}")
            patch.unlink()


def apply(patch: Path, tree: Path, toolchain: Toolchain, log: Path, advice: str) -> None:
    """Applies a patch to a tree. Each line must fit: fuzz could put code in a wrong place."""
    command = [toolchain.tool("patch"), "-p1", "--forward", "--fuzz=0", "-i", patch]
    run(command, log=log, cwd=tree, advice=advice)


def patches(archive: Path, changes: Changes) -> list[tuple[str, str]]:
    """Returns the patches that a pin chooses from Debian's changes, in order: name and text."""
    with tarfile.open(archive) as tar:

        def text(name: str) -> str:
            file = tar.extractfile(f"debian/patches/{name}")
            if file is None:
                raise BuildError(f"  {archive.name} has no debian/patches/{name}")
            return file.read().decode()

        lines = [line.split() for line in text("series").splitlines()]
        names = [words[0] for words in lines if words and not words[0].startswith("#")]
        chosen = [n for n in names if any(fnmatch(n, pattern) for pattern in changes.patches)]
        return [(name, text(name)) for name in chosen]


def _of_wanted(patch: str, wanted: Wanted) -> str:
    """Returns the parts of a patch that concern wanted files: the others are not unpacked."""
    lines = patch.splitlines(keepends=True)
    kept, is_kept = [], True
    for before, line, after in zip(lines, [*lines[1:], ""], [*lines[2:], "", ""], strict=True):
        if before.startswith("diff --git "):
            is_kept = wanted(before.split()[-1].partition("/")[2])
        elif before.startswith("--- ") and line.startswith("+++ ") and after.startswith("@@ "):
            changed = before if line.startswith("+++ /dev/null") else line
            is_kept = wanted(changed.split()[1].partition("/")[2])
        if is_kept:
            kept.append(before)
    return "".join(kept)
