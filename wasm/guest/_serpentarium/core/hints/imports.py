"""Hints for imports that failed. `modules` has the texts of the exceptions themselves."""

import os
import sys
from typing import Any

from _serpentarium.core.current import task
from _serpentarium.core.hints.clue import EXEC, NODE, Clue
from _serpentarium.core.hints.modules import (
    CANNOT_HAVE,
    PYODIDE,
    PYTHON_2,
    REMOVED,
    is_here,
    nearest_module,
)
from _serpentarium.core.hints.packages import ALTERNATIVES, Alternative
from _serpentarium.core.hints.table import row

_NO_PACKAGES = "Code cannot install packages: a package must be in the image."
_NO_PROCESSES = (
    "This sandbox starts no processes. Do the work in this code, one part after the other."
)

# What to use instead of a module that the sandbox cannot have, or that Python removed.
_INSTEAD: dict[str, tuple[str, ...]] = {
    "cgi": ("html", "urllib.parse", "email.message"),
    "crypt": ("hashlib",),
    "dbm": ("json",),
    "distutils": ("sysconfig", "shutil"),
    "imp": ("importlib",),
    "mmap": ("io",),
    "pipes": ("shlex",),
    "uu": ("base64",),
}
_NETWORK = frozenset({"_ssl", "telnetlib", "nntplib", "smtpd", "asyncore", "asynchat"})
_PROCESSES = frozenset({"multiprocessing", "_multiprocessing", "_posixsubprocess"})
INSTALLERS = frozenset({"micropip", "pip", "ensurepip", "venv", "setuptools", "pkg_resources"})

_OWN_FILE = (
    "The policy limits imports and built-ins, so code in files of the task cannot be imported: put "
    "it into this code."
)

_name = ImportError.__dict__["name"]
_path = sys.path
_exists = os.path.exists


@row(ModuleNotFoundError)
def _missing_module(error: Any, clue: Clue) -> str | None:
    path = _name.__get__(error)
    if type(path) is not str:
        return None
    top = path.partition(".")[0]
    if is_here(top):
        return None
    if task.policy is not None and _is_file(top):
        return _OWN_FILE
    if top in INSTALLERS:
        return no_packages(clue)
    if top in PYODIDE:
        return (
            "This is CPython, not Pyodide. Values are plain dicts and lists already: delete the "
            "import and the conversions."
        )
    if top in PYTHON_2:
        return _instead((PYTHON_2[top],), clue) if PYTHON_2[top] != "builtins" else None
    if top in _NETWORK:
        return network(clue)
    if top in _PROCESSES:
        return _NO_PROCESSES
    if top in REMOVED or top in CANNOT_HAVE:
        return _instead(_INSTEAD.get(top, ()), clue)
    return _missing_package(top, clue)


def _is_file(name: str) -> bool:
    """Returns whether a file of the task has the module."""
    ends = (f"{name}.py", name)
    return any(
        _exists(f"{folder}/{end}") for folder in _path if type(folder) is str for end in ends
    )


def no_packages(clue: Clue) -> str:
    """Returns that packages cannot be installed, and who can add one."""
    return f"{_NO_PACKAGES} Delete the installation. {_how_to_add(clue)}"


def _missing_package(top: str, clue: Clue) -> str:
    alternative = ALTERNATIVES.get(top)
    if alternative is None:
        found = nearest_module(top)
        if found is not None and clue.allows(found):
            return f"Correct the name: import {found}."
        return f"{_NO_PACKAGES} {_how_to_add(clue)}"
    return f"{_NO_PACKAGES} {replacement(alternative, clue) or _how_to_add(clue)}"


def lacking_package(top: str, clue: Clue) -> str:
    """Returns the hint for a module that the policy refuses, and that the image does not have."""
    found = None if top in ALTERNATIVES else nearest_module(top)
    if found is not None:
        return f"Did you mean {found}? The image has no {top}."
    alternative = ALTERNATIVES.get(top)
    instead = f" {replacement(alternative, clue)}" if alternative is not None else ""
    return f"Allowing {top} would not help: it is not in the image.{instead}"


def replacement(alternative: Alternative, clue: Clue) -> str:
    """Returns what to use instead of a package, where the task runs."""
    if alternative.is_http:
        nodes = " Or use the service's own node." if alternative.nodes and clue.site == NODE else ""
        return network(clue) + nodes
    parts = [_instead(alternative.modules, clue)]
    if alternative.nodes and clue.site == NODE:
        parts.append(f"n8n's node {alternative.nodes} can help before or after this one.")
    return " ".join([part for part in parts if part])


def _instead(names: tuple[str, ...], clue: Clue) -> str | None:
    usable = [name for name in names if is_here(name.partition(".")[0]) and clue.allows(name)]
    return f"Python's own modules may do: {', '.join(usable)}." if usable else None


def _how_to_add(clue: Clue) -> str:
    if clue.site == EXEC:
        return "A package of pure Python can join the image when it is built."
    return "Whoever builds the image can add a package of pure Python."


def network(clue: Clue) -> str:
    """Returns how to make a request without a network, where the task runs."""
    usable = [name for name in ("requests", "httpx", "urllib.request") if clue.allows(name)]
    if clue.site == NODE:
        usable.insert(0, "_helpers.http_request(url)")
    names = " or ".join(usable) or "urllib.request"
    where = {
        NODE: "n8n makes them for the code.",
        EXEC: "The flag --allow-net HOST names the hosts that they may reach.",
    }
    return (
        f"HTTP requests alone leave this sandbox: use {names}. "
        f"{where.get(clue.site, 'The program that embeds it names the hosts that they may reach.')}"
    )
