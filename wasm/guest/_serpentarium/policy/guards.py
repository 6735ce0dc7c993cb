"""What stands in for built-ins and library functions that could lead user code past the policy.

Each is an object to call, with nothing in it to look into. They are made once, before the snapshot; the policy that they
ask is that of the one task which the instance runs.
"""

import _compat_pickle
import _string
import ast
import builtins
import dataclasses
import encodings
import enum
import functools
import inspect
import io
import keyword
import operator
import pickle
import string
import sys
import timeit
import typing
from collections.abc import Callable, Iterable
from types import CodeType, ModuleType
from typing import Any

from _serpentarium.policy.inspection import BLOCKED, attribute_text
from _serpentarium.core.printing import print
from _serpentarium.policy.policy import GUARDED, HIDDEN, REPLACED, Policy, Violation, hide

_modules = sys.modules
_frame = sys._getframe
_add_audit_hook = sys.addaudithook
_compile, _exec, _eval, _vars = compile, exec, eval, vars
_getattr, _setattr, _delattr, _hasattr = getattr, setattr, delattr, hasattr
_attrgetter, _methodcaller, _Formatter = operator.attrgetter, operator.methodcaller, string.Formatter
_update_wrapper, _partial = functools.update_wrapper, functools.partial
_dump, _dumps, _Pickler, _Unpickler = pickle.dump, pickle.dumps, pickle.Pickler, pickle.Unpickler
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
        enum.sys = _sys_for_library()  # type: ignore[attr-defined]
        dataclasses._process_class = _check_fields  # type: ignore[attr-defined]
    return policy.builtins()


def uninstall() -> None:
    """Lets everything be open again; only rehearsals and tests need that."""
    global _policy
    _policy = _open
    builtins.__import__ = _import
    enum.sys = sys  # type: ignore[attr-defined]
    dataclasses._process_class = _process_class  # type: ignore[attr-defined]


