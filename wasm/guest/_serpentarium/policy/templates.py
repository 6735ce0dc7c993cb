"""Guards of `str.format` and `str.format_map`, whose template can name attributes.

A template that a program makes at run time is checked when it is used. The guards are in the dict
of the type `str` itself, so every way to the methods finds them. Their installation costs as much
as a small task, so it waits until code can reach the methods with such a template.
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
# Templates that read no blocked name. A program formats few templates many times.
_checked: set[str] = set()
_MAX_CHECKED = 256

_style: Any = logging.StrFormatStyle
_real_record_format = _style._format


def _check(template: str) -> None:
    """Raises an exception if a template reads a blocked attribute or key."""
    if template not in _checked and ("." in template or "[" in template):
        for name in blocked_in_template(template):
            raise Violation(pattern_text(name))
        if len(_checked) < _MAX_CHECKED:
            _checked.add(template)


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
    """Guards the library, which formats templates of its caller."""
    _style._format = _format_record


def install() -> None:
    """Installs the guards of `str`, if they are not there."""
    if _members["format"] is _format:
        _replace(_guards)


def restore() -> None:
    """Installs the methods of CPython."""
    _style._format = _real_record_format
    if _members["format"] is not _format:
        _replace({"format": _format, "format_map": _format_map})


def _replace(methods: dict[str, Any]) -> None:
    _members.update(methods)
    # The cache of methods may hold the previous ones. Clearing it is not free.
    if any(getattr(str, name) is not method for name, method in methods.items()):
        _clear_cache()
