"""n8n's allow and deny lists, and the stand-ins for modules that user code imports.

Three mechanisms enforce the lists: `inspection` checks the code before it runs, `guards` replaces
`__import__` and other functions, and imports return stand-ins. A stand-in is a copy of a module
without references to modules that are not allowed. The standard library uses the real modules.
"""

import ast
import builtins
import importlib.util
import sys
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import Any

from _serpentarium.abi import (
    BUILTINS_DENY,
    DESCRIPTION,
    EXTERNAL_ALLOW,
    LINE_NUMBER,
    MESSAGE,
    STDLIB_ALLOW,
)
from _serpentarium.core.result import TaskError
from _serpentarium.policy.inspection import BLOCKED, RELATIVE, violations

_modules = sys.modules
_stdlib = sys.stdlib_module_names
_import = builtins.__import__
_load = importlib.import_module
_resolve = importlib.util.resolve_name

_OWN = frozenset({"_serpentarium", "_host"})
# Modules that load or run code of files and archives without `__import__`.
_LOADERS = frozenset(
    """
    importlib._abc importlib._bootstrap importlib._bootstrap_external importlib.abc
    importlib.machinery importlib.metadata importlib.readers importlib.resources importlib.simple
    importlib.util runpy site zipimport
    """.split()
)
# Modules that C code imports by itself: for dates, pickles, huge numbers, profiling.
_FOR_C = frozenset(
    """
    _compat_pickle _io _pydatetime _pydecimal _pylong _strptime asyncio codecs collections
    collections.abc copy copyreg encodings functools io linecache numbers re struct sys time
    traceback typing warnings weakref
    """.split()
)
_ALL = frozenset({"*"})
_NOTHING: frozenset[str] = frozenset()
# Members of a module that give access to loaders or built-ins. A stand-in has none of them.
_LEFT_OUT = frozenset({"__builtins__", "__loader__", "__spec__", "__cached__", "__getattr__"})
# Tables of `guards`: replacements of functions and classes by their id, members that the stand-ins
# of some modules replace, and members that they omit.
GUARDED: dict[int, Callable[[], Any]] = {}
REPLACED: dict[str, dict[str, Any]] = {}
HIDDEN: dict[str, frozenset[str]] = {}
# The function that installs the guards of `str.format`, before code may use it.
USE_TEMPLATES: list[Callable[[], None]] = []
# Functions that give a module guards of its own when a stand-in of it is made.
ADDED: list[Callable[[str, dict[str, Any]], None]] = []


class Violation(TaskError):
    """The code violates the policy."""

    def __init__(
        self,
        description: str,
        message: str = "Security violation detected",
        line: int | None = None,
    ) -> None:
        super().__init__(message)
        self.description = description
        self._line = line

    def details(self, line: int | None) -> dict[str, object]:
        return {
            MESSAGE: str(self),
            DESCRIPTION: self.description,
            LINE_NUMBER: self._line or line,
        }


def hide(function: Callable[..., Any]) -> Any:
    """Wraps a function in a callable object whose members do not lead to the function."""

    def call(_self: Any, *args: Any, **options: Any) -> Any:
        return function(*args, **options)

    return type("builtin_function_or_method", (), {"__slots__": (), "__call__": call})()


