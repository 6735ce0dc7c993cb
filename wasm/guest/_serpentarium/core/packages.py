"""The packages of the image: files in the file system of a task, and frozen code.

A package looks as on every machine: its modules have files, it finds its data files beside them,
and `importlib.resources`, `importlib.metadata` and `pkgutil` work. Only the code is not read from
the files but frozen under their paths (wasm/frozen.c): it was compiled before the snapshot, and a
task that changes the files does not change it.
"""

import _imp
import importlib.machinery
import importlib.util
import sys
from collections.abc import Iterable, Sequence
from importlib.machinery import ModuleSpec
from types import CodeType, ModuleType

# Where the image has packages (wasm/compiler/src/guest.rs).
_SITE = "/usr/lib/python3.13/site-packages/"

# Names of all modules of packages, with the path of the file; for a package without a file
# (PEP 420), of the directory. Made before the snapshot.
PLACES: dict[str, str] = {}


class _Loader(importlib.machinery.SourceFileLoader):
    """Loads a module of a package. Data files are read from the file system."""

    def get_code(self, _fullname: str) -> CodeType:
        return _imp.get_frozen_object(self.path)


class _Finder:
    """Finds the modules of packages."""

    @staticmethod
    def find_spec(
        name: str, _path: Sequence[str] | None = None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        place = PLACES.get(name)
        if place is None:
            return None
        if not place.endswith(".py"):
            spec = ModuleSpec(name, None, is_package=True)
            spec.submodule_search_locations = [place]
            return spec
        return importlib.util.spec_from_file_location(name, place, loader=_Loader(name, place))


def places_of(paths: Iterable[str]) -> dict[str, str]:
    """Returns the names of modules, by the paths of their files."""
    places: dict[str, str] = {}
    directories: dict[str, str] = {}
    for path in paths:
        directory, _, file = path.removeprefix(_SITE).rpartition("/")
        package = directory.replace("/", ".")
        if file != "__init__.py":
            places[f"{package}.{file[:-3]}".lstrip(".")] = path
        elif package:
            places[package] = path
        while directory:
            directories[directory.replace("/", ".")] = _SITE + directory
            directory = directory.rpartition("/")[0]
    return directories | places


def install() -> None:
    """Lets the import system find the packages, after the standard library and before files."""
    paths = [name for name in vars(_imp)["_frozen_module_names"]() if name.startswith(_SITE)]
    PLACES.update(places_of(paths))
    if PLACES:
        sys.meta_path.insert(sys.meta_path.index(importlib.machinery.PathFinder), _Finder)
