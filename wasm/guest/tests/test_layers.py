"""Which packages import which: `core` depends on no other, and the others only on `core`."""

import ast
import unittest
from collections.abc import Iterator
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1] / "_serpentarium"

# The packages that each package can import. `abi` has no imports.
_ALLOWED = {
    "core": {"abi", "core"},
    "http": {"abi", "core", "http"},
    "n8n": {"abi", "core", "n8n"},
    "policy": {"abi", "core", "policy"},
    "measure": {"abi", "core", "measure"},
}


def _imported(path: Path) -> Iterator[str]:
    """The packages of `_serpentarium` that a module imports, also inside of functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path.name} has a relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            top, *rest = name.split(".")
            if top == "_serpentarium":
                yield rest[0] if rest else "."


class LayersTest(unittest.TestCase):
    def test_packages_import_only_those_below_them(self) -> None:
        for package, allowed in _ALLOWED.items():
            for path in (_PACKAGE / package).rglob("*.py"):
                with self.subTest(path.name):
                    self.assertLessEqual(set(_imported(path)), allowed)

    def test_every_package_has_a_rule(self) -> None:
        packages = {path.parent.name for path in _PACKAGE.glob("*/__init__.py")}
        self.assertEqual(packages, set(_ALLOWED))

    def test_the_constants_import_nothing(self) -> None:
        tree = ast.parse((_PACKAGE / "abi.py").read_text(encoding="utf-8"))
        self.assertFalse(any(isinstance(node, (ast.Import, ast.ImportFrom)) for node in tree.body))


if __name__ == "__main__":
    unittest.main()