class Policy:
    """The lists of one task. A list that is None allows everything."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        get = settings.get
        self._stdlib_allow = _names(get(STDLIB_ALLOW))
        self._external_allow = _names(get(EXTERNAL_ALLOW))
        self.deny = _names(get(BUILTINS_DENY)) or _NOTHING
        # The stand-ins by name: the `sys.modules` of user code.
        self.stand_ins: dict[str, ModuleType] = {}
        lists = self._stdlib_allow, self._external_allow
        is_open = all(names is None or names == _ALL for names in lists)
        # As in n8n, two lists of "*" disable the policy, even if built-ins are denied.
        self.is_strict = not is_open or (bool(self.deny) and lists != (_ALL, _ALL))

    def check(self, tree: ast.AST) -> None:
        """Checks code before it runs. One exception lists all violations."""
        found: list[tuple[int, str]] = []
        if self.is_strict:
            found = violations(tree, self.refusal, USE_TEMPLATES[0], self._name_all)
        if found:
            description = "\n".join([f"Line {line}: {text}" for line, text in found])
            raise Violation(description, "Security violations detected", found[0][0])

    def _name_all(self, node: ast.ImportFrom) -> None:
        """Replaces `*` by the names that it imports now.

        At run time, `__import__` of the code could return an object of its own for the module,
        whose `__all__` names blocked attributes.
        """
        names: list[str] = []
        try:
            _load(node.module or "")
            members = vars(self._show_path(node.module or ""))
            names = members.get("__all__") or [name for name in members if name[0] != "_"]
            names = [name for name in names if name in members and name not in BLOCKED]
        except Exception:
            # The import raises the error again, with its line.
            pass
        node.names = [ast.alias(name) for name in names] or [ast.alias("__doc__", "_")]
        for alias in node.names:
            ast.copy_location(alias, node)

    def refusal(self, path: str) -> str | None:
        """Returns why a module cannot be imported, or None if it can."""
        top = path.partition(".")[0]
        if top in _stdlib:
            allow, what, which = self._stdlib_allow, "standard library module", "stdlib modules"
        else:
            allow, what, which = self._external_allow, "external package", "external packages"
        if not self.is_closed(path) and (allow is None or allow == _ALL or _covers(allow, path)):
            return None
        allowed = ", ".join(sorted(allow)) if allow else "none"
        return f"Import of {what} '{path}' is disallowed. Allowed {which}: {allowed}"

    def is_closed(self, path: str) -> bool:
        """Returns whether a module stays closed, whatever the lists allow."""
        is_own = path.partition(".")[0] in _OWN
        return is_own or (self.is_strict and _covers(_LOADERS, path))

    def demand(self, path: str) -> None:
        """Raises an exception if a module cannot be imported."""
        text = self.refusal(path)
        if text is not None:
            raise Violation(text)

    def import_(
        self,
        name: str,
        globals: object = None,
        locals: object = None,
        fromlist: Iterable[str] = (),
        level: int = 0,
    ) -> ModuleType:
        """The `__import__` of user code."""
        if level:
            raise Violation(RELATIVE)
        path, wanted = _text(name), [_text(part) for part in fromlist or ()]
        if path in _FOR_C and type(fromlist) is list and not wanted:
            # C code imports this way (PyImport_Import), with the globals of its caller. It ignores
            # the result and takes the module from `sys.modules`.
            _load(path)
            return self._show(path)
        self.demand(path)
        # Also loads submodules of `from … import …`.
        allowed = [part for part in wanted if self.refusal(f"{path}.{part}") is None]
        _import(path, None, None, allowed, 0)
        module = self._show_path(path)
        for part in wanted:
            inner = f"{path}.{part}"
            if part not in vars(module) and inner in _modules and self.refusal(inner) is None:
                self._show_path(inner)
        return module if wanted else self._show(path.partition(".")[0])

    def import_module(self, name: str, package: str | None = None) -> ModuleType:
        """The `importlib.import_module` of user code."""
        path = _text(name)
        if path.startswith("."):
            path = _resolve(path, _text(package or ""))
        self.demand(path)
        _load(path)
        return self._show_path(path)

    def _show_path(self, path: str) -> ModuleType:
        """Returns the stand-in of a loaded module, and adds it to those of its packages."""
        module = self._show(path)
        around, _, name = path.rpartition(".")
        if around:
            vars(self._show_path(around))[name] = module
        return module

    def _show(self, path: str) -> ModuleType:
        """Returns the stand-in of a loaded module. It is empty if the module is not allowed."""
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
        if self.is_strict:
            for add in ADDED:
                add(path, vars(real))
        for name, value in [*vars(real).items()]:
            self._give(members, path, name, value)
        for name in hidden:
            members.pop(name, None)
        if self.is_strict:
            members |= REPLACED.get(path, {})
        more = vars(real).get("__getattr__")
        if more is not None:
            members["__getattr__"] = hide(
                lambda name: self._more(members, path, name, hidden, more)
            )
        if path == "sys":
            members["modules"] = self.stand_ins
        elif path == "importlib":
            members |= REPLACED[path]

    def _give(self, members: dict[str, Any], path: str, name: str, value: Any) -> None:
        """Adds a member of a module, or its replacement, to the members of the stand-in."""
        if isinstance(value, ModuleType):
            # `os.path` is known by two names.
            own = f"{path}.{name}"
            known = own if _modules.get(own) is value else value.__name__
            if _modules.get(known) is value and self.refusal(known) is None:
                members[name] = self._show(known)
        elif self.is_strict and id(value) in GUARDED:
            members[name] = GUARDED[id(value)]()
        else:
            members[name] = value

    def _more(
        self,
        members: dict[str, Any],
        path: str,
        name: Any,
        hidden: frozenset[str],
        more: Callable[[str], Any],
    ) -> Any:
        """Returns a member that the module's `__getattr__` makes."""
        name = _text(name)
        if name not in hidden:
            self._give(members, path, name, more(name))
        if name not in members:
            raise AttributeError(f"module {path!r} has no attribute {name!r}")
        return members[name]

    def builtins(self) -> dict[str, Any]:
        """Returns the built-ins of user code: some guarded, those of the deny list omitted."""
        given = dict(vars(builtins))
        if self.is_strict:
            given |= REPLACED["builtins"]
        for name in self.deny | _LEFT_OUT:
            given.pop(name, None)
        given["__import__"] = REPLACED["builtins"]["__import__"]
        return given


def _names(value: Any) -> frozenset[str] | None:
    """Converts one of the host's lists."""
    return None if value is None else frozenset(value)


def _covers(allow: frozenset[str], path: str) -> bool:
    """Returns whether a list contains a module or one of its packages."""
    return any(path == name or path.startswith(name + ".") for name in allow)


def _text(value: str) -> str:
    """Returns the exact str: a subclass could change its value after a check."""
    if not isinstance(value, str):
        raise TypeError(f"a module's name must be a str, not {type(value).__name__}")
    return str.__str__(value)
