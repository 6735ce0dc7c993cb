"""What all artefacts of a release have in common: names, versions, times and targets."""

import json
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from releasing.recipe import ROOT, BuildError

NAME = "serpentarium"
# A placeholder address in Cargo.toml, which no artefact repeats.
PLACEHOLDER = "example.invalid"
LICENCES = ("LICENSE-MIT", "LICENSE-APACHE", "NOTICES.md")
FILES = Path(__file__).resolve().parent / "files"


@dataclass(frozen=True)
class Target:
    """A kind of machine, by the names that others have for it."""

    triple: str
    # Tags of wheels. A static executable runs with every C library.
    wheel: tuple[str, ...]
    node_os: str
    node_cpu: str
    # Empty: there are no Debian packages and no containers for it.
    debian: str = ""
    container: str = ""

    @property
    def is_windows(self) -> bool:
        """Whether the executable is one of Windows."""
        return self.node_os == "win32"

    @property
    def program(self) -> str:
        """The file name of the executable."""
        return f"{NAME}.exe" if self.is_windows else NAME


TARGETS = {
    target.triple: target
    for target in (
        Target(
            "x86_64-unknown-linux-gnu",
            ("manylinux_2_17_x86_64", "musllinux_1_1_x86_64"),
            "linux",
            "x64",
            "amd64",
            "amd64",
        ),
        Target(
            "aarch64-unknown-linux-gnu",
            ("manylinux_2_17_aarch64", "musllinux_1_1_aarch64"),
            "linux",
            "arm64",
            "arm64",
            "arm64",
        ),
        Target("x86_64-pc-windows-gnu", ("win_amd64",), "win32", "x64"),
    )
}


@dataclass(frozen=True)
class Build:
    """An executable for a target, with its licence notices and its manual page.

    `libc` is the version of the C library in it: GNU's, or MinGW-w64's on Windows.
    """

    target: Target
    executable: Path
    notices: str
    manual: str
    libc: str


@dataclass(frozen=True)
class Project:
    """The project at a commit. `time` is the commit's, in seconds since 1970."""

    version: str
    description: str
    licence: str
    # Empty if Cargo.toml has a placeholder.
    homepage: str
    commit: str
    time: int

    @property
    def name(self) -> str:
        """The name of the executable and of all packages."""
        return NAME

    @classmethod
    def read(cls) -> "Project":
        """Reads Cargo.toml and the commit. Cargo.toml is the only place of the version."""
        package = tomllib.loads((ROOT / "Cargo.toml").read_text(encoding="utf-8"))["package"]
        homepage = package.get("homepage", "")
        return cls(
            version=package["version"],
            description=package["description"],
            licence=package["license"],
            homepage="" if PLACEHOLDER in homepage else homepage,
            commit=_git("rev-parse", "HEAD"),
            time=int(_git("show", "--no-patch", "--format=%ct", "HEAD")),
        )

    def licences(self, target: Target | None = None) -> dict[str, bytes]:
        """The texts of the project's licences, by file name. `target`: with its C library's."""
        own = {name: (ROOT / name).read_bytes() for name in LICENCES}
        if target is None or target.is_windows:
            return own
        return own | {"LICENSE-LGPL-2.1": (FILES / "LGPL-2.1").read_bytes()}


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BuildError(f"  git {words[0]} failed\n  to do: build from a clone of the repository")
    return done.stdout.strip()


def as_json(value: Any) -> bytes:
    """JSON as all artefacts have it: readable, and the same bytes for equal values."""
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()
