"""Guards of `compile`, `exec` and `eval`: they check code that is made while the program runs."""

import ast
import operator
import sys
from types import CodeType
from typing import Any

from _serpentarium.core.code import bind
from _serpentarium.core.current import task
from _serpentarium.core.threads import schedule
from _serpentarium.policy.policy import Violation

_frame = sys._getframe
_modules = sys.modules
_add_audit_hook = sys.addaudithook
_compile, _exec, _eval, _vars = compile, exec, eval, vars
_ONLY_AST = ast.PyCF_ONLY_AST

# Depth of the caller's frame, counted from `_run`: guard, `hide`, caller.
_CALLER = 3

_NODES = frozenset(
    kind for kind in _vars(ast).values() if isinstance(kind, type) and issubclass(kind, ast.AST)
)
# The two functions of this package that make a function of a code object.
_MAKERS = (bind.__code__, schedule.call.__code__)
_watches_code = False


def _checked(source: Any, mode: str) -> Any:
    """Returns a checked tree, or code that was made of one."""
    if type(source) is CodeType:
        return source
    if type(source) not in _NODES:
        # The tree that is checked is also the tree that is compiled: `source` is read once.
        source = _compile(source, "<string>", mode, _ONLY_AST)
    for node in ast.walk(source):
        if type(node) is ast.ImportFrom and any(alias.name == "*" for alias in node.names):
            # It reads every attribute that `__all__` names, of anything that a user's own
            # `__import__` returns.
            raise Violation("Imports of * in code that is made at run time are disallowed.")
        if type(node) not in _NODES or not {"_fields", "_attributes"}.isdisjoint(_vars(node)):
            raise Violation("A syntax tree that is not of Python's own nodes is disallowed.")
    task.policy.check(source)
    return source


def guarded_compile(
    source: Any,
    filename: Any,
    mode: str,
    flags: int = 0,
    dont_inherit: bool = False,
    optimize: int = -1,
    **options: Any,
) -> Any:
    tree = _checked(source, mode)
    flags = operator.index(flags)
    if flags & _ONLY_AST:
        # A tree gives access to the classes of its nodes.
        task.policy.demand("ast")
        return tree
    _watch_code()
    return _compile(tree, filename, mode, flags, dont_inherit, optimize, **options)


def _watch_code() -> None:
    """Refuses objects made by hand of compiled code: code objects of its parts, and functions.

    A function without built-ins of its own gets those of the caller's frame. In a callback of the
    library they are the real ones.
    """
    global _watches_code
    if not _watches_code:
        _watches_code = True
        _add_audit_hook(_refuse_new_code)


def _refuse_new_code(event: str, _args: object) -> None:
    if event == "code.__new__":
        raise Violation("Code objects that were not made by compile() are disallowed.")
    if event == "function.__new__" and not any(_frame(1).f_code is maker for maker in _MAKERS):
        raise Violation("Functions that were made of a code object are disallowed.")


def guarded_exec(source: Any, globals: Any = None, locals: Any = None, **options: Any) -> None:
    _run(_exec, _code(source, "exec"), globals, locals, options)


def guarded_eval(source: Any, globals: Any = None, locals: Any = None) -> Any:
    return _run(_eval, _code(source, "eval"), globals, locals, {})


def _code(source: Any, mode: str) -> Any:
    if isinstance(source, str) and mode == "eval":
        source = source.strip()
    checked = _checked(source, mode)
    return checked if type(checked) is CodeType else _compile(checked, "<string>", mode)


def _run(run: Any, code: Any, globals: Any, locals: Any, options: dict[str, Any]) -> Any:
    if globals is None:
        caller = _frame(_CALLER)
        globals = caller.f_globals
        if _belong_to_library(globals):
            # The library calls it back, from a callback of `sched` or a barrier for example.
            globals = task.namespace
        elif locals is None and caller.f_locals is not globals:
            locals = dict(caller.f_locals)
    if issubclass(type(globals), dict) and not dict.__contains__(globals, "__builtins__"):
        dict.__setitem__(globals, "__builtins__", task.policy.builtins())
    return run(code, globals, locals, **options)


def _belong_to_library(globals: dict[str, Any]) -> bool:
    name = globals.get("__name__")
    module = _modules.get(name) if type(name) is str and globals is not task.namespace else None
    return module is not None and _vars(module) is globals and name != "__main__"
