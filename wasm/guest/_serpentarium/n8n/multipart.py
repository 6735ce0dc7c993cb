"""Bodies of `multipart/form-data` (RFC 7578). n8n carries a body as text, so files are text too."""

from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from mimetypes import guess_type
from typing import Any, TypeAlias

Pairs: TypeAlias = Mapping[str, Any] | Iterable[tuple[str, Any]]

# Of each field: content, or file name, content and optionally the content type.
Files: TypeAlias = Pairs

NOT_TEXT = (
    "has bytes that are not UTF-8 text, and n8n sends the body of an HTTP request as text only. "
    "Store them with _helpers.prepare_binary_data, return the value in an item's binary, and let "
    "an HTTP Request node send it. A server that takes base64 can get base64.b64encode(…).decode()"
)

_UNKNOWN_TYPE = "application/octet-stream"


def encode(data: Any, files: Files) -> tuple[str, str]:
    """Returns the content type, with the boundary, and the body."""
    if data is not None and isinstance(data, (str, bytes, bytearray, memoryview)):
        raise TypeError("data must be the fields of a form if files are given")
    parts = [_part(name, None, None, value) for name, value in _fields(data or {})]
    parts += [_file(name, value) for name, value in _pairs(files)]
    # A boundary that does not occur in the parts. A random one would change with each run.
    boundary = sha256("".join(parts).encode("utf-8", "replace")).hexdigest()[:32]
    body = "".join([f"--{boundary}\r\n{part}\r\n" for part in parts])
    return f"multipart/form-data; boundary={boundary}", f"{body}--{boundary}--\r\n"


def _pairs(given: Pairs) -> Iterable[tuple[str, Any]]:
    return given.items() if isinstance(given, Mapping) else given


def _fields(given: Pairs) -> Iterator[tuple[str, str]]:
    """Yields the fields of a form. A list of values repeats its name; None leaves it out."""
    for name, value in _pairs(given):
        for one in value if isinstance(value, (list, tuple)) else [value]:
            if one is not None:
                yield name, _text(name, one) if isinstance(one, (bytes, bytearray)) else str(one)


def _file(name: str, value: Any) -> str:
    if isinstance(value, (tuple, list)):
        if not 2 <= len(value) <= 3:
            raise TypeError(
                f"file {name!r} must be content, or (name, content), or (name, content, type)"
            )
        file_name, content, *kind = value
    else:
        file_name, content, kind = getattr(value, "name", None) or name, value, []
    read = getattr(content, "read", None)
    text = _text(name, content if read is None else read())
    file_name = None if file_name is None else str(file_name).replace("\\", "/").rpartition("/")[2]
    guessed = _UNKNOWN_TYPE if file_name is None else guess_type(file_name)[0] or _UNKNOWN_TYPE
    return _part(name, file_name, str(kind[0]) if kind and kind[0] else guessed, text)


def _text(name: str, content: Any) -> str:
    """Returns the content of a part."""
    if isinstance(content, str):
        return content
    if not isinstance(content, (bytes, bytearray, memoryview)):
        raise TypeError(f"file {name!r} must be str or bytes, not {type(content).__name__}")
    try:
        return str(content, "utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"file {name!r} {NOT_TEXT}") from None


def _part(name: str, file_name: str | None, kind: str | None, content: str) -> str:
    head = f'Content-Disposition: form-data; name="{_quoted(name)}"'
    if file_name is not None:
        head += f'; filename="{_quoted(file_name)}"'
    if kind is not None:
        head += f"\r\nContent-Type: {_quoted(kind)}"
    return f"{head}\r\n\r\n{content}"


def _quoted(text: object) -> str:
    """Escapes a name as browsers do."""
    return str(text).replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22")
