"""The functions that other packages add to a task. The package `core` imports none of them."""

from ast import Module
from collections.abc import Callable, Mapping
from types import CodeType
from typing import Any, TypeAlias

from _serpentarium.core.current import Task
from _serpentarium.core.wire import Reply

# Makes the function to call of a program's code and its globals.
Bind: TypeAlias = Callable[[CodeType, dict[str, Any]], Callable[[], Any]]

# Runs a program's code, and encodes the reply.
Mode: TypeAlias = Callable[[Task, CodeType, Bind], Reply]

# Checks a program before it is compiled, and can change it. Raises an exception if something in it
# is not allowed.
Check: TypeAlias = Callable[[Module], None]


class Extensions:
    """The registered functions. `_serpentarium/__init__.py` sets them, before the snapshot."""

    __slots__ = ("apply_policy", "measure", "select_mode")

    # Validates the settings and returns the mode that they name.
    select_mode: Callable[[dict[str, Any]], Mode]
    # Applies the host's lists to the task.
    apply_policy: Callable[[Task, Mapping[str, Any]], Check]
    # Measures the task.
    measure: Callable[[Task, Mode], Reply]


extensions = Extensions()
