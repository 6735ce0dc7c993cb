"""The binary data of input items as files below /data, which appear when code looks for one."""

import posix
from typing import Any

import _host

from _serpentarium.abi import ITEMS
from _serpentarium.core.current import task
from _serpentarium.n8n.binary_files import directory_of
from _serpentarium.n8n.binary_plans import binary_path
from _serpentarium.n8n.calls import call
from _serpentarium.n8n.running import as_dict

# User code can replace members of modules, so the functions are bound here.
_status, _link = posix.lstat, posix.link


def install() -> None:
    """Lets the file system look for files here."""
    _host.set_maker(_make)


def _make(path: str) -> bool:
    """Makes the files of an item, if a path such as `data/0/report.csv` names it.

    Returns whether files were made.
    """
    name = path.removeprefix("data").lstrip("/").partition("/")[0]
    items: list[Any] = task.settings.get(ITEMS, [])
    # Other spellings of a number, such as `00`, name no item.
    index = int(name) if name.isdecimal() else len(items)
    return index < len(items) and str(index) == name and _make_item(index, items[index])


def _make_item(index: int, item: Any) -> bool:
    """Makes the files of an item that are not there."""
    made = False
    for property in as_dict(as_dict(item).get("binary")):
        if not _exists(directory_of(index, property)):
            path = call(binary_path(index, property))
            _link_beside(index, path)
            made = True
    return made


def _link_beside(index: int, path: str) -> None:
    """Gives a file a second path without the property, unless another file has it."""
    short = f"/data/{index}/{path.rpartition('/')[2]}"
    if not _exists(short):
        _link(path, short)


def _exists(path: str) -> bool:
    try:
        _status(path)
    except FileNotFoundError:
        return False
    return True
