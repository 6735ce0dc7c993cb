"""What stands in for built-ins and library functions that could lead user code past the policy.

Each is an object to call, with nothing in it to look into. They are made once, before the snapshot; the policy that they
ask is that of the one task which the instance runs.
"""

import ast
import builtins
import encodings
import operator
import string
import sys
from collections.abc import Callable
from typing import Any

from _serpentarium.inspection import BLOCKED, attribute_text, blocked_in_template
from _serpentarium.policy import HIDDEN, REPLACED, Policy, Violation

_modules = sys.modules
_frame = sys._getframe
_compile, _exec, _eval, _vars = compile, exec, eval, vars
_getattr, _setattr, _delattr, _hasattr = getattr, setattr, delattr, hasattr
_attrgetter, _methodcaller, _Formatter = operator.attrgetter, operator.methodcaller, string.Formatter
_import = builtins.__import__
_ONLY_AST = ast.PyCF_ONLY_AST
# The very list that the search for a text codec asks for, in the name of nobody.
_FOR_CODECS = encodings._import_tail  # type: ignore[attr-defined]

# Frames between a guard's own and that of the code which calls it.
_CALLER = 2

_open = Policy({})
_policy = _open


def install(policy: Policy) -> dict[str, Any]:
    """Puts a task under its policy; what is returned are the built-ins for its code."""
    global _policy
    _policy = policy
    if policy.is_strict:
        builtins.__import__ = _import_for_library  # type: ignore[assignment]
    return policy.builtins()


def uninstall() -> None:
    """Lets everything be open again; only rehearsals and tests need that."""
    global _policy
    _policy = _open
    builtins.__import__ = _import


def _import_for_library(name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> Any:
    """The `__import__` of the library's own modules, which is also that of texts that they run as code for others."""
    if type(globals) is dict:
        module = _modules.get(globals.get("__name__"))
        if module is not None and _vars(module) is globals:
            return _import(name, globals, locals, fromlist, level)
    elif fromlist is _FOR_CODECS:
        return _import(name, globals, locals, fromlist, level)
    return _policy.import_(name, globals, locals, fromlist, level)


def _hidden(function: Callable[..., Any]) -> Any:
    """A guard as user code sees it."""

    def call(_self: Any, *args: Any, **options: Any) -> Any:
        return function(*args, **options)

    return type("builtin_function_or_method", (), {"__slots__": (), "__call__": call})()


# --- Code that is made while the code runs ------------------------------------------------------------------------------


def _checked(source: Any, mode: str) -> Any:
    """Code to run, looked at first where it is text."""
    if isinstance(source, (str, bytes, bytearray, memoryview)):
        source = _compile(source, "<string>", mode, _ONLY_AST)
    if isinstance(source, ast.AST):
        _policy.check(source)
    return source


def _guarded_compile(source: Any, filename: Any, mode: str, *rest: Any, **options: Any) -> Any:
    tree = _checked(source, mode)
    flags = rest[0] if rest else options.get("flags", 0)
    return tree if flags & _ONLY_AST else _compile(tree, filename, mode, *rest, **options)


def _guarded_exec(source: Any, globals: Any = None, locals: Any = None, **options: Any) -> None:
    _run(_exec, _code(source, "exec"), globals, locals, options)


def _guarded_eval(source: Any, globals: Any = None, locals: Any = None) -> Any:
    return _run(_eval, _code(source, "eval"), globals, locals, {})


def _code(source: Any, mode: str) -> Any:
    if isinstance(source, str) and mode == "eval":
        source = source.strip()
    tree = _checked(source, mode)
    return _compile(tree, "<string>", mode) if isinstance(tree, ast.AST) else tree


def _run(run: Any, code: Any, globals: Any, locals: Any, options: dict[str, Any]) -> Any:
    if globals is None:
        caller = _frame(_CALLER + 1)
        globals = caller.f_globals
        locals = dict(caller.f_locals) if locals is None else locals
    if type(globals) is dict and "__builtins__" not in globals:
        globals["__builtins__"] = _policy.builtins()
    return run(code, globals, locals, **options)


# --- Attributes that are named while the code runs ----------------------------------------------------------------------


def _unblocked(name: Any) -> Any:
    """The name of an attribute, or of one behind another, that is not blocked."""
    if isinstance(name, str):
        name = str.__str__(name)
        for part in name.split("."):
            if part in BLOCKED:
                raise Violation(attribute_text(part))
    return name


def _guarded_getattr(value: Any, name: str, *default: Any) -> Any:
    return _getattr(value, _unblocked(name), *default)


def _guarded_hasattr(value: Any, name: str) -> bool:
    return _hasattr(value, _unblocked(name))


def _guarded_setattr(value: Any, name: str, new: Any) -> None:
    _setattr(value, _unblocked(name), new)


def _guarded_delattr(value: Any, name: str) -> None:
    _delattr(value, _unblocked(name))


def _guarded_vars(*value: Any) -> Any:
    if not value:
        return dict(_frame(_CALLER).f_locals)
    members = _vars(*value)
    if isinstance(value[0], type):
        return {name: member for name, member in members.items() if name not in BLOCKED}
    return members


def _guarded_attrgetter(*names: str) -> Any:
    return _attrgetter(*[_unblocked(name) for name in names])


def _guarded_methodcaller(name: str, /, *args: Any, **options: Any) -> Any:
    return _methodcaller(_unblocked(name), *args, **options)


class _GuardedFormatter(_Formatter):
    """`string.Formatter`, which hands out what an expression names."""

    def get_field(self, field_name: str, args: Any, kwargs: Any) -> Any:
        for name in blocked_in_template("{" + field_name + "}"):
            raise Violation(attribute_text(name))
        return super().get_field(field_name, args, kwargs)


def _fill_tables() -> None:
    guarded = {"attrgetter": _hidden(_guarded_attrgetter), "methodcaller": _hidden(_guarded_methodcaller)}
    importing = _hidden(lambda *args, **options: _policy.import_(*args, **options))
    import_module = _hidden(lambda *args, **options: _policy.import_module(*args, **options))
    REPLACED["builtins"] = {
        "__import__": importing,
        "compile": _hidden(_guarded_compile),
        "delattr": _hidden(_guarded_delattr),
        "eval": _hidden(_guarded_eval),
        "exec": _hidden(_guarded_exec),
        "getattr": _hidden(_guarded_getattr),
        "hasattr": _hidden(_guarded_hasattr),
        "setattr": _hidden(_guarded_setattr),
        "vars": _hidden(_guarded_vars),
    }
    REPLACED["importlib"] = {"__import__": importing, "import_module": import_module}
    REPLACED["operator"] = REPLACED["_operator"] = guarded
    REPLACED["string"] = {"Formatter": _GuardedFormatter}
    HIDDEN["sys"] = frozenset(
        {
            "_current_exceptions", "_current_frames", "_getframe", "_getframemodulename", "meta_path", "monitoring",
            "path_hooks", "path_importer_cache", "setprofile", "settrace",
        }
    )  # fmt: skip
    # Without its name, `from importlib import …` finds nothing past the stand-in.
    HIDDEN["importlib"] = frozenset({"__name__", "reload"})


_fill_tables()
