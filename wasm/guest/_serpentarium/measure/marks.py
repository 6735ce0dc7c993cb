"""Marks in the text of a program: before each statement that begins a line, a call that tells the host of it.

`sys.monitoring` knows lines, too, but makes the instructions slower that begin them or are jumped to within them: by as much
as the program itself burns, and without a word that it could be told by. A mark costs the same wherever it stands.
"""

import ast
import warnings
from collections.abc import Callable
from types import CodeType
from typing import Any

# Stands in the tree for what is called, which a tree cannot hold.
_NOTIFY = "\0serpentarium.notify"
# Every number has as many digits, and so costs the same to tell.
_FIRST = 1_000_000

_LOOPS = (ast.For, ast.AsyncFor, ast.While)
_WITHS = (ast.With, ast.AsyncWith)
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
# Statements that do nothing when they are reached.
_SILENT = (ast.Global, ast.Nonlocal)
_LEAVING = (ast.Return, ast.Raise, ast.Break, ast.Continue)


def number(value: int) -> str:
    """A number as the host reads it."""
    return str(_FIRST + value)


def mark(tree: ast.Module) -> None:
    """Puts the marks into a program."""
    _block(tree.body, None, None)


def quiet(make: Callable[[], Any]) -> Any:
    """What `make` makes; Python warns of what seems to be called in a mark."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        return make()


def connect(code: CodeType, notify: Callable[[str, str], None]) -> CodeType:
    """The same code with marks that call `notify`."""
    constants = [_constant(constant, notify) for constant in code.co_consts]
    return code.replace(co_consts=tuple(constants))


def has_marks(code: CodeType, notify: Callable[[str, str], None]) -> bool:
    """Whether code tells of its lines: what lies on one line does not."""
    return any(constant is notify for constant in code.co_consts)


def _constant(constant: Any, notify: Callable[[str, str], None]) -> Any:
    if type(constant) is CodeType:
        return connect(constant, notify)
    return notify if type(constant) is str and constant == _NOTIFY else constant


def _block(body: list[ast.stmt], before: int | None, loop: int | None) -> None:
    """Marks statements. `before` is the line told of last, `loop` that of the loop's head that `continue` goes back to."""
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
    """How many statements have to stay first: a docstring, and what is imported from the future."""
    start = 0
    for statement in body:
        is_text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        is_future = isinstance(statement, ast.ImportFrom) and statement.module == "__future__"
        if not (is_future or (is_text and start == 0)):
            break
        start += 1
    return start


def _inside(statement: Any, line: int, loop: int | None) -> None:
    """Marks the statements inside of one that begins in this line."""
    if isinstance(statement, (*_LOOPS, *_WITHS)):
        body = statement.body
        # On one line there is nothing to tell of its rounds.
        is_spread = body[-1].end_lineno != line
        is_loop = isinstance(statement, _LOOPS)
        is_left = isinstance(body[-1], _LEAVING)
        _block(body, line, (line if is_spread else None) if is_loop else loop)
        if is_spread and not is_left:
            # Back to the head of the loop, or out of what was entered there.
            body.append(_mark(line))
        if is_loop:
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
        for body in (statement.orelse, statement.finalbody, *[handler.body for handler in statement.handlers]):
            _block(body, None, loop)


def _line(statement: Any) -> int:
    """The line where a statement begins, with its decorators."""
    decorators = getattr(statement, "decorator_list", ())
    line: int = decorators[0].lineno if decorators else statement.lineno
    return line


def _mark(line: int) -> ast.stmt:
    called = ast.Call(ast.Constant(_NOTIFY), [ast.Constant("line"), ast.Constant(number(line))], [])
    mark = ast.Expr(called)
    for node in (mark, called, called.func, *called.args):
        node.lineno = node.end_lineno = line
        node.col_offset = node.end_col_offset = 0
    return mark
