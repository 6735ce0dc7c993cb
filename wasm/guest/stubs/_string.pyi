"""The part of CPython's module `_string` that the package uses."""

from collections.abc import Iterator

def formatter_field_name_split(field: str, /) -> tuple[str | int, Iterator[tuple[bool, str]]]: ...
