"""Compiles patched CPython into static libraries, with the profile."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from report import run
from sources import Tree, apply, environment
from store import Store, hash_of
from toolchain import Toolchain

# -DWITH_PYMALLOC_RADIX_TREE=0: pools of 4 KiB instead of 16 KiB. The small objects of a task then
# touch fewer pages, and each touched page is copied and reset (copy-on-write).
OPTIMISE = ("-DNDEBUG", "-O3", "-fwrapv", "-DWITH_PYMALLOC_RADIX_TREE=0", "-Wno-everything")
ARCHIVES = (
    "libpython3.13.a",
    "Modules/_hacl/libHacl_Hash_SHA2.a",
    "Modules/expat/libexpat.a",
    "Modules/_decimal/libmpdec/libmpdec.a",
)


@dataclass(frozen=True)
class Flavour:
    """Whether a build uses link-time optimisation."""

    lto: bool

    @property
    def name(self) -> str:
        """The flavour's name in progress messages."""
        return (
            "profile and link-time optimisation"
            if self.lto
            else "profile, no link-time optimisation"
        )

    def compile_flags(self, profile: Path) -> list[str]:
        """The flags of every C file, CPython's and the image's own."""
        flags = [f"-fprofile-instr-use={profile}"]
        if self.lto:
            # Value profiles enable indirect call promotion at link time.
            flags += ["-flto=full", "-mllvm", "-enable-value-profiling=true"]
        return flags


def patched(source: Path, patches: list[Path], toolchain: Toolchain, log: Path) -> None:
    """Applies patches to CPython's sources."""
    for patch in patches:
        apply(patch, source, toolchain, log, f"update {patch.name} for the pinned CPython")


def compile_library(
    store: Store,
    configured: Tree,
    key: str,
    toolchain: Toolchain,
    flavour: Flavour,
    wasm: Path,
    jobs: int,
) -> tuple[Tree, str]:
    """Returns the tree with the compiled static archives, and its key."""
    patches, profile = sorted((wasm / "patches").glob("*.patch")), wasm / "pgo.profdata"
    key = hash_of(key, *OPTIMISE, *flavour.compile_flags(Path()), *patches, profile)

    def build(directory: Path) -> None:
        tree = Tree(directory / "python")
        # copytree keeps modification times; otherwise make would configure again.
        shutil.copytree(configured.root, tree.root, symlinks=True)
        patched(tree.source, patches, toolchain, store.log("patch"))
        # A relative path keeps the compiler's command line equal on all machines.
        shutil.copyfile(profile, tree.root / "pgo.profdata")
        flags = " ".join((*OPTIMISE, *flavour.compile_flags(Path("../pgo.profdata"))))

        def progress() -> str:
            return f"{sum(1 for _ in tree.build.rglob('*.o'))} files compiled"

        command = [toolchain.tool("make"), "-s", f"-j{jobs}", f"OPT={flags}", *ARCHIVES]
        run(
            command,
            log=store.log("make"),
            cwd=tree.build,
            env=environment(toolchain),
            progress=progress,
        )

    return Tree(store.stage("compiled", key, build) / "python"), key
