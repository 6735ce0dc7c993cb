"""Reads `inputs.toml`, and fetches and verifies the inputs that it pins."""

import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from debian import PrivateApt
from report import BuildError, run
from store import Store, verify


@dataclass(frozen=True)
class Package:
    """A Debian package that shapes the module."""

    name: str
    suite: str
    version: str
    architecture: str
    sha256: str
    notice: str | None

    @property
    def file_name(self) -> str:
        """The name the package manager gives the file."""
        return f"{self.name}_{self.version.replace(':', '%3a')}_{self.architecture}.deb"


@dataclass(frozen=True)
class Source:
    """An upstream source archive, as Debian's source package carries it."""

    name: str
    suite: str
    version: str
    sha256: str


@dataclass(frozen=True)
class Helpers:
    """Debian packages that run during the build and do not shape the module."""

    group: str
    suite: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class Wheel:
    """A Python package. `joins`: the snapshot imports it; otherwise only the build reads it."""

    name: str
    version: str
    sha256: str
    joins: bool = False


@dataclass(frozen=True)
class Inputs:
    """The content of `inputs.toml` for this machine's architecture."""

    python_version: str
    packages: tuple[Package, ...]
    sources: tuple[Source, ...]
    wheels: tuple[Wheel, ...]
    helpers: tuple[Helpers, ...]

    def group(self, name: str) -> Helpers:
        """The helpers of a group; `StopIteration` if the group is missing."""
        return next(helpers for helpers in self.helpers if helpers.group == name)

    def source(self, name: str) -> Source:
        """The source archive whose name starts with `name`."""
        return next(source for source in self.sources if source.name.startswith(name))

    def wheel(self, name: str) -> Wheel:
        """The Python package with this name."""
        return next(wheel for wheel in self.wheels if wheel.name == name)


def architecture() -> str:
    """This machine's architecture by its Debian name, such as `amd64`."""
    try:
        return subprocess.run(
            ["dpkg", "--print-architecture"], capture_output=True, text=True, check=True
        ).stdout.strip()
    except FileNotFoundError as error:
        raise BuildError(
            "  not on this machine: dpkg\n  to do: build on Debian 12 or later"
        ) from error


def _package(entry: dict[str, Any], machine: str) -> Package:
    sums = entry["sha256"]
    arch = "all" if "all" in sums else machine
    if arch not in sums:
        raise BuildError(
            f"  inputs.toml has no {entry['name']} for {machine}, only for {', '.join(sums)}"
        )
    return Package(
        entry["name"], entry["suite"], entry["version"], arch, sums[arch], entry.get("notice")
    )


def load(path: Path) -> Inputs:
    """Reads `inputs.toml`."""
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    machine = architecture()
    return Inputs(
        python_version=data["python"]["version"],
        packages=tuple(_package(entry, machine) for entry in data["package"]),
        sources=tuple(Source(**entry) for entry in data["source"]),
        wheels=tuple(Wheel(**entry) for entry in data["wheel"]),
        helpers=tuple(Helpers(e["group"], e["suite"], tuple(e["names"])) for e in data["helpers"]),
    )


class Fetcher:
    """Downloads inputs into the store. Each file is verified against its pin on every use."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._log = store.log("fetch")
        self._apt = PrivateApt(store.root / "apt", self._log)

    def packages(self, packages: tuple[Package, ...]) -> list[Path]:
        """Fetches pinned Debian packages and returns their paths."""
        folder = self._store.downloads
        missing = [p for p in packages if not (folder / p.file_name).exists()]
        for package in missing:
            offered = self._apt.versions(package.name)
            if package.version not in offered:
                raise BuildError(_gone(package.name, package.version, package.suite, offered))
        if missing:
            self._apt.download([f"{p.name}={p.version}" for p in missing], folder)
        for package in packages:
            verify(
                folder / package.file_name,
                package.sha256,
                f"the package {package.name} {package.version}",
            )
        return [folder / package.file_name for package in packages]

    def helpers(self, helpers: Helpers, into: Path) -> list[Path]:
        """Fetches unpinned Debian packages, at the revision that the mirror offers."""
        self._apt.download([f"{name}/{helpers.suite}" for name in helpers.names], into)
        return sorted(into.glob("*.deb"))

    def source(self, source: Source) -> Path:
        """Fetches a source archive. Debian's revision is irrelevant: the archive is upstream's."""
        folder = self._store.downloads / f"{source.name}-{source.version.replace(':', '.')}"
        if not _archives(folder):
            offered = self._apt.source_versions(source.name)
            fitting = [
                version for version in offered if version.rpartition("-")[0] == source.version
            ]
            if not fitting:
                raise BuildError(
                    _gone(f"the source of {source.name}", source.version, source.suite, offered)
                )
            self._apt.download_source(source.name, fitting[-1], folder)
        archive = _archives(folder)[0]
        verify(archive, source.sha256, f"the source archive of {source.name} {source.version}")
        return archive

    def wheel(self, wheel: Wheel) -> Path:
        """Fetches the wheel of a Python package."""
        folder = self._store.downloads / f"{wheel.name}-{wheel.version}"
        if not list(folder.glob("*.whl")):
            options = [
                "--no-deps",
                "--only-binary=:all:",
                "--disable-pip-version-check",
                "--dest",
                folder,
            ]
            command = [
                sys.executable,
                "-m",
                "pip",
                "download",
                *options,
                f"{wheel.name}=={wheel.version}",
            ]
            advice = "check the network; if pip is missing, install python3-pip"
            run(command, log=self._log, advice=advice)
        archive = next(iter(folder.glob("*.whl")))
        verify(archive, wheel.sha256, f"the Python package {wheel.name} {wheel.version}")
        return archive


def _archives(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.glob("*.orig.tar.*")) if path.suffix != ".asc"]


def _gone(name: str, version: str, suite: str, offered: list[str]) -> str:
    return (
        f"  the mirror does not offer {name} {version} (pinned, from {suite}), "
        f"only {', '.join(offered) or 'nothing'}\n"
        "  to do: check the successor, then put its version and sum into wasm/recipe/inputs.toml"
    )
