"""Checks artefacts as those who get them use them: unpacked, installed, run, removed."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from releasing.project import FILES, Project
from releasing.recipe import BuildError

PROGRAM = "print('hello from', 6 * 7)"
EXPECTED = "hello from 42"
# Tenths of a point of `systemd-analyze security`: 0 is best, 100 worst.
EXPOSURE = 15
# Where an installed package leaves nothing of its own.
DPKG = "var/lib/dpkg"


def ran(command: Sequence[object], *, text: str = "", env: Mapping[str, str] | None = None) -> str:
    """Runs a program with `text` as its input, and returns what it prints; it must succeed."""
    words = [str(word) for word in command]
    done = subprocess.run(words, input=text, env=env, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BuildError(
            f"  {' '.join(words)} ended with {done.returncode}:\n{done.stderr}{done.stdout}"
        )
    return done.stdout


def says_hello(command: Sequence[object]) -> None:
    """Checks that a command runs Python, with nothing in its environment but a PATH."""
    env = {"PATH": os.environ.get("PATH", os.defpath)}
    said = ran([*command, "exec", "-"], text=PROGRAM, env=env)
    if EXPECTED not in said:
        raise BuildError(f"  {command[0]} printed {said!r}, not {EXPECTED!r}")


def archive(path: Path, work: Path) -> Path:
    """Unpacks an archive, checks its sums, and returns the directory of its files."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as zipped:
            zipped.extractall(work)
    else:
        with tarfile.open(path) as tar:
            tar.extractall(work, filter="data")
    [directory] = work.iterdir()
    ran(["sh", "-c", 'cd "$0" && sha256sum --quiet --check SHA256SUMS', directory])
    return directory


def demo(executable: Path) -> None:
    """Runs the demonstration, in which hostile code must fail."""
    ran([executable, "demo"], env={})


def wheel(path: Path, work: Path) -> None:
    """Installs a wheel into a fresh environment, without network."""
    ran([sys.executable, "-m", "venv", work])
    install = [work / "bin/pip", "install", "--quiet", "--no-index", "--no-deps"]
    ran([*install, "--disable-pip-version-check", path])
    says_hello([work / "bin/serpentarium"])
    says_hello([work / "bin/python", "-m", "serpentarium"])


def npm(chooser: Path, packages: Sequence[Path], work: Path) -> bool:
    """Installs the packages without network. Returns whether this machine has npm."""
    if shutil.which("npm") is None:
        return False
    optional = ",".join(f'"{_npm_name(path)}": "file:{path.resolve()}"' for path in packages)
    manifest = f'{{"dependencies": {{"serpentarium": "file:{chooser.resolve()}"}}, '
    manifest += f'"optionalDependencies": {{{optional}}}}}'
    (work / "package.json").write_text(manifest, encoding="utf-8")
    quiet = ["--offline", "--no-audit", "--no-fund", "--ignore-scripts"]
    ran(["npm", "install", *quiet, "--cache", work / "cache", "--prefix", work])
    says_hello([work / "node_modules/.bin/serpentarium"])
    return True


def _npm_name(path: Path) -> str:
    return path.name.removesuffix(".tgz").rpartition("-")[0]


def deb(project: Project, path: Path, work: Path) -> bool:
    """Installs a package into an empty system and purges it. Returns whether there is a dpkg."""
    if shutil.which("dpkg") is None:
        return False
    for directory in (f"{DPKG}/info", f"{DPKG}/updates"):
        (work / directory).mkdir(parents=True)
    (work / DPKG / "status").touch()
    before = _files(work)
    dpkg = ["dpkg", f"--root={work}", "--log=/dev/null"]
    dpkg += ["--force-not-root", "--force-script-chrootless", "--force-bad-path"]
    ran([*dpkg, "--install", path])
    says_hello([work / "usr/bin" / project.name])
    ran([*dpkg, "--purge", project.name])
    if left := _files(work) - before:
        raise BuildError(f"  {path.name} leaves behind: {', '.join(map(str, sorted(left)))}")
    return True


def _files(root: Path) -> set[Path]:
    paths = (path.relative_to(root) for path in root.rglob("*"))
    return {path for path in paths if not str(path).startswith(DPKG)}


def service() -> bool:
    """Checks how much the service could do. Returns whether this machine has systemd's tools."""
    if shutil.which("systemd-analyze") is None:
        return False
    unit = FILES / "serpentarium.service"
    ran(["systemd-analyze", "security", "--offline=yes", f"--threshold={EXPOSURE}", unit])
    return True
