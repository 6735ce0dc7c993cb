"""Runs the project's programs."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


class Broken(Exception):
    """A program failed. The text names it."""


def binary() -> Path:
    """The path of the release binary."""
    return ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "release" / "serpentarium"


def cargo_bench(name: str, *arguments: object) -> Any:
    """The JSON report of a benchmark in Rust."""
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


# Prefixes of variables that change the build.
BUILDS = (
    "SERPENTARIUM_BUILD_PYTHON",
    "SERPENTARIUM_CODEGEN",
    "SERPENTARIUM_BUILD_IMAGE",
    "CARGO_PROFILE_",
    "RUSTFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
)


def build_variables() -> dict[str, str]:
    """Set variables that make the build differ from the shipped one."""
    return {name: value for name, value in sorted(os.environ.items()) if name.startswith(BUILDS)}


def output(
    command: list[str], given: str | None = None, environment: dict[str, str] | None = None
) -> str:
    """The standard output of a program. `environment` replaces this process's environment."""
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
