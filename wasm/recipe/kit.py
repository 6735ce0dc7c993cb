"""The image kit: what `serpentarium image build` needs to make images with more packages.

It holds the image tool, the verifier, the linked module, the guest package, the packages of the
image, the branch hints of its training and the manifest.
"""

import shutil
from pathlib import Path

import tool
import verification
from report import run, step
from store import Store

KIT = "image-kit"
_KEY = "key"


def place(
    store: Store,
    wasm: Path,
    module: Path,
    native: Path,
    snapshot: Path,
    verified: Path,
    name: str = KIT,
) -> None:
    """Writes the kit of the image in `native` to wasm/build, unless it is current.

    `verified` is the directory of the proof, whose name changes with the verifier.
    """
    target = wasm / "build" / name
    key = f"{native.name} {verified.name}"
    if (target / _KEY).is_file() and (target / _KEY).read_text(encoding="utf-8") == key:
        return
    unfinished = target.with_name(f".{name}")
    for old in (unfinished, target):
        shutil.rmtree(old, ignore_errors=True)
    unfinished.mkdir(parents=True)
    with step("Copying the image kit"):
        unwanted = shutil.ignore_patterns("tests", "__pycache__")
        shutil.copytree(wasm / "guest", unfinished / "guest", ignore=unwanted)
        shutil.copytree(snapshot.parent / "packages", unfinished / "packages")
        shutil.copy(module, unfinished / "python.wasm")
        shutil.copy(native / "manifest.json", unfinished)
        with tool.built(store, wasm, unfinished) as program:
            run([program, "hints", snapshot, unfinished / "hints"], log=store.log("kit"))
            shutil.copy(program, unfinished / "tool")
        (unfinished / "tool").rename(unfinished / tool.NAME)
        verification.build(store, wasm, unfinished / verification.NAME)
        (unfinished / _KEY).write_text(key, encoding="utf-8")
    unfinished.rename(target)
