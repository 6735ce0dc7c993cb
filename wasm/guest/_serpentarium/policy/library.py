"""Guards of library modules that import, look up modules or evaluate text for their callers."""

import builtins
import dataclasses
import encodings
import keyword
import sys
import timeit
from collections.abc import Callable
from types import ModuleType
from typing import Any

from _serpentarium.core.current import task
from _serpentarium.policy.inspection import BLOCKED, attribute_text
from _serpentarium.policy.policy import REPLACED, Violation

_modules = sys.modules
_vars, _getattr = vars, getattr
_import = builtins.__import__
# The search for a text codec passes this list to `__import__`, without globals.
_FOR_CODECS = _vars(encodings)["_import_tail"]

real_process_class = _vars(dataclasses)["_process_class"]


def import_for_library(
    name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0
) -> Any:
    """The `__import__` of library modules.

    Text that a library module evaluates for its caller has other globals than the module. Its
    imports follow the policy, and so do those of the program's own module.
    """
    if type(globals) is dict and globals is not task.namespace:
        module = _modules.get(globals.get("__name__", ""))
        if module is not None and _vars(module) is globals:
            return _import(name, globals, locals, fromlist, level)
    elif fromlist is _FOR_CODECS:
        return _import(name, globals, locals, fromlist, level)
    return task.policy.import_(name, globals, locals, fromlist, level)


class _ModulesForOthers:
    """`sys.modules` for such modules: the stand-ins, and modules that are being loaded."""

    def __getitem__(self, name: str) -> ModuleType:
        shown: ModuleType | None = task.policy.stand_ins.get(name)
        if shown is not None:
            return shown
        real = _modules[name]
        if _vars(real) is task.namespace:
            return real
        if _getattr(real.__spec__, "_initializing", False):
            return real
        raise KeyError(name)

    def get(self, name: str, default: Any = None) -> Any:
        try:
            return self[name]
        except KeyError:
            return default

    def __contains__(self, name: str) -> bool:
        return self.get(name) is not None

    def copy(self) -> dict[str, ModuleType]:
        return dict(task.policy.stand_ins)


def make_sys() -> ModuleType:
    """Makes a `sys` for such modules."""
    module = ModuleType("sys")
    _vars(module).update(_vars(sys), modules=_ModulesForOthers())
    return module


def guarding(module: ModuleType, value: Any) -> Callable[[], Any]:
    """Returns a function that returns `value`, a member of a module that evaluates text.

    Its first call gives the module guarded built-ins. They slow the module down, so a task that
    does not use the value does not get them.
    """

    def give() -> Any:
        members = _vars(module)
        if members.get("compile") is not REPLACED["builtins"]["compile"]:
            members |= {name: REPLACED["builtins"][name] for name in ("compile", "eval", "exec")}
            if "sys" in members:
                members["sys"] = make_sys()
            if module is timeit:
                members["_globals"] = dict
        return value

    return give


def process_class(cls: type, *args: Any) -> Any:
    """`dataclasses._process_class`, which makes code of the names of fields."""
    annotations = _vars(cls).get("__annotations__", {})
    for name in annotations if type(annotations) is dict else (annotations,):
        if type(name) is not str or not name.isidentifier() or keyword.iskeyword(name):
            raise TypeError(f"Field names must be valid identifiers: {name!r}")
        if name in BLOCKED:
            # A generated `__init__` could set it on any object.
            raise Violation(attribute_text(name))
    # `exec` would give a module without built-ins those of its caller, the library.
    task.namespace.setdefault("__builtins__", task.policy.builtins())
    return real_process_class(cls, *args)
