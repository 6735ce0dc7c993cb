"""Compiles Python modules to bytecode for the image.

    freeze.py MODULES.json TOPICS BLOB TABLE

The helper python runs it, because bytecode fits one version of CPython only. MODULES lists
[name, path, is a package]. BLOB gets all marshalled code, TABLE one line of C per module. The last
module, `_help_texts`, has the docstrings of all others, and the topics of `help`.
"""

import ast
import json
import marshal
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

# Bytes between starts of modules in BLOB are a multiple of this.
ALIGNMENT = 16
# Drops docstrings and assertions, which halves the size.
OPTIMIZE = 2


def docstrings(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yields the docstrings that `help` shows: name in the module, which is empty for its own."""
    if isinstance(tree, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
        text = ast.get_docstring(tree)
        if text:
            yield prefix, text
        prefix += "." if prefix else ""
    if isinstance(tree, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            if not is_private(node.name):
                yield from docstrings(node, prefix + node.name)
        elif isinstance(node, (ast.If, ast.Try)):
            yield from docstrings(node, prefix)


def is_private(name: str) -> bool:
    """Whether `help` leaves a member out. It shows `__init__`."""
    return name.startswith("_") and not name.startswith("__")


def packed(value: object) -> bytes:
    """Compresses JSON: the texts are a quarter of their size, and few tasks read one of them."""
    return zlib.compress(json.dumps(value, ensure_ascii=False).encode(), 9)


def help_texts(texts: dict[str, dict[str, str]], topics: Path) -> str:
    """Returns the source of the module `_help_texts`."""
    table = ast.parse(topics.read_text(encoding="utf-8")).body[-1]
    assert isinstance(table, ast.Assign)
    lines = "".join(f"    {name!r}: {packed(some)!r},\n" for name, some in texts.items())
    return f"TOPICS = {packed(ast.literal_eval(table.value))!r}\nTEXTS = {{\n{lines}}}\n"


def main(plan: Path, topics: Path, blob: Path, table: Path) -> None:
    """Freezes every module of the plan."""
    lines = []
    texts: dict[str, dict[str, str]] = {}
    with blob.open("wb") as out:

        def freeze(name: str, source: bytes | str, is_package: bool) -> None:
            code = marshal.dumps(
                compile(source, f"<frozen {name}>", "exec", dont_inherit=True, optimize=OPTIMIZE)
            )
            lines.append(
                f'MODULE("{name}", {out.tell()}, {len(code)}, {str(is_package).lower()})\n'
            )
            out.write(code + bytes(-len(code) % ALIGNMENT))

        for name, path, is_package in json.loads(plan.read_text()):
            source = Path(path).read_bytes()
            some = dict(docstrings(ast.parse(source)))
            if some and not any(map(is_private, name.split("."))):
                texts[name] = some
            freeze(name, source, is_package)
        freeze("_help_texts", help_texts(texts, topics), False)
    table.write_text("".join(lines))
    print(f"{len(lines)} modules, {blob.stat().st_size} bytes")


main(*map(Path, sys.argv[1:]))
