"""Reads a WebAssembly module's imports, exports and initial memory.

The format: https://webassembly.github.io/spec/core/binary/modules.html
"""

from dataclasses import dataclass, field
from pathlib import Path

_CUSTOM_SECTION, _IMPORT_SECTION, _MEMORY_SECTION, _EXPORT_SECTION, _ELEMENT_SECTION = 0, 2, 5, 7, 9
_FUNCTION_NAMES = 1
_FUNCTION = 0
# Bytes of a page of linear memory.
PAGE = 64 * 1024


@dataclass
class Module:
    """Imports as `module.name`, exports by name, and bytes of memory at the start."""

    imports: list[str] = field(default_factory=list)
    exports: list[str] = field(default_factory=list)
    memory_bytes: int = 0
    # Functions by entry of the table, and names by function, of a module that is not stripped.
    table: dict[int, int] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self.position = 0

    def number(self) -> int:
        result = shift = 0
        while True:
            byte = self._data[self.position]
            self.position += 1
            result |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return result

    def byte(self) -> int:
        self.position += 1
        return self._data[self.position - 1]

    def name(self) -> str:
        length = self.number()
        self.position += length
        return self._data[self.position - length : self.position].decode()


def read(path: Path) -> Module:
    """Reads a module file; `ValueError` if the module imports anything but functions."""
    data = path.read_bytes()
    reader, module = _Reader(data), Module()
    reader.position = 8
    while reader.position < len(data):
        section, length = reader.byte(), reader.number()
        end = reader.position + length
        if section == _IMPORT_SECTION:
            for _ in range(reader.number()):
                name = f"{reader.name()}.{reader.name()}"
                if reader.byte() != _FUNCTION:
                    raise ValueError(f"the module imports {name}, which is not a function")
                reader.number()
                module.imports.append(name)
        elif section == _MEMORY_SECTION and reader.number() == 1:
            reader.number()
            module.memory_bytes = reader.number() * PAGE
        elif section == _EXPORT_SECTION:
            for _ in range(reader.number()):
                module.exports.append(reader.name())
                reader.byte()
                reader.number()
        elif section == _ELEMENT_SECTION:
            _read_table(reader, module)
        elif section == _CUSTOM_SECTION and reader.name() == "name":
            _read_names(reader, module, end)
        reader.position = end
    return module


def _read_table(reader: _Reader, module: Module) -> None:
    """Reads the linker's one element segment: i32.const OFFSET, end, functions."""
    reader.number()
    reader.number()
    reader.byte()
    offset = reader.number()
    reader.byte()
    module.table = {offset + i: reader.number() for i in range(reader.number())}


def _read_names(reader: _Reader, module: Module, end: int) -> None:
    while reader.position < end:
        kind, length = reader.byte(), reader.number()
        after = reader.position + length
        if kind == _FUNCTION_NAMES:
            module.names = {reader.number(): reader.name() for _ in range(reader.number())}
        reader.position = after
