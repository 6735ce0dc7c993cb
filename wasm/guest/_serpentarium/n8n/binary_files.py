"""Binary data of items as files of the task, and files as binary data."""

import posix
from collections.abc import Mapping
from typing import Any, TypeAlias

from _serpentarium.core.exchange import flush, make_file, read_file
from _serpentarium.n8n.running import as_dict, running

# A path, or an object that has one, such as `pathlib.Path`.
PathLike: TypeAlias = Any

# Bytes of the longest name in the file system.
_MAX_NAME = 255

_fspath = posix.fspath


def is_path(value: object) -> bool:
    """Returns whether a value is a path other than a text, such as `pathlib.Path`."""
    return hasattr(type(value), "__fspath__")


def content(path: PathLike) -> bytes:
    """Reads a file. Files that the code has not closed are complete."""
    flush()
    return read_file(_path(path))


def name_of(path: PathLike) -> str:
    """Returns the last name of a path."""
    return _path(path).rpartition("/")[2]


def _path(path: PathLike) -> str:
    if not isinstance(path, str) and not is_path(path):
        raise TypeError(f"the path of a file is a str or a pathlib.Path, not {type(path).__name__}")
    text: str | bytes = _fspath(path)
    return text if isinstance(text, str) else text.decode("utf-8", "surrogateescape")


def save(data: bytes, index: int, property: Any) -> str:
    """Writes an item's binary data to a file, with the file's own name. Returns the path.

    The property is a name, or the value of another node's item.
    """
    if isinstance(property, Mapping):
        metadata, directory = property, "/data/other"
    else:
        items = running.items
        item = as_dict(items[index]) if 0 <= index < len(items) else {}
        metadata = as_dict(as_dict(item.get("binary")).get(property))
        directory = directory_of(index, property)
    path = f"{directory}/{_safe(metadata.get('fileName')) or 'file'}"
    make_file(path, [data])
    return path


def directory_of(index: int, property: Any) -> str:
    """Returns the directory for the file of an item's property."""
    return f"/data/{index}/{_safe(property) or 'data'}"


def _safe(name: Any) -> str:
    """Returns what a name of others has as a name of a file; empty if nothing is left."""
    text = name.replace("\\", "/").rpartition("/")[2] if isinstance(name, str) else ""
    text = "".join([c for c in text if c.isprintable()])
    text = text.encode("utf-8", "ignore")[:_MAX_NAME].decode("utf-8", "ignore")
    return "" if text in (".", "..") else text
