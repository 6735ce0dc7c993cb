"""Marks in a program: a call before each statement that begins a line, which notifies the host.

`sys.monitoring` has line events, but slows down the instrumented instructions by an amount that
varies and that nothing reports. A mark consumes the same fuel everywhere, so the host can
subtract it.
"""

import ast
import warnings
from collections.abc import Callable
from types import CodeType
from typing import Any, TypeVar

from _serpentarium.abi import FIRST_NUMBER, LINE

_T = TypeVar("_T")

# Placeholder in the tree for the function, which only a code object can hold.
_NOTIFY = "\0serpentarium.notify"

_LOOPS = (ast.For, ast.AsyncFor, ast.While)
_WITHS = (ast.With, ast.AsyncWith)
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
# Statements without instructions.
_SILENT = (ast.Global, ast.Nonlocal)
_LEAVING = (ast.Return, ast.Raise, ast.Break, ast.Continue)


def number(value: int) -> str:
    """Encodes a number for the host."""
    return str(FIRST_NUMBER + value)


def mark(tree: ast.Module | ast.FunctionDef) -> None:
    """Adds the marks to a program."""
    _block(tree.body, None, None)


def quiet(make: Callable[[], _T]) -> _T:
    """Calls `make` without the compiler's warning that a str is not callable."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        return make()


def connect(code: CodeType, notify: Callable[[str, str], None]) -> CodeType:
    """Returns the code with marks that call `notify`."""
    constants = [_constant(constant, notify) for constant in code.co_consts]
    return code.replace(co_consts=tuple(constants))


def has_marks(code: CodeType, notify: Callable[[str, str], None]) -> bool:
    """Returns whether code has marks. Code on a single line has none."""
    return any(constant is notify for constant in code.co_consts)


def _constant(constant: Any, notify: Callable[[str, str], None]) -> Any:
    if type(constant) is CodeType:
        return connect(constant, notify)
    return notify if type(constant) is str and constant == _NOTIFY else constant


def _block(body: list[ast.stmt], before: int | None, loop: int | None) -> None:
    """Marks statements.

    `before`: the line of the previous mark; `loop`: the line that `continue` jumps to.
    """
    marked: list[ast.stmt] = []
    start = _silent_start(body)
    for place, statement in enumerate(body):
        line = _line(statement)
        if place >= start and line != before and not isinstance(statement, _SILENT):
            marked.append(_mark(line))
        before = line
        _inside(statement, line, loop)
        if isinstance(statement, ast.Continue) and loop is not None:
            marked.append(_mark(loop))
        marked.append(statement)
    body[:] = marked


def _silent_start(body: list[ast.stmt]) -> int:
    """Returns how many statements must stay first: a docstring and `__future__` imports."""
    start = 0
    for statement in body:
        is_text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        is_future = isinstance(statement, ast.ImportFrom) and statement.module == "__future__"
        if not (is_future or (is_text and start == 0)):
            break
        start += 1
    return start


def _inside(statement: ast.stmt, line: int, loop: int | None) -> None:
    """Marks the statements inside of one that begins in this line."""
    if isinstance(statement, (*_LOOPS, *_WITHS)):
        body = statement.body
        # A loop on a single line has no marks for its rounds.
        is_spread = body[-1].end_lineno != line
        is_left = isinstance(body[-1], _LEAVING)
        is_loop = isinstance(statement, _LOOPS)
        _block(body, line, (line if is_spread else None) if is_loop else loop)
        if is_spread and not is_left:
            # Execution returns to the line of the loop or of the context manager.
            body.append(_mark(line))
        if isinstance(statement, _LOOPS):
            _block(statement.orelse, line, loop)
    elif isinstance(statement, _DEFINITIONS):
        _block(statement.body, line, None)
    elif isinstance(statement, ast.If):
        _block(statement.body, line, loop)
        _block(statement.orelse, line, loop)
    elif isinstance(statement, ast.Match):
        for case in statement.cases:
            _block(case.body, line, loop)
    elif isinstance(statement, (ast.Try, ast.TryStar)):
        _block(statement.body, line, loop)
        handlers = [handler.body for handler in statement.handlers]
        for body in (statement.orelse, statement.finalbody, *handlers):
            _block(body, None, loop)


def _line(statement: ast.stmt) -> int:
    """Returns the line in which a statement begins, with its decorators."""
    if isinstance(statement, _DEFINITIONS) and statement.decorator_list:
        return statement.decorator_list[0].lineno
    return statement.lineno


def _mark(line: int) -> ast.stmt:
    called = ast.Call(ast.Constant(_NOTIFY), [ast.Constant(LINE), ast.Constant(number(line))], [])
    mark = ast.Expr(called)
    nodes: tuple[ast.expr | ast.stmt, ...] = (mark, called, called.func, *called.args)
    for node in nodes:
        node.lineno = node.end_lineno = line
        node.col_offset = node.end_col_offset = 0
    return mark
