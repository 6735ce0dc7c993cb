"""dateutil's time zones, from the database of the image instead of an archive beside the module."""

from __future__ import annotations

import io
from typing import Any

import _tzdata
from dateutil.tz import tzfile

__all__ = ["get_zonefile_instance", "gettz", "gettz_db_metadata"]

_instances: list[ZoneInfoFile] = []


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
            self.zones[name] = tzfile(io.BytesIO(data), filename=name)
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
