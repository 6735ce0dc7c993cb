"""Builds extension modules that are a few files of C, without the build of their package.

`data.toml` names the files, because setuptools cannot compile for another machine.
"""

import json
import shutil
import tarfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

from data_image import driver, pure
from data_image.extensions import Built, Tools
from data_image.pins import Sdist
from inputs import Fetcher
from report import run
from sources import Tree
from store import Store, hash_of, verify


@dataclass(frozen=True)
class Plain:
    """A package. `modules` are the C files of each extension module."""

    sdist: Sdist
    modules: dict[str, list[str]]


def load(path: Path) -> list[Plain]:
    """Reads the packages in `data.toml`."""
    entries = tomllib.loads(path.read_text(encoding="utf-8")).get("plain", [])
    return [
        Plain(
            Sdist(
                one["name"], one["version"], one["sha256"], licences=tuple(one.get("licences", ()))
            ),
            one["modules"],
        )
        for one in entries
    ]


def build(store: Store, plain: Plain, tree: Tree, tools: Tools, key: str) -> Built:
    """Returns a package's modules. `key` is that of the tools."""
    shaping = [Path(__file__), Path(driver.__file__)]
    key = hash_of(key, plain, tree.root.parent.name, *shaping)

    def make(directory: Path) -> None:
        built, sdist, log = Built(directory), plain.sdist, store.log(plain.sdist.name)
        with tarfile.open(_fetch(store, sdist)) as archive:
            archive.extractall(directory / "unpacked", filter="data")
        source = directory / "source"
        (directory / "unpacked" / f"{sdist.name}-{sdist.version}").rename(source)
        unwanted = shutil.ignore_patterns("tests")
        shutil.copytree(source / sdist.name, built.packages / sdist.name, ignore=unwanted)
        flags = ["-O3", "-DNDEBUG", "-Wno-everything", f"-I{tree.source}/Include"]
        flags += [f"-I{tree.build}", f"-ffile-prefix-map={directory}=/{sdist.name}"]
        modules = []
        for name, files in plain.modules.items():
            place = Path("objects", name.replace(".", "/"))
            (directory / place).parent.mkdir(parents=True, exist_ok=True)
            objects = [f"{place}-{number}.o" for number in range(len(files))]
            for file, compiled in zip(files, objects, strict=True):
                command = [tools.tool("cc"), *flags, "-c", source / file, "-o", compiled]
                run(command, log=log, cwd=directory)
            joined = f"{place}.so"
            run([tools.tool("cc"), "-shared", *objects, "-o", joined], log=log, cwd=directory)
            modules.append((name, driver.start_of(joined), joined))
        (directory / "modules.json").write_text(json.dumps(modules), encoding="utf-8")
        texts = [(source / name).read_text(encoding="utf-8") for name in sdist.licences]
        built.licences.write_text("\n\n".join(texts), encoding="utf-8")

    return Built(store.stage(f"data-{plain.sdist.name}", key, make))


def _fetch(store: Store, sdist: Sdist) -> Path:
    """Fetches the source archive of a package."""
    folder = store.downloads / f"{sdist.name}-{sdist.version}-source"
    if not list(folder.glob("*.tar.gz")):
        pure.pip(store, Fetcher(store), "download", sdist, folder, ["--dest", folder])
    archive = next(iter(folder.glob("*.tar.gz")))
    verify(archive, sdist.sha256, f"the source of {sdist.name} {sdist.version}")
    return archive
