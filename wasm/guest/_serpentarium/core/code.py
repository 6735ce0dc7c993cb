"""From the text of a Code node to a function without parameters.

The text is parsed as it is and its statements are moved into one function, so that `return` works at the top level,
while line numbers and the content of multi-line strings stay those of the user's own text. Where `await` and its kin
stand at the top level, that function is a coroutine function, and a call of it runs an event loop.
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

# The name in tracebacks, as in any Python script.
_NAME = "<module>"

_ONLY_AST = ast.PyCF_ONLY_AST
_NO_PARAMETERS = ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[])

# Flags of code: what a `yield` makes of it (a generator, an asynchronous generator), and what an `await` does.
_GENERATOR = 0x20 | 0x200
_COROUTINE = 0x80

# The short way for a text that compiles as it is; None for any other, False for one that it does not try.
_function_code: Callable[[str, str, str], CodeType | Literal[False] | None] = _host.function_code
_compile = compile
_Function = FunctionType
_run_loop = asyncio.run


def compile_body(text: str, check: Callable[[ast.Module], None] | None = None) -> CodeType | None:
    """The code of a function whose body is `text`, or None where there is nothing to run.

    `check` sees what was written before anything else is made of it, and may refuse it with an exception.
    """
    quickly = _function_code(text, FILENAME, _NAME) if check is None else False
    if quickly:
        return quickly
    text = text.removeprefix("\ufeff")
    # The short way has already said what there is to warn of, up to where it failed.
    with nullcontext() if quickly is False else catch_warnings(action="ignore"):
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
    """Makes the statements of a module those of one function in it, behind its imports from the future."""
    # An empty body is left where there were only future imports: `pass` takes its place.
    body = tree.body or [ast.Pass(lineno=1, col_offset=0, end_lineno=1, end_col_offset=0)]
    function = ast.FunctionDef(
        _NAME, _NO_PARAMETERS, body, [], lineno=1, col_offset=0, end_lineno=1, end_col_offset=0
    )  # fmt: skip
    tree.body = [*future, function]


def _compile_module(tree: ast.Module) -> CodeType | SyntaxError:
    """The code of a module, or what is wrong with it."""
    try:
        return _compile(tree, FILENAME, "exec", 0, True)
    except SyntaxError as error:
        return error


def parse(text: str) -> ast.Module:
    """The tree of a text that `compile_body` takes."""
    text = text.removeprefix("\ufeff")
    try:
        tree: ast.Module = _compile(text, FILENAME, "exec", _ONLY_AST, True)
    except (SyntaxError, ValueError) as error:
        tree = _parse_again(text, error)
    return tree


def _parse_again(text: str, error: SyntaxError | ValueError) -> ast.Module:
    """The tree of a text that failed to parse, where only its indentation is in the way; otherwise raises the error."""
    tree = _parse_indented(text) if isinstance(error, IndentationError) else None
    if tree is None:
        raise _with_place(error, text) from None
    return tree


def _compile_async(tree: ast.Module, text: str, error: SyntaxError) -> CodeType:
    """The code of a module whose function did not compile, because it awaits something; otherwise raises the error."""
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
        # Python's words for a `yield` in such a function: nobody here wrote a function.
        is_yield = "yield" in other.msg or "async generator" in other.msg
        raise _yield_outside_function(function.body, text) if is_yield else other from None
    for warning in given:
        # What stands before the first `await` was warned of when that stopped the compiler.
        if warning.lineno >= (error.lineno or 0):
            warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    return code


def _parse_indented(text: str) -> ast.Module | None:
    """The tree of a text whose lines all start further in, as when it was cut out of a function; None for any other."""
    try:
        tree = _compile("if 1:\n" + text, FILENAME, "exec", _ONLY_AST, True)
    except (SyntaxError, ValueError):
        return None
    block = tree.body[0]
    if len(tree.body) != 1 or not isinstance(block, ast.If) or block.orelse:
        return None
    tree.body = block.body
    return ast.increment_lineno(tree, -1)


def _with_place(error: SyntaxError | ValueError, text: str) -> SyntaxError | ValueError:
    """The same error, with the place where Python gives none: for text that it does not even read."""
    if isinstance(error, UnicodeEncodeError):
        what, where = "source code cannot contain lone surrogates", error.start
    elif "\0" in text:
        what, where = "source code cannot contain null bytes", text.index("\0")
    else:
        return error
    before = lines(text[:where])
    return SyntaxError(what, (FILENAME, len(before), len(before[-1]) + 1, lines(text)[len(before) - 1]))


def lines(text: str) -> list[str]:
    """The lines as Python's tokenizer counts them (`splitlines` knows more ends of lines than Python does)."""
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def bind(code: CodeType, namespace: dict[str, object]) -> Callable[[], Any]:
    """The function to call, with `namespace` as its globals."""
    function = _Function(code, namespace)
    if code.co_flags & _COROUTINE:
        return lambda: _run_loop(function())
    return function


def _take_future_imports(body: list[ast.stmt]) -> list[ast.stmt]:
    """Removes the leading `from __future__ import …` from `body`: they are only valid at the top of a module."""
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
    return isinstance(statement, ast.ImportFrom) and statement.module == "__future__" and not statement.level


def _yield_outside_function(body: list[ast.stmt], text: str) -> SyntaxError:
    """The error that Python gives a `yield` at the top level of a module."""
    node = _first_yield(body)
    line = lines(text)[node.lineno - 1]
    column = len(line.encode()[: node.col_offset].decode(errors="replace")) + 1
    return SyntaxError("'yield' outside function", (FILENAME, node.lineno, column, line))


def _first_yield(body: list[ast.stmt]) -> ast.Yield | ast.YieldFrom:
    """The first `yield` that belongs to the top level and not to a function or class in it."""
    todo: list[ast.AST] = body[::-1]  # type: ignore[assignment]
    while True:
        node = todo.pop()
        if isinstance(node, (ast.Yield, ast.YieldFrom)):
            return node
        todo += _outside(node)[::-1]


def _outside(node: ast.AST) -> list[ast.AST]:
    """What of a node belongs to where the node stands: of a function or a class, not its body."""
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
