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
    words = ["cargo", "bench", "--locked", "--quiet", "--bench", name, "--", "--json", *map(str, arguments)]
    return json.loads(output(words))


def output(command: list[str], given: str | None = None) -> str:
    """What a program prints; its progress goes on to standard error."""
    done = subprocess.run(command, cwd=ROOT, input=given, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise Broken(f"{' '.join(command[:6])} … ended with status {done.returncode}")
    return done.stdout
