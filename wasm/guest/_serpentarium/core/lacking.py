"""Functions of the standard library that this platform lacks.

CPython omits them, so code fails with an AttributeError or a NameError, which it does not expect.
Here they exist: one raises an OSError that says what is missing, or gives the answer of a machine
without network and users.
"""

import errno
import operator
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from typing import Any, NoReturn

# A request that no host makes.
NETWORK = "this sandbox has no network"
# Everything but requests.
NO_SOCKETS = "this sandbox has no sockets: HTTP requests alone are possible"
ONLY_HTTP = "this sandbox has no network but for HTTP requests: these bytes are none"
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
    wanted = {operator.index(uid), operator.index(gid)}
    os.stat(path, **options)
    if not wanted <= {-1, _NOBODY}:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), path)


_chown.__name__ = _chown.__qualname__ = "chown"


def install() -> None:
    """Adds the functions, before the modules that look for them are imported."""
    _add(os, {name: _lacking(name, PROCESSES) for name in _PROCESS_FUNCTIONS})
    _add(os, {name: _constant(name, _NOBODY) for name in _USERS})
    _add(os, {"getppid": _constant("getppid", 0), "getloadavg": _lacking("getloadavg", _LOAD)})
    _add(os, {"chown": _chown})
    _add(shutil, {"disk_usage": _lacking("disk_usage", _DISK)})
    _add(socket, {name: _lacking(name, NO_SOCKETS) for name in _LOOK_UPS})
    _add(socket, {"gethostname": _constant("gethostname", "localhost")})
    _add(time, {"thread_time": time.process_time, "thread_time_ns": time.process_time_ns})
    vars(socket)["socket"].__init__ = _lacking("__init__", NO_SOCKETS)
    vars(socket)["getaddrinfo"] = _lacking("getaddrinfo", NO_SOCKETS)
    _add(socket, {"SO_REUSEADDR": 2, "SO_KEEPALIVE": 9})
    vars(subprocess)["Popen"].__init__ = _lacking("__init__", PROCESSES)


def _add(module: Any, members: dict[str, object]) -> None:
    for name, value in members.items():
        vars(module).setdefault(name, value)
