"""Guards of library modules that read or write attributes by name for their callers.

A caller chooses the name and the object: `argparse` sets the `dest` of an option, `dataclasses`
reads the fields that a class lists. The modules receive functions of their own that check names.
"""

import sys
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any

from _serpentarium.core.current import task
from _serpentarium.policy import templates
from _serpentarium.policy.inspection import BLOCKED, FORMATS, attribute_text
from _serpentarium.policy.policy import Violation, hide

_modules = sys.modules
_vars, _getattr, _setattr = vars, getattr, setattr
_delattr, _hasattr, _isinstance = delattr, hasattr, isinstance
_update = dict.update
_catch_warnings = warnings.catch_warnings

# Names that these modules read of their own accord.
_OWN_NAMES = frozenset(
    {"__dataclass_fields__", "__module__", "__name__", "__qualname__", "__reduce_ex__"}
)
_STREAMS = frozenset({"stderr", "stdin", "stdout"})


def _checked(value: Any, name: Any) -> Any:
    """Returns the name of an attribute that a library module reads for its caller."""
    if _isinstance(name, str):
        name = str.__str__(name)
        if name in BLOCKED and name not in _OWN_NAMES:
            raise Violation(attribute_text(name))
        if name in FORMATS:
            templates.install()
        is_module = type(value) is ModuleType and name not in _STREAMS
        if is_module and not any(value is shown for shown in task.policy.stand_ins.values()):
            raise Violation(f"Access to a module's attribute '{name}' by its name is disallowed.")
    return name


def _read(value: Any, name: Any, *default: Any) -> Any:
    return _getattr(value, _checked(value, name), *default)


def _has(value: Any, name: Any) -> bool:
    return _hasattr(value, _checked(value, name))


def _write(value: Any, name: Any, new: Any) -> None:
    # These modules give classes methods and attributes, also blocked ones.
    _setattr(value, name if _isinstance(value, type) else _checked(value, name), new)


def _delete(value: Any, name: Any) -> None:
    _delattr(value, _checked(value, name))


_FUNCTIONS: dict[str, Any] = {
    "delattr": hide(_delete),
    "getattr": hide(_read),
    "hasattr": hide(_has),
    "setattr": hide(_write),
}
_READERS = (
    "argparse",
    "contextlib",
    "copy",
    "dataclasses",
    "enum",
    "logging.config",
    "optparse",
    "pickle",
    "pprint",
    "xml.dom.xmlbuilder",
)
# Modules of packages, which the package's own name leads to.
_IN_PACKAGES = {
    "httpx": ("httpx._models",),
    "requests": ("requests.adapters", "requests.models", "requests.sessions"),
}
# They read `__reduce__` and others by names that are constants.
_WRITE_ONLY = frozenset({"copy", "pickle"})


# The globals of the loaded modules, each with its guards. Listed before the snapshot: a task that
# looks for them spends ten times the fuel of one that sets them.
_loaded: list[tuple[dict[str, Any], dict[str, Any]]] = []


def _guards(path: str) -> dict[str, Any]:
    return {"setattr": _FUNCTIONS["setattr"]} if path in _WRITE_ONLY else _FUNCTIONS


def _list_loaded() -> None:
    _loaded[:] = [(_vars(_modules[path]), _guards(path)) for path in _READERS if path in _modules]


def guard(path: str, members: dict[str, Any]) -> None:
    """Gives a loaded library module the guards, if it is one of these modules."""
    if path in _READERS:
        members |= _guards(path)
    for inner in _IN_PACKAGES.get(path.partition(".")[0], ()):
        if inner in _modules:
            _update(_vars(_modules[inner]), _FUNCTIONS)


def apply() -> None:
    """Guards the modules that are loaded. `guard` does so for those that are loaded later.

    Not only the modules that the task imports: objects of one module lead to the functions of
    others.
    """
    if not _loaded:
        _list_loaded()
    for members, functions in _loaded:
        _update(members, functions)


def restore() -> None:
    """Restores the modules, and lists them for the next task."""
    _list_loaded()
    for members, _functions in _loaded:
        for name in _FUNCTIONS:
            members.pop(name, None)


class _WarningsCaught:
    """`warnings.catch_warnings` without its reference to the module."""

    __slots__ = ("_enter", "_exit")

    def __init__(self, enter: Callable[..., Any], leave: Callable[..., Any]) -> None:
        self._enter, self._exit = enter, leave

    def __enter__(self) -> Any:
        return self._enter()

    def __exit__(self, *error: object) -> None:
        self._exit(*error)


def guarded_catch_warnings(**options: Any) -> Any:
    caught = _catch_warnings(**options)
    return _WarningsCaught(
        hide(lambda: caught.__enter__()), hide(lambda *error: caught.__exit__(*error))
    )
