"""What an operator lets user code import and call: n8n's allow and deny lists, where they are set.

This is a policy and not the wall around the code, which is WebAssembly. It is kept in three places: the code is looked
at before it runs (`inspection`), its `__import__` and a few more built-ins are guarded (`guards`), and the modules that it
gets are stand-ins, without the other modules that a module happens to have at hand. The standard library goes on with its
own.
"""

import ast
import builtins
import importlib.util
import sys
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import Any

from _serpentarium.policy.inspection import RELATIVE, violations
from _serpentarium.core.result import TaskError

_modules = sys.modules
_stdlib = sys.stdlib_module_names
_import = builtins.__import__
_load = importlib.import_module
_resolve = importlib.util.resolve_name

_OURS = frozenset({"_serpentarium", "_host"})
# Parts of an allowed package that load modules past every `__import__`.
_DOORS = frozenset(
    """
    importlib._abc importlib._bootstrap importlib._bootstrap_external importlib.abc importlib.machinery importlib.metadata
    importlib.readers importlib.resources importlib.simple importlib.util
    """.split()
)
# What built-in types and modules in C import while they work: parsing dates, pickling, huge numbers, profiling.
_FOR_C = frozenset(
    """
    _compat_pickle _io _pydatetime _pydecimal _pylong _strptime asyncio codecs collections collections.abc copy copyreg
    encodings functools io linecache numbers re struct sys time traceback typing warnings weakref
    """.split()
)
_ALL = frozenset({"*"})
_NOTHING: frozenset[str] = frozenset()
# What a module says of itself that leads further; a stand-in has none of it.
_LEFT_OUT = frozenset({"__builtins__", "__loader__", "__spec__", "__cached__", "__getattr__"})
# What is given in the place of a function or class, wherever a module holds it; by its identity. Filled in by `guards`, like
# the members that are replaced in the stand-ins of some modules, and those that are left out.
GUARDED: dict[int, Callable[[], Any]] = {}
REPLACED: dict[str, dict[str, Any]] = {}
HIDDEN: dict[str, frozenset[str]] = {}


class Violation(TaskError):
    """The code does what the policy does not allow."""

    def __init__(self, description: str, message: str = "Security violation detected", line: int | None = None) -> None:
        super().__init__(message)
        self.description = description
        self.line = line


def hide(function: Callable[..., Any]) -> Any:
    """A function as user code sees it: an object to call, with nothing in it to look into."""

    def call(_self: Any, *args: Any, **options: Any) -> Any:
        return function(*args, **options)

    return type("builtin_function_or_method", (), {"__slots__": (), "__call__": call})()


