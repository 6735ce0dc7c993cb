"""Compiles the text of a program to a function without parameters.

The statements of the parsed text become the body of a function, so `return` works at the top
level. Line numbers and multi-line strings stay as they are in the text. `await` at the top level
makes it a coroutine function, whose call runs an event loop.
"""

import ast
import asyncio
from collections.abc import Callable
from contextlib import nullcontext
from types import CodeType, FunctionType
from typing import Any, Literal
from warnings import catch_warnings, warn_explicit

import _host

FILENAME = "<code>"

# The name of the function in tracebacks, as in a Python script.
_NAME = "<module>"

_ONLY_AST = ast.PyCF_ONLY_AST
_NO_PARAMETERS = ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[])

# Flags of code objects (`inspect.CO_*`): generators, asynchronous generators; coroutines.
_GENERATOR = 0x20 | 0x200
_COROUTINE = 0x80

# Fast path in C. None: the text does not compile as it is; False: it was not tried.
_function_code: Callable[[str, str, str], CodeType | Literal[False] | None] = _host.function_code
_compile = compile
_Function = FunctionType
_run_loop = asyncio.run


def compile_body(text: str, check: Callable[[ast.Module], None] | None = None) -> CodeType | None:
    """Compiles a function whose body is `text`; None if the text has no statements.

    `check` receives the tree before it is changed, and can raise an exception.
    """
    quick = _function_code(text, FILENAME, _NAME) if check is None else False
    if quick:
        return quick
    text = text.removeprefix("\ufeff")
    # The fast path has issued the warnings of the lines before its failure.
    with nullcontext() if quick is False else catch_warnings(action="ignore"):
        tree = parse(text)
        if check is not None:
            check(tree)
        body = tree.body
        if not body:
            return None
        _wrap(tree, _take_future_imports(body) if "__future__" in text else [])
        module = _compile_module(tree)
    if isinstance(module, SyntaxError):
        module = _compile_async(tree, text, module)
    code: CodeType = next(constant for constant in module.co_consts if type(constant) is CodeType)
    if code.co_flags & _GENERATOR:
        raise _yield_outside_function(body, text)
    return code


def _wrap(tree: ast.Module, future: list[ast.stmt]) -> None:
    """Moves the statements of a module into a function, after its `__future__` imports."""
    # A text of `__future__` imports only leaves an empty body.
    body = tree.body or [ast.Pass(lineno=1, col_offset=0, end_lineno=1, end_col_offset=0)]
    function = ast.FunctionDef(
        _NAME, _NO_PARAMETERS, body, [], lineno=1, col_offset=0, end_lineno=1, end_col_offset=0
    )  # fmt: skip
    tree.body = [*future, function]


def _compile_module(tree: ast.Module) -> CodeType | SyntaxError:
    """Compiles a module. Returns the error if that fails."""
    try:
        return _compile(tree, FILENAME, "exec", 0, True)
    except SyntaxError as error:
        return error


def parse(text: str) -> ast.Module:
    """Parses the text of a program."""
    text = text.removeprefix("\ufeff")
    try:
        tree: ast.Module = _compile(text, FILENAME, "exec", _ONLY_AST, True)
    except (SyntaxError, ValueError) as error:
        tree = _parse_again(text, error)
    return tree


def _parse_again(text: str, error: SyntaxError | ValueError) -> ast.Module:
    """Parses a text without its common indentation, or raises the error of the first attempt."""
    tree = _parse_indented(text) if isinstance(error, IndentationError) else None
    if tree is None:
        raise _with_place(error, text) from None
    return tree


def _compile_async(tree: ast.Module, text: str, error: SyntaxError) -> CodeType:
    """Compiles a module whose function contains `await`, or raises the error."""
    if "outside" not in error.msg or "async" not in error.msg:
        raise error
    function = tree.body.pop()
    assert isinstance(function, ast.FunctionDef)
    fields = {name: getattr(function, name) for name in (*function._fields, *function._attributes)}
    tree.body.append(ast.AsyncFunctionDef(**fields))
    try:
        with catch_warnings(record=True) as given:
            code: CodeType = _compile(tree, FILENAME, "exec", 0, True)
    except SyntaxError as other:
        # CPython's message names an asynchronous function, which the user did not write.
        is_yield = "yield" in other.msg or "async generator" in other.msg
        raise (_yield_outside_function(function.body, text) if is_yield else other) from None
    for warning in given:
        # The first attempt has issued the warnings of the lines before the first `await`.
        if warning.lineno >= (error.lineno or 0):
            warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    return code


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
        return lambda: _run_loop(function())
    return function


def _take_future_imports(body: list[ast.stmt]) -> list[ast.stmt]:
    """Removes the leading `__future__` imports, which are valid only in a module."""
    start = 1 if _is_docstring(body[0]) else 0
    end = start
    while end < len(body) and _is_future_import(body[end]):
        end += 1
    future = body[start:end]
    del body[start:end]
    return future


def _is_docstring(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _is_future_import(statement: ast.stmt) -> bool:
    if not isinstance(statement, ast.ImportFrom):
        return False
    return statement.module == "__future__" and not statement.level


def _yield_outside_function(body: list[ast.stmt], text: str) -> SyntaxError:
    """Makes CPython's error for a `yield` at the top level of a module."""
    node = _first_yield(body)
    line = lines(text)[node.lineno - 1]
    column = len(line.encode()[: node.col_offset].decode(errors="replace")) + 1
    return SyntaxError("'yield' outside function", (FILENAME, node.lineno, column, line))


def _first_yield(body: list[ast.stmt]) -> ast.Yield | ast.YieldFrom:
    """Returns the first `yield` at the top level, outside of functions and class bodies."""
    todo: list[ast.AST] = [*body[::-1]]
    while True:
        node = todo.pop()
        if isinstance(node, (ast.Yield, ast.YieldFrom)):
            return node
        todo += _outside(node)[::-1]


def _outside(node: ast.AST) -> list[ast.AST]:
    """Returns the children of a node in the same scope: not the body of a function or class."""
    match node:
        case ast.Lambda():
            return [*_nodes(node.args.defaults), *_nodes(node.args.kw_defaults)]
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            returned = [node.returns] if node.returns else []
            return [*node.decorator_list, *ast.iter_child_nodes(node.args), *returned]
        case ast.ClassDef():
            return [*node.decorator_list, *node.bases, *node.keywords]
        case _:
            return list(ast.iter_child_nodes(node))


def _nodes(given: list[Any]) -> list[ast.AST]:
    return [node for node in given if node is not None]
