"""`sys.exit`, `exit` and `quit`: a program that ends without an error has no result."""

import builtins
from typing import Any, NoReturn

_code = SystemExit.__dict__["code"]


class Exit:
    """The built-in `exit` or `quit`, which the module `site` makes elsewhere."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return f"Use {self._name}() to end the code without a result"

    def __call__(self, code: Any = None) -> NoReturn:
        raise SystemExit(code)


def install() -> None:
    """Adds the built-ins."""
    members = vars(builtins)
    for name in ("exit", "quit"):
        members[name] = Exit(name)


def check(error: SystemExit) -> None:
    """Raises the error again, unless it ends the program without a failure."""
    code = _code.__get__(error)
    if code is not None and not (type(code) in (int, bool) and code == 0):
        raise error
