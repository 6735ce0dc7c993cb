"""The users of a task: one, whose home directory is the working directory at the start.

`os.path.expanduser` and `getpass.getuser` ask here, because a task has no environment variables.
"""

from typing import NamedTuple


class struct_passwd(NamedTuple):
    """An entry of the password database."""

    pw_name: str
    pw_passwd: str
    pw_uid: int
    pw_gid: int
    pw_gecos: str
    pw_dir: str
    pw_shell: str


_USER = struct_passwd("task", "x", 65534, 65534, "", "/home/task", "")


def getpwuid(uid: int, /) -> struct_passwd:
    """Returns the user with this number."""
    if uid != _USER.pw_uid:
        raise KeyError(f"getpwuid(): uid not found: {uid}")
    return _USER


def getpwnam(name: str, /) -> struct_passwd:
    """Returns the user with this name."""
    if name != _USER.pw_name:
        raise KeyError(f"getpwnam(): name not found: {name!r}")
    return _USER


def getpwall() -> list[struct_passwd]:
    """Returns all users."""
    return [_USER]
