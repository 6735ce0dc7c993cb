"""Compiles the text of a program: a module that can return and await at its top level.

Line numbers and multi-line strings stay as they are in the text. `await` at the top level makes
the program's code that of a coroutine, which an event loop runs.
"""

import ast
import asyncio
from collections.abc import Callable
from contextlib import nullcontext
from types import CodeType, FunctionType
from typing import Any
from warnings import catch_warnings

import _host

from _serpentarium.core.fence import without_fence
from _serpentarium.core.forms import finish

FILENAME = "<code>"

# Names by which code can see or change the module's variables other than by their own names: all
# variables of code that contains one, as a name or as a text, are entries of the module's dict. In
# other code, variables that no function, class or import names are local, which is faster.
REVEALING = frozenset(
    """
    __builtins__ __globals__ __import__ __main__ _current_frames _getframe breakpoint builtins
    cProfile capture_locals copyreg dir doctest eval exec f_globals f_locals get_objects
    get_referents get_referrers get_type_hints globals importlib importlib.machinery
    importlib.util inspect locals logging.config modules multiprocessing multiprocessing.dummy
    multiprocessing.pool pdb pickle runpy shelve singledispatch singledispatchmethod timeit
    unittest unittest.mock vars walk_stack
    """.split()
)

_ONLY_AST = ast.PyCF_ONLY_AST

# Flag of code objects (`inspect.CO_COROUTINE`).
_COROUTINE = 0x80

_program_code = _host.program_code
_compile = compile
_Function = FunctionType
_run_loop = asyncio.run


def compile_program(text: str, check: Callable[[ast.Module], None] | None = None) -> CodeType:
    """Compiles a program.

    `check` receives the tree before it is compiled. It can change the tree or raise an exception.
    """
    # Fast path in C. None: the text does not compile as it is; False: it was not tried.
    quick = _program_code(text, FILENAME, REVEALING) if check is None else False
    if quick:
        return quick
    # The fast path has issued the warnings of the lines before its failure.
    with nullcontext() if quick is False else catch_warnings(action="ignore"):
        tree = parse(text)
        if check is not None:
            check(tree)
        return _program_code(tree, FILENAME, REVEALING)


def parse(text: str) -> ast.Module:
    """Parses the text of a program."""
    text = text.removeprefix("\ufeff")
    try:
        tree: ast.Module = _compile(text, FILENAME, "exec", _ONLY_AST, True)
    except (SyntaxError, ValueError) as error:
        tree = _parse_again(text, error)
    return tree


def _parse_again(text: str, error: SyntaxError | ValueError) -> ast.Module:
    """Parses a text without its common indentation or its fence, or raises the first error."""
    inner = without_fence(text)
    if inner is not None:
        return parse(inner)
    tree = _parse_indented(text) if isinstance(error, IndentationError) else None
    if tree is None:
        raise _with_place(error, text) from None
    return tree


def _parse_indented(text: str) -> ast.Module | None:
    """Parses a text whose lines are all indented; None for any other text."""
    try:
        tree: ast.Module = _compile("if 1:\n" + text, FILENAME, "exec", _ONLY_AST, True)
    except (SyntaxError, ValueError):
        return None
    block = tree.body[0]
    if len(tree.body) != 1 or not isinstance(block, ast.If) or block.orelse:
        return None
    tree.body = block.body
    ast.increment_lineno(tree, -1)
    return tree


def _with_place(error: SyntaxError | ValueError, text: str) -> SyntaxError | ValueError:
    """Adds the position to errors for which CPython gives none."""
    if isinstance(error, UnicodeEncodeError):
        message, offset = "source code cannot contain lone surrogates", error.start
    elif "\0" in text:
        message, offset = "source code cannot contain null bytes", text.index("\0")
    else:
        return error
    before = lines(text[:offset])
    line = lines(text)[len(before) - 1]
    return SyntaxError(message, (FILENAME, len(before), len(before[-1]) + 1, line))


def lines(text: str) -> list[str]:
    """Splits lines as Python's tokenizer does. `str.splitlines` splits at more characters."""
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def bind(code: CodeType, namespace: dict[str, object]) -> Callable[[], Any]:
    """Returns the function to call, with `namespace` as its globals."""
    function = _Function(code, namespace)
    if code.co_flags & _COROUTINE:
        return lambda: _run_loop(finish(function()))
    return function
