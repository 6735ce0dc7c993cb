"""Guards of functions that take the name of an attribute while the program runs."""

import _string
import functools
import operator
import string
import sys
from collections.abc import Iterable
from typing import Any

from _serpentarium.policy import templates
from _serpentarium.policy.inspection import BLOCKED, FORMATS, attribute_text
from _serpentarium.policy.policy import Violation, hide

_frame = sys._getframe
_vars, _getattr, _setattr, _delattr, _hasattr = vars, getattr, setattr, delattr, hasattr
_attrgetter, _methodcaller = operator.attrgetter, operator.methodcaller
_update_wrapper, _partial = functools.update_wrapper, functools.partial
_ASSIGNED, _UPDATED = functools.WRAPPER_ASSIGNMENTS, functools.WRAPPER_UPDATES

# Depth of the caller's frame, counted from a guard: `hide`, caller.
_CALLER = 2


def _unblocked(name: Any) -> Any:
    """Returns the name of an attribute, or a dotted path, unless a part of it is blocked."""
    if isinstance(name, str):
        # The exact str: a subclass could change its value after this check.
        name = str.__str__(name)
        for part in name.split("."):
            if part in BLOCKED:
                raise Violation(attribute_text(part))
            if part in FORMATS:
                templates.install()
    return name


def guarded_getattr(value: Any, name: str, *default: Any) -> Any:
    return _getattr(value, _unblocked(name), *default)


def guarded_hasattr(value: Any, name: str) -> bool:
    return _hasattr(value, _unblocked(name))


def guarded_setattr(value: Any, name: str, new: Any) -> None:
    _setattr(value, _unblocked(name), new)


def guarded_delattr(value: Any, name: str) -> None:
    _delattr(value, _unblocked(name))


def guarded_vars(*value: Any) -> Any:
    if not value:
        return dict(_frame(_CALLER).f_locals)
    if isinstance(value[0], type):
        templates.install()
    members = _vars(*value)
    if isinstance(value[0], type):
        return {name: member for name, member in members.items() if name not in BLOCKED}
    return members


def guarded_attrgetter(*names: str) -> Any:
    return hide(_attrgetter(*[_unblocked(name) for name in names]))


def guarded_methodcaller(name: str, /, *args: Any, **options: Any) -> Any:
    return hide(_methodcaller(_unblocked(name), *args, **options))


def guarded_update_wrapper(
    wrapper: Any,
    wrapped: Any,
    assigned: Iterable[str] = _ASSIGNED,
    updated: Iterable[str] = _UPDATED,
) -> Any:
    return _update_wrapper(wrapper, wrapped, _copied(assigned), _copied(updated))


def guarded_wraps(
    wrapped: Any, assigned: Iterable[str] = _ASSIGNED, updated: Iterable[str] = _UPDATED
) -> Any:
    return hide(
        _partial(guarded_update_wrapper, wrapped=wrapped, assigned=assigned, updated=updated)
    )


def _copied(names: Iterable[str]) -> tuple[str, ...]:
    """Returns the names of attributes to copy: the defaults, or names that are not blocked."""
    defaults = _ASSIGNED + _UPDATED
    exact = [str.__str__(name) for name in names]
    return tuple([name if name in defaults else _unblocked(name) for name in exact])


def _guarded_get_field(self: Any, field_name: str, args: Any, kwargs: Any) -> Any:
    """`string.Formatter.get_field`, which evaluates the expression of a replacement field."""
    first, rest = _string.formatter_field_name_split(field_name)
    value = self.get_value(first, args, kwargs)
    for is_attribute, key in rest:
        value = guarded_getattr(value, key) if is_attribute else value[key]
    return value, first


# A copy, because a subclass would give access to the original through its bases.
GuardedFormatter = type(
    "Formatter",
    (),
    {
        name: member
        for name, member in _vars(string.Formatter).items()
        if name not in ("__dict__", "__weakref__")
    }
    | {"get_field": _guarded_get_field},
)
