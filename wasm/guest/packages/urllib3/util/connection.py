"""Connections of `urllib3`: the sandbox's sockets, in the place of the module of this name."""

from typing import Any

from _serpentarium.http import sockets

HAS_IPV6 = False
# A type, which other modules import.
_TYPE_SOCKET_OPTIONS = list[tuple[int, int, int | bytes]]


def create_connection(
    address: tuple[str, int],
    timeout: Any = None,
    source_address: tuple[str, int] | None = None,
    socket_options: Any = None,
) -> Any:
    """Returns a socket for a server. `timeout`: seconds, None, or `urllib3`'s default."""
    host, port = address
    made = sockets.create_connection((host.strip("[]"), port))
    if timeout is None or isinstance(timeout, (int, float)):
        made.settimeout(timeout)
    return made


def is_connection_dropped(conn: Any) -> bool:
    """Returns whether a connection must be made anew."""
    return not conn.is_connected


def allowed_gai_family() -> int:
    """Returns the family of addresses: any."""
    return 0
