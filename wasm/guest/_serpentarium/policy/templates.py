"""Guards of `str.format` and `str.format_map`, whose template can name attributes.

A template that a program makes at run time is checked when it is used. The guards are in the dict
of the type `str` itself, so every way to the methods finds them.
"""

import gc
import logging
import sys
from collections.abc import Callable
from typing import Any

from _serpentarium.policy.inspection import blocked_in_template, pattern_text
from _serpentarium.policy.policy import Violation

_format, _format_map = str.format, str.format_map
_clear_cache = sys._clear_type_cache
_members: dict[str, Any] = next(
    found for found in gc.get_referents(vars(str)) if type(found) is dict
)
_style: Any = logging.StrFormatStyle
_real_record_format = _style._format


def _check(template: str) -> None:
    """Raises an exception if a template reads a blocked attribute or key."""
    if "." in template or "[" in template:
        for name in blocked_in_template(template):
            raise Violation(pattern_text(name))


def _guarding(method: Any) -> Callable[..., str]:
    def format(self: str, /, *args: Any, **options: Any) -> str:
        # The exact str: a subclass could have other methods.
        _check(str.__str__(self))
        text: str = method(self, *args, **options)
        return text

    return format


_guards = {"format": _guarding(_format), "format_map": _guarding(_format_map)}


def _format_record(self: Any, record: Any) -> str:
    """`logging.StrFormatStyle._format`. Its bytecode may have cached the method."""
    _check(str.__str__(self._fmt))
    text: str = _real_record_format(self, record)
    return text


def apply() -> None:
    """Installs the guards."""
    _replace(_guards, _format_record)


def restore() -> None:
    """Installs the methods of CPython."""
    _replace({"format": _format, "format_map": _format_map}, _real_record_format)


def _replace(methods: dict[str, Any], record_format: Any) -> None:
    _members.update(methods)
    # The cache of methods may hold the previous ones. Clearing it is not free.
    if any(getattr(str, name) is not method for name, method in methods.items()):
        _clear_cache()
    _style._format = record_format
