"""Compiles Python modules to bytecode for the image.

    freeze.py MODULES.json BLOB TABLE

The helper python runs it, because bytecode fits one version of CPython only. MODULES lists
[name, path, is a package]. BLOB gets all marshalled code, TABLE one line of C per module.
"""

import json
import marshal
import sys
from pathlib import Path

# Bytes between starts of modules in BLOB are a multiple of this.
ALIGNMENT = 16
# Drops docstrings and assertions, which halves the size.
OPTIMIZE = 2


def main(plan: Path, blob: Path, table: Path) -> None:
    """Freezes every module of the plan."""
    lines = []
    with blob.open("wb") as out:
        for name, path, is_package in json.loads(plan.read_text()):
            source = Path(path).read_bytes()
            code = marshal.dumps(
                compile(source, f"<frozen {name}>", "exec", dont_inherit=True, optimize=OPTIMIZE)
            )
            lines.append(
                f'MODULE("{name}", {out.tell()}, {len(code)}, {str(is_package).lower()})\n'
            )
            out.write(code + bytes(-len(code) % ALIGNMENT))
    table.write_text("".join(lines))
    print(f"{len(lines)} modules, {blob.stat().st_size} bytes")


main(*map(Path, sys.argv[1:]))
