"""Hints for violations of the policy: the setting that decides, and how to change it."""

import re
from typing import Any

from _serpentarium.core.current import task
from _serpentarium.core.hints.clue import NODE, Clue
from _serpentarium.core.hints.imports import lacking_package
from _serpentarium.core.hints.modules import is_here
from _serpentarium.core.hints.table import row
from _serpentarium.policy.policy import Violation

# Settings of the runner for the lists of the policy.
_STDLIB = "N8N_RUNNERS_STDLIB_ALLOW"
_EXTERNAL = "N8N_RUNNERS_EXTERNAL_ALLOW"
_BUILTINS = "N8N_RUNNERS_BUILTINS_DENY"

# Names that a hint lists.
_MAX_NAMES = 10

_refused = re.compile(
    r"Import of (standard library module|external package) '([\w.]+)' is disallowed"
).findall
_name = NameError.__dict__["name"]


def _violation(error: Any, clue: Clue) -> str | None:
    description = error.description
    refused = _refused(description)
    stdlib = [name for what, name in refused if what.startswith("standard")]
    external = [name for what, name in refused if not what.startswith("standard")]
    parts = [_allow(stdlib, _STDLIB, clue), _allow(external, _EXTERNAL, clue)]
    if description.count("disallowed") > len(refused) or not refused:
        parts.append(_checks(clue))
    return " ".join([part for part in parts if part]) or None


def _allow(names: list[str], setting: str, clue: Clue) -> str:
    """Returns how to allow modules, and which of them the image does not have anyway."""
    tops = list(dict.fromkeys(name.partition(".")[0] for name in names))
    absent = [name for name in tops if not is_here(name)]
    closed = [name for name in names if task.policy.is_closed(name)]
    open_ = [name for name in dict.fromkeys(names) if name not in closed]
    here = [name for name in open_ if name.partition(".")[0] not in absent]
    parts = []
    if here:
        more = ",".join(here[:_MAX_NAMES]) + (",…" if len(here) > _MAX_NAMES else "")
        if clue.site == NODE:
            parts.append(f"The operator's setting {setting} decides. To allow, add {more} to it.")
        else:
            key = "stdlibAllow" if setting == _STDLIB else "externalAllow"
            parts.append(f"The policy of the host decides. To allow, add {more} to its {key}.")
    parts += [lacking_package(name, clue) for name in absent[:2] if name not in closed]
    return " ".join(parts)


def _checks(clue: Clue) -> str:
    if clue.site != NODE:
        return "The policy of the host checks names and attributes while it limits modules."
    return (
        f"The operator's policy checks names and attributes, unless {_STDLIB} and {_EXTERNAL} "
        "are both *."
    )


def _denied_builtin(error: Any, clue: Clue) -> str | None:
    policy = task.policy
    name = _name.__get__(error)
    if name is None and error.args == ("__build_class__ not found",):
        name = "__build_class__"
    if policy is None or type(name) is not str or name not in policy.deny:
        return None
    what = "classes (the built-in __build_class__)" if name == "__build_class__" else f"{name}"
    if clue.site == NODE:
        return (
            f"The operator's policy denies {what}. {_BUILTINS} decides: set it to a list "
            f"without {name}."
        )
    return f"The policy of the host denies {what}: builtinsDeny contains {name}."


def install() -> None:
    """Registers the rows."""
    row(Violation)(_violation)
    row(NameError)(_denied_builtin)
