"""Compiles a module that returns and awaits, with an ordinary Python: nearly as the image does.

The statements become a function's body, all of whose variables are declared global. Qualified
names, `from … import *`, and the text of some errors differ. Tests of these run in the image.
"""

import ast
from types import CodeType

_NAME = "<module>"


def compile_tree(tree: ast.Module, filename: str) -> CodeType:
    """Compiles a program's tree."""
    body = tree.body
    if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
        # A docstring precedes the future imports.
        del body[0]
    start = sum(isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in body)
    future, body = body[:start], body[start:] or [ast.Pass()]
    try:
        code = _function(ast.FunctionDef, future, body, filename)
    except SyntaxError as error:
        if "await" not in error.msg and "async" not in error.msg:
            raise
        code = _function(ast.AsyncFunctionDef, future, body, filename)
    return code


def _function(
    kind: type[ast.FunctionDef | ast.AsyncFunctionDef],
    future: list[ast.stmt],
    body: list[ast.stmt],
    filename: str,
) -> CodeType:
    names: list[str] = []
    while True:
        declared: list[ast.stmt] = [ast.Global(names)] if names else []
        none = ast.arguments([], [], None, [], [], None, [])
        made = kind(_NAME, none, [*declared, *body], [], lineno=1, col_offset=0)
        tree = ast.fix_missing_locations(ast.Module([*future, made], []))
        module = compile(tree, filename, "exec", 0, True)
        code: CodeType = next(part for part in module.co_consts if type(part) is CodeType)
        if names or not (code.co_varnames or code.co_cellvars):
            return code
        names = [*code.co_varnames, *code.co_cellvars]
