"""Reads a WebAssembly module's imports, exports and initial memory.

The format: https://webassembly.github.io/spec/core/binary/modules.html
"""

from dataclasses import dataclass, field
from pathlib import Path

_IMPORT_SECTION, _MEMORY_SECTION, _EXPORT_SECTION = 2, 5, 7
_FUNCTION = 0
# Bytes of a page of linear memory.
PAGE = 64 * 1024


@dataclass
class Module:
    """Imports as `module.name`, exports by name, and bytes of memory at the start."""

    imports: list[str] = field(default_factory=list)
    exports: list[str] = field(default_factory=list)
    memory_bytes: int = 0


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
        reader.position = end
    return module