def _import_for_library(name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> Any:
    """The `__import__` of the library's own modules, which is also that of texts that they run as code for others."""
    if type(globals) is dict:
        module = _modules.get(globals.get("__name__"))
        if module is not None and _vars(module) is globals:
            return _import(name, globals, locals, fromlist, level)
    elif fromlist is _FOR_CODECS:
        return _import(name, globals, locals, fromlist, level)
    return _policy.import_(name, globals, locals, fromlist, level)


# --- Code that is made while the code runs ------------------------------------------------------------------------------


_NODES = frozenset(kind for kind in _vars(ast).values() if isinstance(kind, type) and issubclass(kind, ast.AST))
_watches_code = False


def _checked(source: Any, mode: str) -> Any:
    """What runs: a tree that was looked at, or code that was made of one."""
    if type(source) is CodeType:
        return source
    if type(source) not in _NODES:
        # Read once, and so what is looked at is what runs.
        source = _compile(source, "<string>", mode, _ONLY_AST)
    for node in ast.walk(source):
        if type(node) not in _NODES or not {"_fields", "_attributes"}.isdisjoint(_vars(node)):
            raise Violation("A syntax tree that is not of Python's own nodes is disallowed.")
    _policy.check(source)
    return source


def _guarded_compile(
    source: Any, filename: Any, mode: str, flags: int = 0, dont_inherit: bool = False, optimize: int = -1, **options: Any
) -> Any:
    tree = _checked(source, mode)
    flags = operator.index(flags)
    if flags & _ONLY_AST:
        # Whoever may not import the nodes' classes does not get them so.
        _policy.demand("ast")
        return tree
    _watch_code()
    return _compile(tree, filename, mode, flags, dont_inherit, optimize, **options)


def _watch_code() -> None:
    """From now on no code is made by hand, as it could be of a piece that `compile` hands out."""
    global _watches_code
    if not _watches_code:
        _watches_code = True
        _add_audit_hook(_refuse_new_code)


def _refuse_new_code(event: str, _args: object) -> None:
    if event == "code.__new__":
        raise Violation("Code objects that were not made by compile() are disallowed.")


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
    if issubclass(type(globals), dict) and not dict.__contains__(globals, "__builtins__"):
        dict.__setitem__(globals, "__builtins__", _policy.builtins())
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
    return hide(_attrgetter(*[_unblocked(name) for name in names]))


def _guarded_methodcaller(name: str, /, *args: Any, **options: Any) -> Any:
    return hide(_methodcaller(_unblocked(name), *args, **options))


def _guarded_update_wrapper(
    wrapper: Any,
    wrapped: Any,
    assigned: Iterable[str] = functools.WRAPPER_ASSIGNMENTS,
    updated: Iterable[str] = functools.WRAPPER_UPDATES,
) -> Any:
    return _update_wrapper(wrapper, wrapped, _copied(assigned), _copied(updated))


def _guarded_wraps(
    wrapped: Any,
    assigned: Iterable[str] = functools.WRAPPER_ASSIGNMENTS,
    updated: Iterable[str] = functools.WRAPPER_UPDATES,
) -> Any:
    return hide(_partial(_guarded_update_wrapper, wrapped=wrapped, assigned=assigned, updated=updated))


def _copied(names: Iterable[str]) -> tuple[str, ...]:
    """Attributes that one function takes over from another."""
    usual = functools.WRAPPER_ASSIGNMENTS + functools.WRAPPER_UPDATES
    exact = [str.__str__(name) for name in names]
    return tuple([name if name in usual else _unblocked(name) for name in exact])


def _guarded_get_field(self: Any, field_name: str, args: Any, kwargs: Any) -> Any:
    """`string.Formatter.get_field`, which hands out what an expression names."""
    first, rest = _string.formatter_field_name_split(field_name)
    value = self.get_value(first, args, kwargs)
    for is_attribute, key in rest:
        value = _guarded_getattr(value, key) if is_attribute else value[key]
    return value, first


# Not a subclass, which would lead to the other.
_GuardedFormatter = type(
    "Formatter",
    (),
    {name: member for name, member in _vars(_Formatter).items() if name not in ("__dict__", "__weakref__")}
    | {"get_field": _guarded_get_field},
)


# --- Pickles, which name what they are made of --------------------------------------------------------------------------


# What the pickles of plain values name, whatever else may be imported.
_FOR_PLAIN_VALUES = frozenset({("_codecs", "encode"), ("copyreg", "_reconstructor"), ("copyreg", "__newobj__")})


def _find_class(module: str, name: str) -> Any:
    """What a pickle names, as an import would give it."""
    module, name = str.__str__(module), str.__str__(name)
    module, name = _compat_pickle.NAME_MAPPING.get((module, name), (module, name))
    module = _compat_pickle.IMPORT_MAPPING.get(module, module)
    if (module, name) in _FOR_PLAIN_VALUES:
        return _getattr(_modules[module], name)
    if module == "builtins":
        value = _policy.builtins().get(name)
        if value is None:
            raise pickle.UnpicklingError(f"there is no {name!r} in 'builtins'")
        return value
    value = _policy.import_module(module)
    for part in name.split("."):
        value = _guarded_getattr(value, part)
    return value


class _GuardedPickler(_Pickler):
    """`pickle.Pickler`, whose imports are the library's."""

    def dump(self, value: Any, /) -> None:
        super().dump(value)


class _GuardedUnpickler:
    """`pickle.Unpickler`, without the class itself."""

    def __init__(self, file: Any, **options: Any) -> None:
        self._source = file, options

    def load(self) -> Any:
        outer = self

        class Inner(_Unpickler):
            def find_class(self, module: str, name: str, /) -> Any:
                return outer.find_class(module, name)

            def persistent_load(self, pid: Any, /) -> Any:
                return outer.persistent_load(pid)

        file, options = self._source
        return Inner(file, **options).load()

    def find_class(self, module: str, name: str, /) -> Any:
        return _find_class(module, name)

    def persistent_load(self, _pid: Any, /) -> Any:
        raise pickle.UnpicklingError("A load persistent id instruction was encountered, but no persistent_load function")


def _guarded_load(file: Any, **options: Any) -> Any:
    return _GuardedUnpickler(file, **options).load()


def _guarded_loads(data: Any, /, **options: Any) -> Any:
    return _GuardedUnpickler(io.BytesIO(data), **options).load()


# --- Parts of the library that run texts or look modules up, in the name of others ---------------------------------------


class _ModulesForOthers:
    """The `sys.modules` of those parts: what user code may have, and a module that is just being loaded."""

    def __getitem__(self, name: str) -> ModuleType:
        shown = _policy.stand_ins.get(name)
        if shown is not None:
            return shown
        real = _modules[name]
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
        return dict(_policy.stand_ins)


def _sys_for_library() -> ModuleType:
    module = ModuleType("sys")
    _vars(module).update(_vars(sys), modules=_ModulesForOthers())
    return module


def _with_care(module: ModuleType, value: Any) -> Callable[[], Any]:
    """What hands a value out and has its module run texts as user code would. Not before: it slows the module."""

    def give() -> Any:
        members = _vars(module)
        if members.get("compile") is not REPLACED["builtins"]["compile"]:
            members |= {name: REPLACED["builtins"][name] for name in ("compile", "eval", "exec")}
            if "sys" in members:
                members["sys"] = _sys_for_library()
            if module is timeit:
                members["_globals"] = dict
        return value

    return give


def _check_fields(cls: type, *args: Any) -> Any:
    """What `dataclasses` does with a class, whose fields become parts of a text."""
    annotations = _vars(cls).get("__annotations__", {})
    for name in annotations if type(annotations) is dict else (annotations,):
        if type(name) is not str or not name.isidentifier() or keyword.iskeyword(name):
            raise TypeError(f"Field names must be valid identifiers: {name!r}")
    return _process_class(cls, *args)


_process_class = dataclasses._process_class  # type: ignore[attr-defined]


def _fill_tables() -> None:
    importing = hide(lambda *args, **options: _policy.import_(*args, **options))
    import_module = hide(lambda *args, **options: _policy.import_module(*args, **options))
    REPLACED["builtins"] = {
        "__import__": importing,
        "compile": hide(_guarded_compile),
        "delattr": hide(_guarded_delattr),
        "eval": hide(_guarded_eval),
        "exec": hide(_guarded_exec),
        "getattr": hide(_guarded_getattr),
        "hasattr": hide(_guarded_hasattr),
        "help": hide(lambda *things: builtins.help(*things)),
        "print": hide(print),
        "setattr": hide(_guarded_setattr),
        "vars": hide(_guarded_vars),
    }
    REPLACED["importlib"] = {"__import__": importing, "import_module": import_module}
    for value, guard in (
        (_attrgetter, hide(_guarded_attrgetter)),
        (_methodcaller, hide(_guarded_methodcaller)),
        (_Formatter, _GuardedFormatter),
        (_update_wrapper, hide(_guarded_update_wrapper)),
        (functools.wraps, hide(_guarded_wraps)),
        (_dump, hide(lambda *args, **options: _dump(*args, **options))),
        (_dumps, hide(lambda *args, **options: _dumps(*args, **options))),
        (pickle.load, hide(_guarded_load)),
        (pickle.loads, hide(_guarded_loads)),
        (_Pickler, _GuardedPickler),
        (_Unpickler, _GuardedUnpickler),
    ):
        GUARDED[id(value)] = _constantly(guard)
    for module, values in (
        (typing, (typing.ForwardRef, typing.get_type_hints, functools.singledispatch, functools.singledispatchmethod)),
        (inspect, (inspect.Signature, inspect.get_annotations, inspect.signature)),
        (timeit, (timeit.Timer, timeit.repeat, timeit.timeit)),
    ):
        for value in values:
            GUARDED[id(value)] = _with_care(module, value)
    HIDDEN["sys"] = frozenset(
        {
            "_current_exceptions", "_current_frames", "_getframe", "_getframemodulename", "_setprofileallthreads",
            "_settraceallthreads", "addaudithook", "meta_path", "monitoring", "path_hooks", "path_importer_cache",
            "setprofile", "settrace",
        }
    )  # fmt: skip
    HIDDEN["threading"] = frozenset(
        {"_profile_hook", "_trace_hook", "setprofile", "setprofile_all_threads", "settrace", "settrace_all_threads"}
    )
    HIDDEN["pickle"] = frozenset({"_Pickler", "_Unpickler", "_dump", "_dumps", "_load", "_loads", "_getattribute"})
    HIDDEN["pkgutil"] = frozenset({"find_loader", "get_importer", "get_loader", "iter_importers", "resolve_name"})
    # Without its name, `from importlib import …` finds nothing past the stand-in.
    HIDDEN["importlib"] = frozenset({"__name__", "reload"})


def _constantly(value: Any) -> Callable[[], Any]:
    return lambda: value


_fill_tables()
