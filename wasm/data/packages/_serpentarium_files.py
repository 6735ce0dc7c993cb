"""Lets numpy read and write files without duplicates of their descriptors.

numpy's C code works with a duplicate, which the sandbox cannot make. `ndarray.tofile` stays as it
is: a method of a built-in type cannot be replaced.
"""

import os
from contextlib import nullcontext
from typing import Any

import numpy as np
from numpy._core import multiarray, numeric
from numpy.lib import _format_impl, format


def _is_file(_file: object) -> bool:
    """No file has a descriptor for numpy: `save` and `load` then read and write it themselves."""
    return False


def fromfile(
    file: Any,
    dtype: Any = float,
    count: int = -1,
    sep: str = "",
    offset: int = 0,
    *,
    like: Any = None,
) -> Any:
    """Reads an array from a file of bytes, or of numbers with `sep` between them."""
    if sep and offset:
        raise TypeError("'offset' argument only permitted for binary files")
    kind = np.dtype(dtype)
    is_path = isinstance(file, str | bytes | os.PathLike)
    with open(file, "rb") if is_path else nullcontext(file) as stream:
        if offset:
            stream.seek(offset, os.SEEK_CUR)
        content = stream.read() if sep or count < 0 else stream.read(count * kind.itemsize)
    if sep:
        return np.fromstring(content.decode("latin-1"), kind, count, sep=sep, like=like)
    whole = len(content) - len(content) % kind.itemsize
    return np.frombuffer(bytearray(content[:whole]), kind, like=like)


for _module in (np, multiarray, numeric):
    _module.fromfile = fromfile
for _module in (_format_impl, format):
    _module.isfileobj = _is_file