class Policy:
    """The lists of one task. A list that is None is not set: everything is allowed."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        get = settings.get
        self._stdlib_allow = _names(get("stdlibAllow"))
        self._external_allow = _names(get("externalAllow"))
        self.deny = _names(get("builtinsDeny")) or _NOTHING
        # The stand-ins by the modules' names: what user code finds in `sys.modules`.
        self.stand_ins: dict[str, ModuleType] = {}
        lists = self._stdlib_allow, self._external_allow
        is_open = all(names is None or names == _ALL for names in lists)
        # As in n8n, code is not looked at where both lists allow everything expressly.
        self.is_strict = not is_open or (bool(self.deny) and lists != (_ALL, _ALL))

    def check(self, tree: ast.AST) -> None:
        """Looks at code before it runs, and names all that is not allowed at once."""
        found = violations(tree, self.refusal) if self.is_strict else []
        if found:
            description = "\n".join([f"Line {line}: {text}" for line, text in found])
            raise Violation(description, "Security violations detected", found[0][0])

    def refusal(self, path: str) -> str | None:
        """Why a module may not be imported; None where it may."""
        top = path.partition(".")[0]
        if top in _stdlib:
            allow, what, which = self._stdlib_allow, "standard library module", "stdlib modules"
        else:
            allow, what, which = self._external_allow, "external package", "external packages"
        closed = top in _OURS or (self.is_strict and _covers(_DOORS, path))
        if not closed and (allow is None or allow == _ALL or _covers(allow, path)):
            return None
        allowed = ", ".join(sorted(allow)) if allow else "none"
        return f"Import of {what} '{path}' is disallowed. Allowed {which}: {allowed}"

    def demand(self, path: str) -> None:
        """Raises a violation where a module may not be imported."""
        text = self.refusal(path)
        if text is not None:
            raise Violation(text)

    def import_(
        self, name: str, globals: object = None, locals: object = None, fromlist: Iterable[str] = (), level: int = 0
    ) -> ModuleType:
        """`__import__` as user code has it."""
        if level:
            raise Violation(RELATIVE)
        path, wanted = _text(name), [_text(part) for part in fromlist or ()]
        if path in _FOR_C and type(fromlist) is list and not wanted:
            # Built-in types in the middle of their work ask so, in the name of the code that called them, and then take
            # the module itself from elsewhere: what they are given here is nothing to them.
            _load(path)
            return self._show(path)
        self.demand(path)
        # Loads what is asked for from the module where it is a module itself.
        _import(path, None, None, [part for part in wanted if self.refusal(f"{path}.{part}") is None], 0)
        module = self._show_path(path)
        for part in wanted:
            inner = f"{path}.{part}"
            if part not in vars(module) and inner in _modules and self.refusal(inner) is None:
                self._show_path(inner)
        return module if wanted else self._show(path.partition(".")[0])

    def import_module(self, name: str, package: str | None = None) -> ModuleType:
        """`importlib.import_module` as user code has it."""
        path = _text(name)
        if path.startswith("."):
            path = _resolve(path, _text(package or ""))
        self.demand(path)
        _load(path)
        return self._show_path(path)

    def _show_path(self, path: str) -> ModuleType:
        """The stand-in of a loaded module, reachable from those of the packages around it."""
        module = self._show(path)
        around, _, name = path.rpartition(".")
        if around:
            vars(self._show_path(around))[name] = module
        return module

    def _show(self, path: str) -> ModuleType:
        """The stand-in of a loaded module: what it has, except for modules that are not allowed."""
        module = self.stand_ins.get(path)
        if module is None:
            real = _modules[path]
            module = self.stand_ins[path] = ModuleType(real.__name__)
            if self.refusal(path) is None:
                self._fill(vars(module), path, real)
        return module

    def _fill(self, members: dict[str, Any], path: str, real: ModuleType) -> None:
        if path == "builtins":
            members |= self.builtins()
            return
        hidden = HIDDEN.get(path, _NOTHING) | _LEFT_OUT if self.is_strict else _LEFT_OUT
        for name, value in [*vars(real).items()]:
            self._give(members, path, name, value)
        for name in hidden:
            members.pop(name, None)
        if self.is_strict:
            members |= REPLACED.get(path, {})
        more = vars(real).get("__getattr__")
        if more is not None:
            members["__getattr__"] = hide(lambda name: self._more(members, path, name, hidden, more))
        if path == "sys":
            members["modules"] = self.stand_ins
        elif path == "importlib":
            members |= REPLACED[path]

    def _give(self, members: dict[str, Any], path: str, name: str, value: Any) -> None:
        """Adds one member of a module to those of its stand-in, or what is given in its place."""
        if isinstance(value, ModuleType):
            # As which module it is known: `os.path` is one of two names.
            own = f"{path}.{name}"
            known = own if _modules.get(own) is value else value.__name__
            if _modules.get(known) is value and self.refusal(known) is None:
                members[name] = self._show(known)
        elif self.is_strict and id(value) in GUARDED:
            members[name] = GUARDED[id(value)]()
        else:
            members[name] = value

    def _more(
        self, members: dict[str, Any], path: str, name: Any, hidden: frozenset[str], more: Callable[[str], Any]
    ) -> Any:
        """A member that the module makes when it is first asked for."""
        name = _text(name)
        if name not in hidden:
            self._give(members, path, name, more(name))
        if name not in members:
            raise AttributeError(f"module {path!r} has no attribute {name!r}")
        return members[name]

    def builtins(self) -> dict[str, Any]:
        """The built-ins of user code: without those that are denied, some of the others guarded."""
        given = dict(vars(builtins))
        if self.is_strict:
            given |= REPLACED["builtins"]
        for name in self.deny | _LEFT_OUT:
            given.pop(name, None)
        given["__import__"] = REPLACED["builtins"]["__import__"]
        return given


def _names(value: Any) -> frozenset[str] | None:
    """A list of the host's."""
    return None if value is None else frozenset(value)


def _covers(allow: frozenset[str], path: str) -> bool:
    """Whether a list names a module, or a package around it."""
    return any(path == name or path.startswith(name + ".") for name in allow)


def _text(value: str) -> str:
    """A name that stays what it is while it is looked at."""
    if not isinstance(value, str):
        raise TypeError(f"a module's name must be a text, not {type(value).__name__}")
    return str.__str__(value)
