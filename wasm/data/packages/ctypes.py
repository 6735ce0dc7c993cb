"""A `ctypes` with the simple types alone: the sandbox loads no C libraries.

Packages import it to ask for the size of a type.
"""

import struct


class _Type(type):
    """A type of C. Times a number, it is that of an array."""

    def __mul__(cls, length: int) -> type:
        name = f"{cls.__name__}_Array_{length}"
        return _Type(name, (_Array,), {"_type_": cls, "_length_": length})


class _Simple(metaclass=_Type):
    """A number of C. `_type_` is its code in `struct`."""

    _type_ = ""

    def __init__(self, value: object = 0) -> None:
        self.value = value

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.value!r})"


class _Array(list, metaclass=_Type):
    """An array of numbers."""

    _type_: type = _Simple
    _length_ = 0

    def __init__(self, *values: object) -> None:
        super().__init__([*values, *[0] * (self._length_ - len(values))])


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
globals().update({name: _Type(name, (_Simple,), {"_type_": code}) for name, code in _CODES.items()})


def sizeof(what: object) -> int:
    """Returns the bytes of a type, or of an object of it."""
    kind = what if isinstance(what, _Type) else type(what)
    if issubclass(kind, _Array):
        return kind._length_ * sizeof(kind._type_)
    return struct.calcsize(kind._type_)


def alignment(what: object) -> int:
    """Returns the alignment of a type, or of an object of it."""
    kind = what if isinstance(what, _Type) else type(what)
    return alignment(kind._type_) if issubclass(kind, _Array) else sizeof(kind)


def __getattr__(name: str) -> object:
    """Says why the rest is missing."""
    raise AttributeError(
        f"ctypes has no {name!r} here: the sandbox has no native libraries, only sizes of types"
    )
