"""The start of the function table: names of symbols, and the table of a module."""

import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import module
import table


def section(kind: int, content: bytes) -> bytes:
    """A section of a module."""
    return bytes([kind, len(content)]) + content


class Table(unittest.TestCase):
    def test_the_number_of_an_equal_name_is_dropped(self) -> None:
        for symbol, name in (("f", "f"), ("f.12", "f"), ("f.llvm", "f.llvm"), ("f.1.2", "f.1")):
            self.assertEqual(table.base_name(symbol), name)

    def test_entries_and_names_are_read(self) -> None:
        # Table 0 from i32.const 1: functions 3 and 2.
        elements = section(9, b"\x01\x00\x41\x01\x0b\x02\x03\x02")
        names = section(0, b"\x04name" + b"\x00\x01m" + b"\x01\x07\x02\x02\x01a\x03\x01b")
        with tempfile.NamedTemporaryFile() as file:
            file.write(b"\0asm\1\0\0\0" + elements + names)
            file.flush()
            read = module.read(Path(file.name))
        self.assertEqual(read.table, {1: 3, 2: 2})
        self.assertEqual(read.names, {2: "a", 3: "b"})


if __name__ == "__main__":
    unittest.main()
