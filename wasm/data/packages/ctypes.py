"""A `ctypes` with the simple types alone: the sandbox loads no C libraries.

Packages import it to ask for the size of a type.
"""

import struct


class _Simple:
    """A number of C. `_type_` is its code in `struct`."""

    _type_ = ""

    def __init__(self, value: object = 0) -> None:
        self.value = value

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.value!r})"


_CODES = {
    "c_bool": "?",
    "c_char": "c",
    "c_byte": "b",
    "c_ubyte": "B",
    "c_short": "h",
    "c_ushort": "H",
    "c_int": "i",
    "c_uint": "I",
    "c_long": "l",
    "c_ulong": "L",
    "c_longlong": "q",
    "c_ulonglong": "Q",
    "c_size_t": "N",
    "c_ssize_t": "n",
    "c_float": "f",
    "c_double": "d",
    "c_void_p": "P",
    "c_int8": "b",
    "c_uint8": "B",
    "c_int16": "h",
    "c_uint16": "H",
    "c_int32": "i",
    "c_uint32": "I",
    "c_int64": "q",
    "c_uint64": "Q",
}
globals().update({name: type(name, (_Simple,), {"_type_": code}) for name, code in _CODES.items()})


def sizeof(what: type[_Simple] | _Simple) -> int:
    """Returns the bytes of a type, or of an object of it."""
    return struct.calcsize(what._type_)


alignment = sizeof


def __getattr__(name: str) -> object:
    """Says why the rest is missing."""
    raise AttributeError(
        f"ctypes has no {name!r} here: the sandbox has no native libraries, only sizes of types"
    )
