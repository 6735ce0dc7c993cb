"""The last step: the linked module, the guest package and the packages that join it become native code, through the tool
in wasm/compiler."""

import os
import zipfile
from pathlib import Path

import tool
from inputs import Fetcher, load
from report import run, step
from store import Store, hash_of, place

IMAGE = "python.cwasm"


def ensure_native(store: Store, wasm: Path, module: Path) -> Path:
    """The directory with the native image of a linked module, built if need be."""
    joining = [wheel for wheel in load(wasm / "recipe" / "inputs.toml").wheels if wheel.joins]
    package = wasm / "guest" / "_serpentarium"
    guest = sorted(package.rglob("*.py"))
    training = sorted(path for path in (wasm / "train").rglob("*") if path.suffix in (".py", ".json"))
    places = [path.relative_to(wasm).as_posix() for path in (*guest, *training)]
    sources = [Path(__file__), *tool.inputs(wasm), *guest, *training]
    key = hash_of(module.parent.name, os.uname().machine, joining, places, *sources)
    if (store.product("native", key) / ".complete").exists():
        return store.product("native", key)

    def build(directory: Path) -> None:
        with step("Building the snapshot tool"):
            tool.build(store, wasm, directory)
        packages = directory / "packages"
        for wheel in joining:
            with zipfile.ZipFile(Fetcher(store).wheel(wheel)) as archive:
                archive.extractall(packages, [name for name in archive.namelist() if name.startswith(f"{wheel.name}/")])
        with step("Snapshot of the started interpreter, training, and native code"):
            log = store.log("native")
            advice = "where the log shows a Python traceback, mend wasm/guest, or the task in wasm/train that it names"
            command = [directory / tool.NAME, module, package, packages, wasm / "train", directory / "python.tmp"]
            run(command, log=log, advice=advice)
            place(directory / "python.tmp", directory / IMAGE)
            (directory / "python.tmp").unlink()
            (directory / tool.NAME).unlink()

    return store.stage("native", key, build)
