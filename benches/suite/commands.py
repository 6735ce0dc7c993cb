"""The project's own programs, as the suite calls them."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


class Broken(Exception):
    """A program failed; the text says which."""


def binary() -> Path:
    """The release binary."""
    return ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "release" / "serpentarium"


def cargo_bench(name: str, *arguments: object) -> Any:
    """What one of the benchmarks in Rust reports."""
    words = [
        "cargo",
        "bench",
        "--locked",
        "--quiet",
        "--bench",
        name,
        "--",
        "--json",
        *map(str, arguments),
    ]
    return json.loads(output(words))


# What the project's programs are built with.
BUILDS = (
    "SERPENTARIUM_BUILD_PYTHON",
    "SERPENTARIUM_IMAGE",
    "CARGO_PROFILE_",
    "RUSTFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
)


def build_variables() -> dict[str, str]:
    """Those that make other programs than the ones that ship."""
    return {name: value for name, value in sorted(os.environ.items()) if name.startswith(BUILDS)}


def output(
    command: list[str], given: str | None = None, environment: dict[str, str] | None = None
) -> str:
    """What a program prints; its progress goes on to standard error. The environment is this one, where none is given."""
    done = subprocess.run(
        command,
        cwd=ROOT,
        input=given,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env=environment,
        check=False,
    )
    if done.returncode != 0:
        raise Broken(f"{' '.join(command[:6])} … ended with status {done.returncode}")
    return done.stdout
