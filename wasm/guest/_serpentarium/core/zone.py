"""Local time in the zone that the host names, or `TZ` in `os.environ` after `time.tzset()`.

`datetime.now()`, `time.localtime()` and others read the zone at their first use (wasm/zone.c), and
`time.tzname` and its relatives are computed at theirs. A task without a zone pays nothing, one
with a zone some 7,000 units of fuel.
"""

import os
import re
import time
import warnings
from typing import Any, cast

import _host

from _serpentarium.abi import HOST, LOCAL_TIMEZONE
from _serpentarium.core.current import task

_PREFIX = "/usr/share/zoneinfo/"
# A rule of POSIX, for example CET-1CEST,M3.5.0,M10.5.0/3.
_RULE = re.compile(r"(<[+\-\w]{3,}>|[A-Za-z]{3,})[+-]?\d{1,3}(:\d\d){0,2}.*", re.ASCII)
_UTC = (0, 0, 0, ("UTC", "UTC"))
_NAMES = ("timezone", "altzone", "daylight", "tzname")
# Seconds, as in CPython's Modules/timemodule.c.
_YEAR = (365 * 24 + 6) * 3600

# User code can replace members of modules.
_task = task
_members = vars(time)
_local, _now = time.localtime, time.time
_set_zone = _host.set_zone
# The names and values of `os.environ`, as bytes.
_environment: dict[bytes, bytes] = cast(Any, os.environ)._data


def use() -> None:
    """Makes the zone of the task's settings that of local time."""
    for name in _NAMES:
        _members.pop(name, None)
    _set_zone(_data)


def _zone() -> str:
    """Returns the name of the zone; empty for UTC."""
    variable = _environment.get(b"TZ")
    if variable is not None:
        name = variable.decode(errors="replace")
    else:
        settings = _task.settings
        name = str(settings[HOST].get(LOCAL_TIMEZONE, "")) if HOST in settings else ""
    name = name.removeprefix(":").removeprefix(_PREFIX)
    return "" if name in ("UTC", "UTC0") else name


def _data() -> bytes | None:
    """Returns the zone as wasm/zone.c reads it; None for UTC."""
    name = _zone()
    if not name:
        return None
    # Large, and only in the image.
    from _tzdata import ZONES

    if name in ZONES:
        data: bytes = ZONES[name]
        return data
    if _RULE.fullmatch(name):
        return name.encode()
    warnings.warn(f"unknown time zone {name[:60]!r}: local time is UTC", RuntimeWarning, 2)
    return None


def _attribute(name: str) -> Any:
    """The `__getattr__` of the module `time`."""
    if name not in _NAMES:
        raise AttributeError(f"module 'time' has no attribute {name!r}", name=name, obj=time)
    _members.update(zip(_NAMES, _attributes() if _zone() else _UTC, strict=True))
    return _members[name]


def _attributes() -> tuple[int, int, int, tuple[str, str]]:
    """Computes them from the offsets in winter and summer, as CPython does."""
    begin = int(_now()) // _YEAR * _YEAR
    winter, summer = _local(begin), _local(begin + _YEAR // 2)
    if winter.tm_gmtoff > summer.tm_gmtoff:
        # The southern hemisphere.
        winter, summer = summer, winter
    daylight = int(winter.tm_gmtoff != summer.tm_gmtoff)
    return -winter.tm_gmtoff, -summer.tm_gmtoff, daylight, (winter.tm_zone, summer.tm_zone)


def tzset() -> None:
    """Reads the zone again at the next use of local time."""
    use()


def install() -> None:
    """Prepares `time` for the snapshot: UTC, and a `tzset`, which WASI lacks."""
    tzset.__module__ = "time"
    _members["__getattr__"], _members["tzset"] = _attribute, tzset
    _members.update(zip(_NAMES, _UTC, strict=True))
    _set_zone(None)
