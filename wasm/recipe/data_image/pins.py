"""Reads `data.toml`, and fetches source archives of Python packages."""

import os
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inputs import Helpers, Package, Wheel
from report import run
from store import Store, verify


@dataclass(frozen=True)
class Sdist:
    """A package with native code. `omits`: directories of modules that are left out."""

    name: str
    version: str
    sha256: str
    options: tuple[str, ...] = ()
    omits: tuple[str, ...] = ()
    licences: tuple[str, ...] = ()


@dataclass(frozen=True)
class Pins:
    """The content of `data.toml`."""

    packages: tuple[Package, ...]
    sdists: tuple[Sdist, ...]
    tools: tuple[Wheel, ...]
    helpers: Helpers
    wheels: tuple[Wheel, ...]


def _package(entry: dict[str, Any]) -> Package:
    sums = entry["sha256"]
    return Package(
        entry["name"], entry["suite"], entry["version"], "all", sums["all"], entry.get("notice")
    )


def _sdist(entry: dict[str, Any]) -> Sdist:
    lists = {key: tuple(value) for key, value in entry.items() if isinstance(value, list)}
    return Sdist(**{**entry, **lists})


def load(path: Path) -> Pins:
    """Reads `data.toml`."""
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    helpers = data["helpers"]
    return Pins(
        packages=tuple(map(_package, data["package"])),
        sdists=tuple(map(_sdist, data["sdist"])),
        tools=tuple(Wheel(**entry) for entry in data["tool"]),
        helpers=Helpers(helpers["group"], helpers["suite"], tuple(helpers["names"])),
        wheels=tuple(Wheel(**entry) for entry in data["wheel"]),
    )


# pip asks the package's build for its metadata before it keeps an archive. This answers instead of
# meson, which would look for a compiler of this machine.
_BACKEND = """\
import pathlib, re

def get_requires_for_build_wheel(config_settings=None):
    return []

def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    text = pathlib.Path("PKG-INFO").read_text(encoding="utf-8")
    name, version = (re.search(f"(?m)^{key}: (.*)$", text)[1] for key in ("Name", "Version"))
    directory = pathlib.Path(metadata_directory, f"{name}-{version}.dist-info")
    directory.mkdir()
    (directory / "METADATA").write_text(text, encoding="utf-8")
    return directory.name
"""


def fetch(store: Store, sdist: Sdist) -> Path:
    """Fetches the source archive of a package."""
    folder = store.downloads / f"{sdist.name}-{sdist.version}-source"
    if not list(folder.glob("*.tar.gz")):
        backend = folder / "backend"
        backend.mkdir(parents=True, exist_ok=True)
        (backend / "mesonpy.py").write_text(_BACKEND, encoding="utf-8")
        options = ["--no-deps", "--no-binary=:all:", "--no-build-isolation"]
        options += ["--ignore-requires-python", "--disable-pip-version-check"]
        command = [sys.executable, "-m", "pip", "download", *options, "--dest", folder]
        run(
            [*command, f"{sdist.name}=={sdist.version}"],
            log=store.log("fetch"),
            env=dict(os.environ, PYTHONPATH=str(backend)),
            advice="check the network; if pip is missing, install python3-pip",
        )
    archive = next(iter(folder.glob("*.tar.gz")))
    verify(archive, sdist.sha256, f"the source of {sdist.name} {sdist.version}")
    return archive
