"""The value of a last expression as the result of a program, as in a notebook.

The host asks for it with the setting `last`. A program that has a `return` outside functions says
itself what its result is, so it stays as it is.
"""

import ast

from _serpentarium.core.code import parse
from _serpentarium.core.extensions import Check

# Calls at the end of a script that ends the task: their value does not matter.
_ENDINGS = frozenset({"exit", "quit", "sys.exit"})


def returning_last(check: Check | None) -> Check:
    """Returns a check that also makes the last expression the result."""

    def change(tree: ast.Module) -> None:
        if check is not None:
            check(tree)
        return_last(tree)

    return change


def return_last(tree: ast.Module) -> None:
    """Makes a last expression the result of the program."""
    last = _last_expression(tree)
    if last is not None:
        tree.body[-1] = ast.copy_location(ast.Return(last.value), last)


def drops_value(text: str) -> bool:
    """Returns whether a program ends in an expression, whose value nobody sees.

    `serpentarium exec` asks this when a program has shown nothing.
    """
    last = _last_expression(parse(text))
    if last is None:
        return False
    value = last.value
    return not (isinstance(value, ast.Call) and ast.unparse(value.func) in _ENDINGS)


def _last_expression(tree: ast.Module) -> ast.Expr | None:
    last = tree.body[-1] if tree.body else None
    return last if isinstance(last, ast.Expr) and not _returns(tree) else None


def _returns(tree: ast.Module) -> bool:
    """Returns whether a program has a `return` outside functions."""
    todo: list[ast.AST] = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Return):
            return True
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            children = ast.iter_child_nodes(node)
            # Expressions contain no statements.
            todo += [child for child in children if not isinstance(child, ast.expr)]
    return False
