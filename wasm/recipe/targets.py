"""The targets that an image can be compiled for, as src/sandbox/target.rs lists them."""

import json
import os
import platform
import re
from pathlib import Path

_LIST = Path(__file__).resolve().parents[2] / "src" / "sandbox" / "target.rs"
# Bytes after the manifest: its length, and the mark of an image.
_FOOTER = 12


def triples() -> list[str]:
    """The target triples of all targets."""
    return re.findall(r'triple: "([^"]+)"', _LIST.read_text(encoding="utf-8"))


def host() -> str:
    """The triple of this machine. The recipe runs on Linux only."""
    return f"{platform.machine()}-unknown-linux-gnu"


def of_image(image: Path) -> str:
    """The target in the manifest at the end of an image (wasm/ABI.md)."""
    with image.open("rb") as file:
        file.seek(-_FOOTER, os.SEEK_END)
        length = int.from_bytes(file.read(4), "little")
        file.seek(-_FOOTER - length, os.SEEK_END)
        return str(json.loads(file.read(length))["target"])


def is_foreign(target: str) -> bool:
    """Whether a target has another architecture than this machine."""
    return architecture(target) != platform.machine()


def architecture(target: str) -> str:
    """The architecture of a target."""
    return target.partition("-")[0]


def place(products: Path, target: str, stock: bool) -> Path:
    """The directory of a target's products. `build.rs` finds the image there."""
    own = products if target == host() else products / target
    return own / "stock" if stock else own
