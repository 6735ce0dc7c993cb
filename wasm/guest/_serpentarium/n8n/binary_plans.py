"""The requests behind `_helpers` for binary data."""

from collections.abc import Mapping
from typing import Any, TypeAlias

from _serpentarium.abi import (
    ASSERT_BINARY_DATA,
    BINARY_TO_STRING,
    GET_BINARY_DATA,
    PREPARE_BINARY_DATA,
    SET_BINARY_DATA,
)
from _serpentarium.n8n import binary_files
from _serpentarium.n8n.binary_files import PathLike
from _serpentarium.n8n.calls import Request
from _serpentarium.n8n.failures import CallError
from _serpentarium.n8n.manual import documented
from _serpentarium.n8n.running import as_dict, running

Bytes: TypeAlias = bytes | bytearray | memoryview

# An item's index, an item, or a value of its `binary`; None for the current item.
Place: TypeAlias = int | Mapping[str, Any] | None


def _request(name: str, place: Place, property: str) -> Request[Any]:
    """Makes a request about one file."""
    index, key = _place(place, property)
    return Request(
        name,
        [index, key],
        _same,
        binary=name == GET_BINARY_DATA,
        explain=lambda error: _explain(error, index, key),
    )


def _place(place: Place | str, property: Any) -> tuple[int, Any]:
    """Returns the parameters for a place. A name as the place is a property of the current item."""
    if isinstance(place, str):
        place, property = None, place
    elif isinstance(place, Mapping):
        return _find(place, property)
    elif place is not None and type(place) is not int:
        raise TypeError(
            "the place of binary data is an item's index, an item, or a value of its binary, "
            f"not {type(place).__name__}"
        )
    return running.item_index if place is None else place, property


def _find(place: Mapping[str, Any], property: Any) -> tuple[int, Any]:
    """Returns the parameters for an item, or for a value of an item's `binary`.

    n8n finds files of its input items by index and name, and others by the value itself.
    """
    if "mimeType" not in place and "binary" not in place:
        raise TypeError("this dict is neither an item with binary data nor a value of its binary")
    for index, item in enumerate(running.items):
        if item is place:
            return index, property
        for name, value in as_dict(as_dict(item).get("binary")).items():
            if value is place:
                return index, name
    if "mimeType" in place:
        return running.item_index, dict(place)
    files = place["binary"]
    if property not in files:
        raise CallError(_missing("The item", files, property))
    return running.item_index, dict(files[property])


def _explain(error: CallError, index: int, property: Any) -> CallError:
    """Adds the message that n8n's error lacks if an item or its property does not exist."""
    if error.details is None or error.details.get("message"):
        return error
    items = running.items
    if not 0 <= index < len(items):
        text = f"There is no item {index}: this node has {len(items)} input item(s)"
    else:
        files = as_dict(as_dict(items[index]).get("binary"))
        if isinstance(property, str) and property not in files:
            text = _missing(f"Item {index}", files, property)
        else:
            text = f"n8n cannot read the file {property!r} of item {index}"
    return CallError(text, error.details)


def _missing(what: str, files: Mapping[str, Any], property: str) -> str:
    known = ", ".join([repr(name) for name in files])
    has = f"It has {known}" if known else "It has no binary data"
    return f"{what} has no binary property {property!r}. {has}"


@documented(
    """Returns the bytes of an input item's binary property.

    `item_index` can also be an item, or a value of an item's binary: get_binary_data(file).
    Default item: the current one. If the code runs once for all items: the first one."""
)
def get_binary_data(item_index: Place = None, property: str = "data") -> Request[bytes]:
    return _request(GET_BINARY_DATA, item_index, property)


@documented(
    """Stores bytes in n8n, and returns the metadata for an output item: item["binary"]["data"].

    A pathlib.Path instead of bytes is a file of the task. Without a MIME type, n8n derives it from
    the file name or the first bytes."""
)
def prepare_binary_data(
    data: Bytes | PathLike, file_name: str | None = None, mime_type: str | None = None
) -> Request[dict[str, Any]]:
    if binary_files.is_path(data):
        return save_binary(data, file_name, mime_type)
    return Request(PREPARE_BINARY_DATA, [_bytes(data), file_name, mime_type], _same)


@documented(
    """Stores a file that the code has written in n8n, and returns the metadata for an output item:
    item["binary"]["data"].

    Its name is that of the file, unless `file_name` is another one."""
)
def save_binary(
    path: str | PathLike, file_name: str | None = None, mime_type: str | None = None
) -> Request[dict[str, Any]]:
    data = binary_files.content(path)
    name = binary_files.name_of(path) if file_name is None else file_name
    return Request(PREPARE_BINARY_DATA, [data, name, mime_type], _same)


@documented(
    """Writes an input item's binary property to a file of the task, and returns its path:
    /data/<item>/<property>/<file name>.

    `item_index` can also be an item, or a value of an item's binary. Each call writes anew."""
)
def binary_path(item_index: Place = None, property: str = "data") -> Request[str]:
    index, key = _place(item_index, property)
    return Request(
        GET_BINARY_DATA,
        [index, key],
        lambda data: binary_files.save(data, index, key),
        binary=True,
        explain=lambda error: _explain(error, index, key),
    )


@documented(
    """Replaces the bytes of `metadata`, a value of item["binary"], and returns new metadata.

    A pathlib.Path instead of bytes is a file of the task."""
)
def set_binary_data(metadata: Mapping[str, Any], data: Bytes | PathLike) -> Request[dict[str, Any]]:
    if binary_files.is_path(data):
        data = binary_files.content(data)
    return Request(SET_BINARY_DATA, [dict(metadata), _bytes(data)], _same)


@documented(
    """Returns the metadata of an input item's binary property (file name, MIME type, size).

    Raises CallError if the item has no such property."""
)
def assert_binary_data(item_index: Place = None, property: str = "data") -> Request[dict[str, Any]]:
    return _request(ASSERT_BINARY_DATA, item_index, property)


@documented("""Decodes bytes. `encoding` is one of n8n's names for encodings.""")
def binary_to_string(data: Bytes, encoding: str = "utf-8") -> Request[str]:
    return Request(BINARY_TO_STRING, [_bytes(data), encoding], _same)


def _bytes(data: Bytes) -> Bytes:
    if not isinstance(data, (bytes, bytearray, memoryview)):
        hint = "; a file is a pathlib.Path, or save_binary(path)" if isinstance(data, str) else ""
        raise TypeError(f"binary data must be bytes, not {type(data).__name__}{hint}")
    return data


def _same(answer: Any) -> Any:
    return answer
