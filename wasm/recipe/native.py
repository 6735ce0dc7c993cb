"""The last steps: a snapshot of the started interpreter, its native code, and the proof of that.

The first two run the tool in wasm/compiler. The snapshot does not depend on the code generator, so
a change of the patches, or `SERPENTARIUM_CODEGEN=stock`, reuses it. The native code of the stock
generator is for comparison only and is not verified.
"""

import email
import json
import shutil
import tomllib
import zipfile
from pathlib import Path

import kit
import targets
import tool
import verification
from inputs import Fetcher, Wheel, load
from report import run, step
from store import Store, hash_of, place

SNAPSHOT = "snapshot.wasm"
IMAGE = "python.cwasm"
MANIFEST = "manifest.json"
NAME = "base"


def ensure_native(store: Store, wasm: Path, module: Path, target: str) -> Path:
    """Returns the directory with a linked module's image for a target, built and verified."""
    snapshot, key = ensure_snapshot(store, wasm, module)
    own = manifest(store, wasm)
    generator = "stock" if tool.is_stock() else "patched"
    key = hash_of(key, generator, target, own, *tool.patches(wasm))

    def build(directory: Path) -> None:
        (directory / MANIFEST).write_text(own, encoding="utf-8")
        with (
            tool.built(store, wasm, directory, targets.is_foreign(target)) as program,
            step(f"Compiling to native code for {target}"),
        ):
            products = [directory / MANIFEST, directory / IMAGE]
            run([program, "compile", snapshot, *products, target], log=store.log("native"))

    directory = store.stage("native", key, build)
    if not tool.is_stock():
        counts = verification.ensure_verified(store, wasm, directory / IMAGE, snapshot)
        place(counts, targets.place(wasm / "build", target, False) / verification.COUNTS)
        # The kit has programs for this machine.
        if target == targets.host():
            kit.place(store, wasm, module, directory, snapshot, counts.parent)
    return directory


def _metadata(wheel: Wheel) -> str:
    """The file of a wheel that says its name and version, for `importlib.metadata`."""
    return f"{wheel.name}-{wheel.version}.dist-info/METADATA"


def licence(metadata: bytes) -> str:
    """The licence that a package states, in one line; src/cli/image/metadata.rs does the same."""
    fields = email.message_from_bytes(metadata)
    stated = [fields.get("License-Expression", ""), fields.get("License", "")]
    classes = [text.split(" :: ") for text in fields.get_all("Classifier", [])]
    stated.append(", ".join(parts[-1] for parts in classes if parts[0] == "License"))
    short = (text.strip() for text in stated if "\n" not in text.strip())
    return next((text for text in short if text), "unknown")


def _read(wheel: Path, name: str) -> bytes:
    with zipfile.ZipFile(wheel) as archive:
        return archive.read(name)


def manifest(store: Store, wasm: Path) -> str:
    """What the image says of itself; the tool adds hashes and the target (wasm/ABI.md)."""
    inputs = load(wasm / "recipe" / "inputs.toml")
    cargo = tomllib.loads((wasm.parent / "Cargo.toml").read_text(encoding="utf-8"))
    fetcher = Fetcher(store)
    packages = [
        {
            "name": wheel.name,
            "version": wheel.version,
            "sha256": wheel.sha256,
            "license": licence(_read(fetcher.wheel(wheel), _metadata(wheel))),
        }
        for wheel in inputs.wheels
        if wheel.joins
    ]
    content = {
        "name": NAME,
        "release": cargo["package"]["version"],
        "python": inputs.python_version,
        "codegen": "stock" if tool.is_stock() else "patched",
        "packages": packages,
    }
    return json.dumps(content)


def ensure_snapshot(store: Store, wasm: Path, module: Path) -> tuple[Path, str]:
    """Returns the module with the started interpreter in memory and branch hints, and its key."""
    joining = [w for w in load(wasm / "recipe" / "inputs.toml").wheels if w.joins]
    package = wasm / "guest" / "_serpentarium"
    own_packages = wasm / "guest" / "packages"
    guest = sorted([*package.rglob("*.py"), *own_packages.rglob("*.py")])
    training = sorted(p for p in (wasm / "train").rglob("*") if p.suffix in (".py", ".json"))
    places = [path.relative_to(wasm).as_posix() for path in (*guest, *training)]
    files = [Path(__file__), *tool.sources(wasm), *guest, *training]
    key = hash_of(module.parent.name, joining, places, *files)

    def build(directory: Path) -> None:
        packages = directory / "packages"
        for wheel in joining:
            with zipfile.ZipFile(Fetcher(store).wheel(wheel)) as archive:
                own = [name for name in archive.namelist() if wheel.has(name)]
                archive.extractall(packages, [*own, _metadata(wheel)])
        # Last: some files take the place of a wheel's.
        unwanted = shutil.ignore_patterns("__pycache__")
        shutil.copytree(own_packages, packages, ignore=unwanted, dirs_exist_ok=True)
        inputs = [module, package, packages, wasm / "train"]
        advice = (
            "if the log has a traceback, fix wasm/guest or the task in wasm/train that it names"
        )
        with (
            tool.built(store, wasm, directory) as program,
            step("Taking the snapshot and training"),
        ):
            command = [program, "snapshot", *inputs, directory / SNAPSHOT]
            run(command, log=store.log("native"), advice=advice)

    return store.stage("snapshot", key, build) / SNAPSHOT, key
