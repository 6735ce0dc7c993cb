"""dateutil's time zones, from the database of the image instead of an archive beside the module."""

from __future__ import annotations

import io
import struct
from datetime import UTC, datetime
from typing import Any
from zoneinfo._zoneinfo import _parse_tz_str, _TZStr

import _tzdata
from dateutil.tz import tzfile

__all__ = ["get_zonefile_instance", "gettz", "gettz_db_metadata"]

_instances: list[ZoneInfoFile] = []


# The times of the old format, and the first year after them.
_FIRST, _END, _END_YEAR = -(2**31), 2**31, 2038
_HEADER = 44
# Bytes of an entry of each kind, in the order of the counts in a header: marks (twice), leap
# seconds, transitions, types and letters.
_OLD_SIZES = (1, 1, 8, 5, 6, 1)


def _in_old_format(data: bytes) -> bytes:
    """Returns a time zone in the first version of its format, all that dateutil reads.

    Files of today leave that part empty (RFC 9636): without a word, dateutil would take such a zone
    for UTC. Transitions after the last listed one follow from the rule at the end of the file.
    """
    if data[4:5] == b"\0":
        return data
    counts = struct.unpack_from(">6l", data, 20)
    at = _HEADER + sum(count * size for count, size in zip(counts, _OLD_SIZES, strict=True))
    marks, marks_too, leaps, count, type_count, letters = struct.unpack_from(">6l", data, at + 20)
    at += _HEADER
    times = struct.unpack_from(f">{count}q", data, at)
    at += 8 * count
    kinds = data[at : at + count]
    at += count
    types = list(struct.iter_unpack(">lBB", data[at : at + 6 * type_count]))
    at += 6 * type_count
    names = data[at : at + letters]
    rule = data[at + letters + 12 * leaps + marks + marks_too :].strip(b"\n").decode()
    changes = list(zip(times, kinds, strict=True))
    names = _follow(rule, changes, types, names)
    before = [kind for time, kind in changes if time < _FIRST]
    changes = [change for change in changes if _FIRST <= change[0] < _END]
    if before:
        changes.insert(0, (_FIRST, before[-1]))
    header = b"TZif" + bytes(16)
    header += struct.pack(">6l", 0, 0, 0, len(changes), len(types), len(names))
    body = struct.pack(f">{len(changes)}l", *(time for time, _ in changes))
    body += bytes(kind for _, kind in changes)
    return header + body + b"".join(struct.pack(">lBB", *one) for one in types) + names


def _follow(
    rule: str,
    changes: list[tuple[int, int]],
    types: list[tuple[int, int, int]],
    names: bytes,
) -> bytes:
    """Adds the transitions of a rule such as `CET-1CEST,M3.5.0,M10.5.0/3`; returns all names."""
    parsed = _parse_tz_str(rule) if rule else None
    if not isinstance(parsed, _TZStr):
        return names
    places = []
    for info, is_summer in ((parsed.std, 0), (parsed.dst, 1)):
        name = info.tzname.encode() + b"\0"
        if name not in names:
            names += name
        one = (round(info.utcoff.total_seconds()), is_summer, names.index(name))
        if one not in types:
            types.append(one)
        places.append(types.index(one))
    winter, summer = (types[place][0] for place in places)
    last = changes[-1][0] if changes else _FIRST
    for year in range(datetime.fromtimestamp(max(last, 0), UTC).year, _END_YEAR):
        begin, end = parsed.transitions(year)
        new = sorted([(begin - winter, places[1]), (end - summer, places[0])])
        changes += [change for change in new if last < change[0]]
    return names


class ZoneInfoFile:
    """The zones by name. Each is read once."""

    def __init__(self, zonefile_stream: object = None) -> None:
        """Takes dateutil's argument, and reads nothing from it."""
        self.zones: dict[str, Any] = {}
        self.metadata: dict[str, Any] | None = None

    def get(self, name: str, default: Any = None) -> Any:
        """The zone with this name."""
        if name not in self.zones:
            data = _tzdata.ZONES.get(name)
            if data is None:
                return default
            self.zones[name] = tzfile(io.BytesIO(_in_old_format(data)), filename=name)
        return self.zones[name]


def get_zonefile_instance(new_instance: bool = False) -> ZoneInfoFile:
    """The database, or a new one."""
    if new_instance:
        return ZoneInfoFile()
    if not _instances:
        _instances.append(ZoneInfoFile())
    return _instances[0]


def gettz(name: str) -> Any:
    """The zone with this name."""
    return get_zonefile_instance().get(name)


def gettz_db_metadata() -> dict[str, Any] | None:
    """What the archive says of itself, which there is not."""
    return get_zonefile_instance().metadata
