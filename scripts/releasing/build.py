"""Builds static executables, which run on every Linux of their architecture."""

import os
import platform
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from releasing import manual
from releasing.project import TARGETS, Build, Project, Target
from releasing.recipe import ROOT, BuildError, Store, run, step
from releasing.root import LIBC, LIBRARY_SOURCES, PrivateRoot, toolchain

LINKERS = {
    "aarch64-unknown-linux-gnu": "aarch64-linux-gnu-gcc",
    "x86_64-pc-windows-gnu": "x86_64-w64-mingw32-gcc",
}
# The package with the C library of Windows executables.
MINGW = "mingw-w64-common"
WINE = "wine"
ADVICE = "read the log; scripts/setup-targets --again makes the private system again"


class Machine:
    """Runs executables of a target: this machine does, or an emulator in the private system."""

    def __init__(self, target: Target, store: Store) -> None:
        self.is_native = target.triple == f"{platform.machine()}-unknown-linux-gnu"
        self.target = target
        self.log = store.log("release")
        self.root = PrivateRoot(store)

    def libc(self) -> str:
        """The version of the C library that executables are linked with."""
        if self.is_native:
            return _version_of_libc(self._said(["ldd", "--version"]))
        package = MINGW if self.target.is_windows else LIBC
        query = ["dpkg-query", "--show", "--showformat", "${Version}", package]
        return self._said(self.root.command(query, binds=[], env={}))

    @classmethod
    def of_host(cls, store: Store) -> "Machine":
        """This machine."""
        return cls(TARGETS[f"{platform.machine()}-unknown-linux-gnu"], store)

    def output(
        self, program: Path, *words: str, reads: Path | None = None, failing: bool = False
    ) -> str:
        """Runs a program in an empty environment, and returns what it prints.

        It must succeed, or with `failing` end with status 1. `reads` is a directory that it reads.
        """
        command = [str(program), *words]
        if not self.is_native:
            binds = [program.parent, *([reads] if reads else [])]
            if self.target.is_windows:
                env = {"WINEDEBUG": "-all"}
                command = self.root.command([WINE, *command], binds=binds, env=env)
            else:
                command = self.root.command(command, binds=binds, env={}, emulated=True)
        return self._said(command, failing)

    @staticmethod
    def _said(command: Sequence[str], failing: bool = False) -> str:
        done = subprocess.run(command, env={}, capture_output=True, text=True, check=False)
        if done.returncode not in range(2 if failing else 1):
            raise BuildError(f"  {' '.join(command)} failed:\n{done.stderr.strip()}")
        return done.stdout


def _version_of_libc(said: str) -> str:
    """The version in the first line of `ldd --version`; Debian's revision, if it says one."""
    line = said.partition("\n")[0]
    revision = re.search(r"GLIBC ([^)]+)\)", line)
    return revision[1] if revision else line.split()[-1]


def build(project: Project, machine: Machine) -> Build:
    """Builds the executable for a machine."""
    triple = machine.target.triple
    image = _image_of(machine)
    with step(f"Building {project.name} for {triple}"):
        words = ["build", "--bin", project.name]
        if machine.is_native:
            # With --target, the flags do not reach build scripts.
            command = ["cargo", *words, "--release", "--locked", "--target", triple]
            env = os.environ | {"RUSTFLAGS": _flags(), "SERPENTARIUM_BUILD_IMAGE": str(image)}
            run(command, log=machine.log, cwd=ROOT, env=env)
            directory = _target_directory()
        else:
            command, directory = _in_root(machine, image, words)
            run(command, log=machine.log, env={}, advice=ADVICE)
    return described(project, directory / triple / "release" / machine.target.program, machine)


def _image_of(machine: Machine) -> Path:
    """Builds the Python image for a machine, and returns its path."""
    triple = machine.target.triple
    with step(f"Building the Python image for {triple}"):
        run([ROOT / "scripts/build-python", "--target", triple], log=machine.log)
    return ROOT / "wasm" / "build" / ("" if machine.is_native else triple) / "python.cwasm"


def described(project: Project, executable: Path, machine: Machine) -> Build:
    """Asks an executable for its licence notices and its help."""

    def ask(*words: str) -> str:
        return machine.output(executable, *words)

    name = machine.target.program
    if executable.name != name:
        raise BuildError(f"  {executable} must be named {name}: its manual says its name")
    version = ask("--version").split()[-1]
    if version != project.version:
        raise BuildError(
            f"  {executable} is version {version}, and Cargo.toml says {project.version}"
        )
    page = manual.page(project, ask)
    return Build(machine.target, executable, ask("notices"), page, machine.libc())


def _flags() -> str:
    """Flags for a static executable that does not name the directories of this machine."""
    places = {_cargo_home(): "/cargo", ROOT: "/serpentarium"}
    names = [f"--remap-path-prefix={place}={name}" for place, name in places.items()]
    return " ".join(["-C target-feature=+crt-static", *names])


def _cargo_home() -> Path:
    return Path(os.environ.get("CARGO_HOME") or Path.home() / ".cargo")


def _target_directory() -> Path:
    return Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").resolve()


def _in_root(machine: Machine, image: Path, words: Sequence[str]) -> tuple[list[str], Path]:
    """The cargo command in the private system, for a ready image, and its target directory."""
    triple = machine.target.triple
    machine.root.ensure()
    # This machine has the network's settings, so it fetches.
    run(["cargo", "fetch", "--locked", "--target", triple], log=machine.log, cwd=ROOT)
    library = machine.root.directory / LIBRARY_SOURCES
    more = []
    if machine.target.is_windows:
        # Cargo takes this option of the stable compiler only with RUSTC_BOOTSTRAP.
        more = ["-Zbuild-std=std,panic_unwind"]
        env = os.environ | {"RUSTC_BOOTSTRAP": "1"}
        run(["cargo", "fetch", "--locked"], log=machine.log, cwd=library, env=env)
    # Its compiler is another one, whose products this machine's cargo would not reuse.
    directory = _target_directory() / "foreign"
    directory.mkdir(parents=True, exist_ok=True)
    variable = triple.replace("-", "_")
    env = {
        "CARGO_HOME": str(_cargo_home()),
        "CARGO_TARGET_DIR": str(directory),
        "RUSTC": "/usr/bin/rustc",
        "RUSTFLAGS": _flags(),
        f"CARGO_TARGET_{variable.upper()}_LINKER": LINKERS[triple],
        f"CC_{variable}": LINKERS[triple],
        "SERPENTARIUM_BUILD_IMAGE": str(image),
    }
    env |= {"RUSTC_BOOTSTRAP": "1"} if machine.target.is_windows else {}
    passed = ("CARGO_PROFILE_RELEASE_LTO", "CARGO_BUILD_JOBS", "CARGO_INCREMENTAL")
    env |= {name: os.environ[name] for name in passed if name in os.environ}
    command = [str(toolchain() / "bin" / "cargo"), words[0], "--release", "--locked", "--offline"]
    command += ["--manifest-path", str(ROOT / "Cargo.toml"), "--target", triple, *more, *words[1:]]
    binds = [ROOT, directory, _cargo_home(), toolchain()]
    return machine.root.command(command, binds=binds, env=env), directory
