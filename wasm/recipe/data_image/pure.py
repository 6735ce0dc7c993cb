"""Unpacks the packages of the data image, and adds the files of those with native code.

Wheels are unpacked as they are. A package whose native part is optional has no wheel of pure
Python: it is built from its source archive without a compiler, like `image build --allow-sdist`
does (src/cli/image/pip.rs).
"""

import os
import shutil
import sys
import tomllib
import zipfile
from dataclasses import dataclass
from pathlib import Path

import native
from data_image.extensions import Built
from data_image.pins import Sdist
from inputs import Fetcher, Wheel
from report import BuildError, run
from store import Store, hash_of

_PINS = Path(__file__).with_name("data.toml")
_TARGET = "packages"
_LICENCES = ("licence", "license", "copying", "notice")
# No compiler works, and PyYAML does not ask for one.
_WITHOUT_NATIVE = {
    "CC": "false",
    "CXX": "false",
    "LDSHARED": "false",
    "PYYAML_FORCE_LIBYAML": "0",
}
# Files beside the modules that a package reads when it runs.
_DATA = {"pandas": ("pandas/io/formats/templates/*.tpl",)}


@dataclass(frozen=True)
class Unpacked:
    """The packages in a directory of the store, each with its `dist-info`."""

    root: Path

    def metadata(self, name: str, version: str) -> Path:
        """The directory that tells of a package."""
        wanted = f"{_normal(name)}-{version}.dist-info"
        found = [path for path in self.root.iterdir() if _normal(path.name) == _normal(wanted)]
        if len(found) != 1:
            raise BuildError(f"  {name} {version} has no directory {wanted}")
        return found[0]

    def licence(self, name: str, version: str) -> str:
        """The licence that a package states, in one line."""
        return native.licence((self.metadata(name, version) / "METADATA").read_bytes())

    def licences(self, name: str, version: str) -> str:
        """The text of all licences of a package."""
        directory = self.metadata(name, version)
        files = [path for path in sorted(directory.rglob("*")) if path.is_file()]
        own = [path for path in files if path.name.lower().startswith(_LICENCES)]
        if not own:
            raise BuildError(f"  {name} {version} has no file of its licence")
        return "\n\n".join(path.read_text(encoding="utf-8") for path in own)


def _normal(name: str) -> str:
    return name.lower().replace("-", "_")


def sources() -> list[Wheel]:
    """The packages that are built from source."""
    data = tomllib.loads(_PINS.read_text(encoding="utf-8"))
    return [Wheel(**entry) for entry in data["source"]]


def _builder() -> Wheel:
    return Wheel(**tomllib.loads(_PINS.read_text(encoding="utf-8"))["builder"])


def unpack(
    store: Store, wheels: tuple[Wheel, ...], native_ones: list[tuple[Sdist, Built]]
) -> Unpacked:
    """Returns all packages. `native_ones` are those whose native code the module has."""
    fetcher = Fetcher(store)
    built = [(sdist.name, one.root.name) for sdist, one in native_ones]
    key = hash_of(wheels, sources(), _builder(), built, Path(__file__))

    def build(directory: Path) -> None:
        target, work = directory / _TARGET, directory / "build"
        for sdist, one in native_ones:
            shutil.copytree(one.packages, target, dirs_exist_ok=True)
            _add_files(one.root / "source", sdist, target)
        for wheel in wheels:
            _extract(fetcher.wheel(wheel), target)
        for source in sources():
            _extract(_built(store, fetcher, source, work), target)
        shutil.rmtree(work)

    return Unpacked(store.stage("data-packages", key, build) / _TARGET)


def _extract(wheel: Path, target: Path) -> None:
    """Unpacks a wheel, without tests and without what is for other places (`.data`)."""
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            top, *inner = name.split("/")
            if not top.endswith(".data") and not {"test", "tests"}.intersection((top, *inner)):
                archive.extract(name, target)


def _add_files(source: Path, sdist: Sdist, target: Path) -> None:
    """Adds a package's data files and its metadata, which its archive has as PKG-INFO."""
    for pattern in _DATA.get(sdist.name, ()):
        for path in sorted(source.glob(pattern)):
            place = target / path.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, place)
    info = target / f"{sdist.name}-{sdist.version}.dist-info"
    info.mkdir()
    shutil.copy(source / "PKG-INFO", info / "METADATA")


def _built(store: Store, fetcher: Fetcher, source: Wheel, work: Path) -> Path:
    """Builds a wheel from the source of a package, without its native part."""
    wheels = work / source.name
    pip(store, fetcher, "wheel", source, work, ["--wheel-dir", wheels])
    return next(iter(wheels.glob("*.whl")))


def pip(
    store: Store,
    fetcher: Fetcher,
    verb: str,
    source: Wheel | Sdist,
    work: Path,
    options: list[object],
) -> None:
    """Runs pip on the source archive of a package, with the pinned build tool."""
    tools, pinned = work / "tools", work / f"{source.name}.txt"
    if not tools.exists():
        _extract(fetcher.wheel(_builder()), tools)
    pinned.write_text(f"{source.name}=={source.version} --hash=sha256:{source.sha256}\n", "utf-8")
    words = ["--no-deps", "--no-binary=:all:", "--no-build-isolation", "--require-hashes"]
    words += ["--disable-pip-version-check", "--requirement", str(pinned)]
    run(
        [sys.executable, "-m", "pip", verb, *words, *options],
        log=store.log("fetch"),
        env=os.environ | _WITHOUT_NATIVE | {"PYTHONPATH": str(tools)},
        advice="check the network; if pip is missing, install python3-pip",
    )
