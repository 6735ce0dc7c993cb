"""The targets that an image can be compiled for, as src/sandbox/target.rs lists them."""

import platform
import re
from pathlib import Path

_LIST = Path(__file__).resolve().parents[2] / "src" / "sandbox" / "target.rs"


def triples() -> list[str]:
    """The target triples of all targets."""
    return re.findall(r'triple: "([^"]+)"', _LIST.read_text(encoding="utf-8"))


def host() -> str:
    """The triple of this machine. The recipe runs on Linux only."""
    return f"{platform.machine()}-unknown-linux-gnu"


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
