"""The last step: the linked module, the guest package and the packages that join it become native code, through the tool
in wasm/compiler."""

import os
import shutil
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from inputs import Fetcher, load
from report import BuildError, run, step
from store import Store, hash_of, place

IMAGE = "python.cwasm"
# Settings of a cargo that runs this build would otherwise reach the cargo that is run here.
FOREIGN_PREFIXES = ("CARGO", "RUSTC", "RUSTFLAGS", "RUSTDOC")


def ensure_native(store: Store, wasm: Path, module: Path) -> Path:
    """The directory with the native image of a linked module, built if need be."""
    compiler = wasm / "compiler"
    sources = [
        *sorted(path for path in (compiler / "src").glob("*.rs") if path.name != "tests.rs"),
        compiler / "Cargo.toml",
        compiler / "Cargo.lock",
        wasm.parent / "src" / "sandbox" / "codegen.rs",
    ]
    joining = [wheel for wheel in load(wasm / "recipe" / "inputs.toml").wheels if wheel.joins]
    guest = sorted((wasm / "guest").glob("*.py"))
    training = sorted(path for path in (wasm / "train").rglob("*") if path.suffix in (".py", ".json"))
    kinds = [path.relative_to(wasm).as_posix() for path in training]
    key = hash_of(module.parent.name, os.uname().machine, joining, *sources, *guest, kinds, *training)
    if (store.product("native", key) / ".complete").exists():
        return store.product("native", key)

    def build(directory: Path) -> None:
        with step("Building the snapshot tool"):
            tool = build_tool(store, compiler)
        packages = directory / "packages"
        for wheel in joining:
            with zipfile.ZipFile(Fetcher(store).wheel(wheel)) as archive:
                archive.extractall(packages, [name for name in archive.namelist() if name.startswith(f"{wheel.name}/")])
        with step("Snapshot of the started interpreter, training, and native code"):
            log = store.log("native")
            advice = "where the log shows a Python traceback, mend wasm/guest, or the task in wasm/train that it names"
            command = [tool, module, wasm / "guest", packages, wasm / "train", directory / "python.tmp"]
            run(command, log=log, advice=advice)
            place(directory / "python.tmp", directory / IMAGE)
            (directory / "python.tmp").unlink()

    return store.stage("native", key, build)


@contextmanager
def tool_built_beside(store: Store, wasm: Path) -> Iterator[None]:
    """Builds the snapshot tool while something else goes on that leaves a core to spare."""
    with ThreadPoolExecutor(max_workers=1) as beside:
        building = beside.submit(build_tool, store, wasm / "compiler")
        yield
        building.result()


def build_tool(store: Store, compiler: Path) -> Path:
    """The snapshot tool, built where it is not current."""
    cargo = os.environ.get("CARGO") or shutil.which("cargo")
    if cargo is None:
        raise BuildError("  cargo was not found\n  to do: install Rust, and have cargo on the PATH")
    target = store.root.parent / "compiler"
    kept = ("CARGO_HOME",)
    env = {name: value for name, value in os.environ.items() if name in kept or not name.startswith(FOREIGN_PREFIXES)}
    command = [cargo, "build", "--release", "--locked", "--manifest-path", compiler / "Cargo.toml", "--target-dir", target]
    log, advice = store.log("compiler"), "mend wasm/compiler"
    run(command, log=log, env=env, advice=advice, progress=lambda: "building the snapshot tool")
    return target / "release" / "serpentarium-image"
