"""Why a module cannot be imported: tables of names, and the text in `ModuleNotFoundError`.

The text is in the exception, because code catches failed imports and prints them.
"""

import importlib
import importlib.machinery
import sys

from _serpentarium.core.hints.nearest import nearest
from _serpentarium.core.hints.packages import ALTERNATIVES
from _serpentarium.core.packages import PLACES

_NO_TERMINAL = "this sandbox has no terminal"
_NO_DISPLAY = "this sandbox has no display"
_NO_INSTALLING = "nothing can be installed in this sandbox"
_NO_SYSTEM = "this sandbox has no such operating system"
_LEFT_OUT = "it is not in the image"

# Modules of the standard library that a sandbox cannot have, or that the image omits.
CANNOT_HAVE = {
    "antigravity": "this sandbox has no browser",
    "ctypes": "this sandbox has no native libraries",
    "curses": _NO_TERMINAL,
    "ensurepip": _NO_INSTALLING,
    "fcntl": "the files of a task have no locks",
    "grp": "this sandbox has no users",
    "idlelib": _NO_DISPLAY,
    "mmap": "the files of a task cannot be mapped",
    "msvcrt": _NO_SYSTEM,
    "nt": _NO_SYSTEM,
    "pip": _NO_INSTALLING,
    "pty": _NO_TERMINAL,
    "readline": _NO_TERMINAL,
    "resource": "the limits of a task are settings of the host",
    "syslog": "this sandbox has no system log",
    "termios": _NO_TERMINAL,
    "test": _LEFT_OUT,
    "tkinter": _NO_DISPLAY,
    "tty": _NO_TERMINAL,
    "turtle": _NO_DISPLAY,
    "turtledemo": _NO_DISPLAY,
    "venv": _NO_INSTALLING,
    "winreg": _NO_SYSTEM,
    "winsound": _NO_SYSTEM,
}

# Modules that Python removed, by the version: https://docs.python.org/3/library/removed.html.
_REMOVED_IN = {
    "3.13": "aifc audioop cgi cgitb chunk crypt imghdr lib2to3 mailcap msilib nis nntplib "
    "ossaudiodev pipes sndhdr spwd sunau telnetlib uu xdrlib",
    "3.12": "asynchat asyncore distutils imp smtpd",
    "3.11": "binhex",
    "3.10": "formatter parser symbol",
    "3.9": "dummy_threading _dummy_threading",
    "3.8": "macpath",
}
REMOVED = {name: version for version, names in _REMOVED_IN.items() for name in names.split()}

# Names of Python 2, and where Python 3 has them.
PYTHON_2 = {
    "__builtin__": "builtins",
    "ConfigParser": "configparser",
    "Cookie": "http.cookies",
    "HTMLParser": "html.parser",
    "Queue": "queue",
    "SocketServer": "socketserver",
    "StringIO": "io",
    "cPickle": "pickle",
    "cStringIO": "io",
    "commands": "subprocess",
    "cookielib": "http.cookiejar",
    "copy_reg": "copyreg",
    "htmlentitydefs": "html.entities",
    "httplib": "http.client",
    "md5": "hashlib",
    "robotparser": "urllib.robotparser",
    "sets": "builtins",
    "sha": "hashlib",
    "thread": "_thread",
    "urllib2": "urllib.request",
    "urlparse": "urllib.parse",
    "xmlrpclib": "xmlrpc.client",
}

# Modules of Pyodide, which runs n8n's older Python nodes.
PYODIDE = frozenset({"js", "micropip", "pyodide", "pyodide_http", "pyodide_js", "_pyodide"})

_stdlib = sys.stdlib_module_names
_loaded = sys.modules
_find_frozen = importlib.machinery.FrozenImporter.find_spec
_builtin = frozenset(sys.builtin_module_names)

# Packages beside the standard library; set before the snapshot.
PACKAGES: list[str] = []


def is_here(name: str) -> bool:
    """Returns whether the image has a top-level module."""
    known = name in _loaded or name in _builtin or name in PLACES
    return known or _find_frozen(name) is not None


def nearest_module(name: str) -> str | None:
    """Returns the module of the image to whose name a misspelt one is nearest."""
    # A slip rarely concerns the first letter. This check costs less than a comparison.
    first = name[:2].lower()
    found = nearest(name, [known for known in (*_stdlib, *PACKAGES) if known[0] in first])
    return found if found is not None and is_here(found) else None


def reason(path: str) -> str:
    """Returns the end of the message of `ModuleNotFoundError`, after the name of the module."""
    top, _, inner = path.partition(".")
    if inner and is_here(top):
        return f": the package {path.rpartition('.')[0]!r} has no such module"
    if top in REMOVED:
        return f": Python {REMOVED[top]} removed it from the standard library"
    if top in PYTHON_2:
        new = PYTHON_2[top]
        return (
            f": Python 3 calls it {new!r}" if new != "builtins" else ": Python 3 has no such module"
        )
    if top in CANNOT_HAVE:
        return f": {CANNOT_HAVE[top]}"
    if top in _stdlib:
        return f": {_LEFT_OUT}"
    if top in PYODIDE:
        return ": it belongs to Pyodide, which does not run this code"
    found = None if top in ALTERNATIVES else nearest_module(top)
    return f"; did you mean {found!r}?" if found else ": this image has no such package"


def install() -> None:
    """Gives the import system the reasons, before the snapshot."""
    tops = {name.partition(".")[0] for name in (*_loaded, *PLACES)} - _stdlib
    PACKAGES[:] = sorted(name for name in tops if name[0] != "_")
    vars(importlib._bootstrap)["_reason"] = _safe_reason


def _safe_reason(path: object) -> str:
    try:
        return reason(path) if type(path) is str else ""
    except Exception:
        return ""
