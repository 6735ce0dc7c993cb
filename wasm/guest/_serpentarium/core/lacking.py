"""Functions of the standard library that this platform lacks.

CPython omits them, so code fails with an AttributeError or a NameError, which it does not expect.
Here they exist: one raises an OSError that says what is missing, or gives the answer of a machine
without network and users.
"""

import errno
import http.client
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from typing import Any, NoReturn

NETWORK = "this sandbox has no network"
PROCESSES = "this sandbox starts no processes"
_DISK = "this sandbox has no disk"
_LOAD = "this sandbox has no load average"

# The user and group "nobody".
_NOBODY = 65_534

_PROCESS_FUNCTIONS = """
    execl execle execlp execlpe execv execve execvp execvpe fork forkpty posix_spawn
    posix_spawnp spawnl spawnle spawnlp spawnlpe spawnv spawnve spawnvp spawnvpe system wait wait3
    wait4 waitid waitpid
""".split()
_USERS = "getegid geteuid getgid getuid".split()
_LOOK_UPS = """
    gethostbyaddr gethostbyname gethostbyname_ex getnameinfo getprotobyname getservbyname
    getservbyport
""".split()


def _lacking(name: str, text: str) -> Callable[..., NoReturn]:
    def function(*_args: object, **_options: object) -> NoReturn:
        raise OSError(errno.ENOTSUP, text)

    function.__name__ = function.__qualname__ = name
    return function


def _constant(name: str, value: object) -> Callable[[], object]:
    def function() -> object:
        return value

    function.__name__ = function.__qualname__ = name
    return function


def _chown(path: Any, uid: int, gid: int, **options: Any) -> None:
    """Leaves a file to its owner, and refuses any other."""
    os.stat(path, **options)
    if not {uid, gid} <= {-1, _NOBODY}:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), path)


_chown.__name__ = _chown.__qualname__ = "chown"


class HTTPSConnection(http.client.HTTPConnection):
    """A connection that cannot be opened. `urllib.request` then knows the scheme `https`."""

    __module__ = "http.client"
    default_port = 443

    def __init__(self, host: str, port: int | None = None, *, context: Any = None, **options: Any):
        super().__init__(host, port, **options)


def install() -> None:
    """Adds the functions, before the modules that look for them are imported."""
    _add(os, {name: _lacking(name, PROCESSES) for name in _PROCESS_FUNCTIONS})
    _add(os, {name: _constant(name, _NOBODY) for name in _USERS})
    _add(os, {"getppid": _constant("getppid", 0), "getloadavg": _lacking("getloadavg", _LOAD)})
    _add(os, {"chown": _chown})
    _add(shutil, {"disk_usage": _lacking("disk_usage", _DISK)})
    _add(socket, {name: _lacking(name, NETWORK) for name in _LOOK_UPS})
    _add(socket, {"gethostname": _constant("gethostname", "localhost")})
    _add(time, {"thread_time": time.process_time})
    _add(http.client, {"HTTPSConnection": HTTPSConnection})
    # CPython's own function uses the module ssl.
    vars(http.client)["_create_https_context"] = lambda _version: None
    vars(subprocess)["Popen"].__init__ = _lacking("__init__", PROCESSES)
    vars(socket)["socket"].__init__ = _lacking("__init__", NETWORK)


def _add(module: Any, members: dict[str, object]) -> None:
    for name, value in members.items():
        vars(module).setdefault(name, value)
