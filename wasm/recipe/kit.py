"""The image kit: what `serpentarium image build` needs to make images with more packages.

It holds the image tool, the linked module, the guest package, the packages of the image, the
training tasks and the manifest.
"""

import shutil
from pathlib import Path

import tool
from report import step
from store import Store

KIT = "image-kit"
_KEY = "key"


def place(store: Store, wasm: Path, module: Path, native: Path, packages: Path) -> None:
    """Writes the kit of the image in `native` to wasm/build, unless it is current."""
    target = wasm / "build" / KIT
    key = native.name
    if (target / _KEY).is_file() and (target / _KEY).read_text(encoding="utf-8") == key:
        return
    unfinished = target.with_name(f".{KIT}")
    for old in (unfinished, target):
        shutil.rmtree(old, ignore_errors=True)
    unfinished.mkdir(parents=True)
    with step("Copying the image kit"):
        for source, name in ((wasm / "guest", "guest"), (wasm / "train", "train")):
            shutil.copytree(source, unfinished / name, ignore=shutil.ignore_patterns("tests"))
        shutil.copytree(packages, unfinished / "packages")
        shutil.copy(module, unfinished / "python.wasm")
        shutil.copy(native / "manifest.json", unfinished)
        with tool.built(store, wasm, unfinished) as program:
            shutil.copy(program, unfinished / "tool")
        (unfinished / "tool").rename(unfinished / tool.NAME)
        (unfinished / _KEY).write_text(key, encoding="utf-8")
    unfinished.rename(target)
