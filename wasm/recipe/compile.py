"""CPython as a static library: patched, and compiled with the profile."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from configure import Tree, environment
from report import run
from store import Store, hash_of
from toolchain import Toolchain

# -DWITH_PYMALLOC_RADIX_TREE=0: pools of 4 KiB instead of 16 KiB, so that small objects of a task share few pages.
OPTIMISE = ("-DNDEBUG", "-O3", "-fwrapv", "-DWITH_PYMALLOC_RADIX_TREE=0", "-Wno-everything")
ARCHIVES = (
    "libpython3.13.a",
    "Modules/_hacl/libHacl_Hash_SHA2.a",
    "Modules/expat/libexpat.a",
    "Modules/_decimal/libmpdec/libmpdec.a",
)


@dataclass(frozen=True)
class Flavour:
    """How much optimising a build does."""

    lto: bool

    @property
    def name(self) -> str:
        """How the flavour is called on the screen."""
        return "profile and link-time optimisation" if self.lto else "profile, no link-time optimisation"

    def compile_flags(self, profile: Path) -> list[str]:
        """The flags of every C file, CPython's and ours."""
        flags = [f"-fprofile-instr-use={profile}"]
        if self.lto:
            # Value profiles let the link-time optimiser turn frequent indirect calls into direct ones.
            flags += ["-flto=full", "-mllvm", "-enable-value-profiling=true"]
        return flags


def patched(source: Path, patches: list[Path], toolchain: Toolchain, log: Path) -> None:
    """Applies our patches to CPython's sources."""
    for patch in patches:
        command = [toolchain.tool("patch"), "-p1", "--forward", "--fuzz=0", "-i", patch]
        run(command, log=log, cwd=source, advice=f"bring {patch.name} up to date with the CPython that is pinned")


def compile_library(
    store: Store, configured: Tree, key: str, toolchain: Toolchain, flavour: Flavour, wasm: Path, jobs: int
) -> tuple[Tree, str]:
    """The static archives, compiled from patched sources with the profile."""
    patches, profile = sorted((wasm / "patches").glob("*.patch")), wasm / "pgo.profdata"
    key = hash_of(key, *OPTIMISE, *flavour.compile_flags(Path()), *patches, profile)

    def build(directory: Path) -> None:
        tree = Tree(directory / "python")
        # Dates are kept, or make would configure anew; the compiler's settings lie in the configured makefile.
        shutil.copytree(configured.root, tree.root, symlinks=True)
        patched(tree.source, patches, toolchain, store.log("patch"))
        # Relative, so that no path of this machine is part of the compiler's command line.
        shutil.copyfile(profile, tree.root / "pgo.profdata")
        flags = " ".join((*OPTIMISE, *flavour.compile_flags(Path("../pgo.profdata"))))

        def progress() -> str:
            return f"{sum(1 for _ in tree.build.rglob('*.o'))} files compiled"

        command = [toolchain.tool("make"), "-s", f"-j{jobs}", f"OPT={flags}", *ARCHIVES]
        run(command, log=store.log("make"), cwd=tree.build, env=environment(toolchain), progress=progress)

    return Tree(store.stage("compiled", key, build) / "python"), key
