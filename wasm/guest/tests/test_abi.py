"""The constants of the package, the C code and the recipe are those of wasm/ABI.md."""

import re
import unittest
from pathlib import Path

import guest  # noqa: F401  (makes the package importable)
from _serpentarium import abi

_WASM = Path(__file__).resolve().parents[2]
_CELL = re.compile(r"\s*(?:`(?P<code>[^`]*)`|(?P<text>[^|]*?))\s*\|")


def tables() -> dict[str, list[list[str]]]:
    """The cells of the marked tables, without their heads."""
    found: dict[str, list[list[str]]] = {}
    text = (_WASM / "ABI.md").read_text(encoding="utf-8")
    for name, table in re.findall(r"<!-- abi: (\S+) -->\n((?:\|.*\n)+)", text):
        rows = table.splitlines()[2:]
        found[name] = [
            [cell["code"] or cell["text"] or "" for cell in _CELL.finditer(row[1:])] for row in rows
        ]
    return found


TABLES = tables()

# The names of each table, as the package has them.
NAMES = {
    "program": [abi.CODE, abi.INPUT],
    "task": [
        abi.CODE,
        abi.NODE_MODE,
        abi.ITEMS,
        abi.QUERY,
        abi.PRINT_MODE,
        abi.NODE_NAME,
        abi.WORKFLOW_ID,
        abi.WORKFLOW_NAME,
        abi.WORKFLOW_MODE,
    ],
    "host": [
        abi.ENV,
        abi.CALLS_IN_FLIGHT,
        abi.TIMEZONE,
        abi.LOCAL_TIMEZONE,
        abi.POLICY,
        abi.LAST,
        abi.FILES,
        abi.FILE_BYTES,
        abi.MEASURE,
    ],
    "files": [abi.FILES_IN, abi.FILES_OUT],
    "file": [abi.PATH, abi.DATA],
    "policy": [abi.STDLIB_ALLOW, abi.EXTERNAL_ALLOW, abi.BUILTINS_DENY],
    "measure": [abi.PLAN, abi.BENCH, abi.SPAN, abi.PROFILE, abi.CALIBRATE],
    "result": [abi.RESULT, abi.EFFECTS, abi.FILES],
    "effects": [abi.CUSTOM_DATA, abi.STATIC_DATA],
    "error": [abi.MESSAGE, abi.DESCRIPTION, abi.LINE_NUMBER, abi.CONTEXT, abi.LIMIT],
    "context": [abi.ITEM_INDEX],
    "notifications": [
        abi.FORGET,
        abi.STATEMENT,
        abi.STDOUT,
        abi.BEGIN,
        abi.END,
        abi.CODE_OBJECT,
        abi.LINE,
        abi.START,
        abi.RESUME,
        abi.RETURN,
        abi.YIELD,
        abi.UNWIND,
        abi.ASIDE,
        abi.PLAIN,
        abi.WATCHED,
    ],
    "calls": [
        abi.TASK_DATA,
        abi.HTTP_SEND,
        abi.HTTP_REQUEST,
        abi.GET_BINARY_DATA,
        abi.PREPARE_BINARY_DATA,
        abi.SET_BINARY_DATA,
        abi.ASSERT_BINARY_DATA,
        abi.BINARY_TO_STRING,
    ],
}


class AbiTest(unittest.TestCase):
    def test_the_names_are_those_of_the_tables(self) -> None:
        for table, names in NAMES.items():
            with self.subTest(table):
                self.assertEqual([row[0] for row in TABLES[table]], names)

    def test_the_numbers_are_those_of_the_table(self) -> None:
        rows = {row[0]: row for row in TABLES["constants"]}
        numbers = {name: value for name, value in vars(abi).items() if type(value) is int}
        in_table = {name: int(row[1]) for name, row in rows.items() if row[4] == "abi.py"}
        self.assertEqual(numbers, in_table)

    def test_each_constant_is_in_a_table(self) -> None:
        texts = {name: value for name, value in vars(abi).items() if type(value) is str}
        known = {name for names in NAMES.values() for name in names}
        # Values and the key that holds a table.
        known |= {abi.ALL_ITEMS, abi.EACH_ITEM, abi.AS_TEXT, abi.HOST, abi.ERROR}
        missing = {name for name, text in texts.items() if name[0] != "_" and text not in known}
        self.assertEqual(missing, set())

    def test_the_module_has_the_imports_and_exports_of_the_tables(self) -> None:
        recipe = (_WASM / "recipe" / "link.py").read_text(encoding="utf-8")
        for table, constant in (("imports", "IMPORTS"), ("exports", "EXPORTS")):
            [listed] = re.findall(rf"^{constant} = \{{(.*?)\}}", recipe, re.DOTALL | re.MULTILINE)
            names = [row[0] for row in TABLES[table]]
            self.assertEqual(sorted(re.findall(r'"([^"]+)"', listed)), sorted(names))

    def test_the_c_code_declares_the_imports_of_the_host(self) -> None:
        source = (_WASM / "host_module.c").read_text(encoding="utf-8")
        declared = re.findall(r"^HOST\((\w+)\)", source, re.MULTILINE)
        imports = [row[0] for row in TABLES["imports"] if row[0].startswith("host.")]
        self.assertEqual(sorted(f"host.{name}" for name in declared), sorted(imports))


if __name__ == "__main__":
    unittest.main()
