"""Reads `inputs.toml`, and fetches and verifies the inputs that it pins."""

import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from debian import PrivateApt
from report import BuildError, run, say
from store import Store, file_sha256, verify

_CHANGES = ".debian.tar.xz"


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
class Changes:
    """Debian's changes to a source, and patterns for the patches that the build applies."""

    revision: str
    sha256: str
    patches: tuple[str, ...]


@dataclass(frozen=True)
class Source:
    """An upstream source archive, as Debian's source package carries it."""

    name: str
    suite: str
    version: str
    sha256: str
    debian: Changes | None = None

    def changes_file(self, revision: str) -> str:
        """The name the package manager gives the file of Debian's changes."""
        return f"{self.name}_{self.version.rpartition(':')[2]}-{revision}{_CHANGES}"

    def revision_of(self, changes_file: str) -> str:
        """The revision in such a name."""
        return changes_file.removesuffix(_CHANGES).rpartition("-")[2]


@dataclass(frozen=True)
class Helpers:
    """Debian packages that run during the build and do not shape the module."""

    group: str
    suite: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class Wheel:
    """A Python package. `joins`: it is part of the image; otherwise only the build reads it.

    `omits`: modules that are left out, as paths in the package.
    """

    name: str
    version: str
    sha256: str
    joins: bool = False
    omits: tuple[str, ...] = ()

    def has(self, path: str) -> bool:
        """Whether a file of the archive is a part of the image."""
        parts = [f"{self.name}/{omitted}" for omitted in self.omits]
        return path.startswith(f"{self.name}/") and not path.startswith(tuple(parts))


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


def _wheel(entry: dict[str, Any]) -> Wheel:
    return Wheel(**{**entry, "omits": tuple(entry.get("omits", ()))})


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


def _source(entry: dict[str, Any]) -> Source:
    changes = entry.pop("debian", None)
    if changes is not None:
        changes = Changes(changes["revision"], changes["sha256"], tuple(changes["patches"]))
    return Source(**entry, debian=changes)


def load(path: Path) -> Inputs:
    """Reads `inputs.toml`."""
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    machine = architecture()
    return Inputs(
        python_version=data["python"]["version"],
        packages=tuple(_package(entry, machine) for entry in data["package"]),
        sources=tuple(map(_source, data["source"])),
        wheels=tuple(_wheel(entry) for entry in data["wheel"]),
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
        folder = self._folder(source)
        if not _archives(folder):
            revisions, offered = self._revisions(source)
            if not revisions:
                raise BuildError(
                    _gone(f"the source of {source.name}", source.version, source.suite, offered)
                )
            self._apt.download_source(source.name, f"{source.version}-{revisions[-1]}", folder)
        archive = _archives(folder)[0]
        verify(archive, source.sha256, f"the source archive of {source.name} {source.version}")
        return archive

    def changes(self, source: Source, changes: Changes) -> Path:
        """Returns the archive of Debian's changes, which `settle` has fetched."""
        archive = self._folder(source) / source.changes_file(changes.revision)
        what = f"the archive of Debian's changes to {source.name} {source.version}"
        verify(archive, changes.sha256, f"{what}-{changes.revision}")
        return archive

    def settle(self, inputs: Inputs, locked: bool) -> Inputs:
        """Returns the inputs with the revisions of Debian's changes that could be had."""
        return replace(
            inputs, sources=tuple(self._settled(source, locked) for source in inputs.sources)
        )

    def _settled(self, source: Source, locked: bool) -> Source:
        """Fetches Debian's changes and returns the source with the revision that could be had.

        This is the pinned one if the store or the mirror has it. Otherwise it is one that the store
        has, or the newest of the mirror, whose signature stands in for the pin.
        """
        pinned = source.debian
        folder = self._folder(source)
        if pinned is None or (folder / source.changes_file(pinned.revision)).exists():
            return source
        others = sorted(folder.glob(source.changes_file("*")), key=lambda one: one.stat().st_mtime)
        if others and not locked:
            return _with_changes(source, pinned, others[-1])
        offered, all_offered = self._revisions(source)
        candidates = [one for one in reversed(offered) if one != pinned.revision and not locked]
        for revision in [pinned.revision] * (pinned.revision in offered) + candidates:
            try:
                version = f"{source.version}-{revision}"
                self._apt.download_source(source.name, version, folder, "diff")
            except BuildError:
                # The mirror's lists may be newer than its files.
                continue
            return _with_changes(source, pinned, folder / source.changes_file(revision))
        what, version = f"the source of {source.name}", f"{source.version}-{pinned.revision}"
        raise BuildError(_gone(what, version, source.suite, all_offered))

    def _folder(self, source: Source) -> Path:
        return self._store.downloads / f"{source.name}-{source.version.replace(':', '.')}"

    def _revisions(self, source: Source) -> tuple[list[str], list[str]]:
        """The mirror's revisions of a source's version, from the oldest, and all its versions."""
        offered = self._apt.source_versions(source.name)
        parts = [version.rpartition("-") for version in offered]
        fitting = [part[2] for part in parts if part[0] == source.version]
        return sorted(fitting, key=lambda one: [int(n) for n in re.findall("[0-9]+", one)]), offered

    def wheel(self, wheel: Wheel) -> Path:
        """Fetches the wheel of a Python package."""
        folder = self._store.downloads / f"{wheel.name}-{wheel.version}"
        if not list(folder.glob("*.whl")):
            options = [
                "--no-deps",
                "--only-binary=:all:",
                # Pure Python, also if there is a wheel for this machine.
                "--platform=any",
                "--implementation=py",
                "--abi=none",
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


def _with_changes(source: Source, pinned: Changes, archive: Path) -> Source:
    """Returns the source with the revision of an archive, and says so if it is not the pinned."""
    revision = source.revision_of(archive.name)
    if revision == pinned.revision:
        return source
    say(
        f"note: {source.name} with Debian's revision {revision} instead of {pinned.revision}, "
        "which the mirror no longer has: this is another image (--locked refuses it)"
    )
    found = replace(pinned, revision=revision, sha256=file_sha256(archive))
    return replace(source, debian=found)


def _archives(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.glob("*.orig.tar.*")) if path.suffix != ".asc"]


def _gone(name: str, version: str, suite: str, offered: list[str]) -> str:
    return (
        f"  the mirror does not offer {name} {version} (pinned, from {suite}), "
        f"only {', '.join(offered) or 'nothing'}\n"
        "  to do: check the successor, then put its version and sum into wasm/recipe/inputs.toml"
    )
