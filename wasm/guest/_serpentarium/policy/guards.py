"""The table of functions that are replaced because they could bypass the policy.

Each guard is a callable object without members to inspect. Guards are made once, before the
snapshot, and read the policy of the current task.
"""

import builtins
import dataclasses
import enum
import functools
import inspect
import operator
import pickle
import string
import sys
import timeit
import typing
import warnings
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from _serpentarium.core.current import Task, task
from _serpentarium.core.extensions import Check
from _serpentarium.core.printing import print
from _serpentarium.policy import attributes, dynamic_code, library, pickles, readers, templates
from _serpentarium.policy.policy import (
    ADDED,
    GUARDED,
    HIDDEN,
    REPLACED,
    USE_TEMPLATES,
    Policy,
    hide,
)

_vars = vars
_import = builtins.__import__
_dump, _dumps = pickle.dump, pickle.dumps
_path_hooks = list(sys.path_hooks)


def apply(task: Task, lists: Mapping[str, Any]) -> Check:
    """Applies the host's lists to the task. Returns the check of its code."""
    policy = task.policy = Policy(lists)
    if policy.is_strict:
        _vars(builtins)["__import__"] = library.import_for_library
        _vars(enum)["sys"] = library.make_sys()
        _vars(dataclasses)["_process_class"] = library.process_class
        readers.apply()
        templates.apply()
        # Files of the task are not code: their imports would run unchecked, as library modules.
        sys.path_hooks.clear()
        sys.path_importer_cache.clear()
    task.namespace["__builtins__"] = policy.builtins()
    return policy.check


def restore() -> None:
    """Restores the library's functions, after a rehearsal or a test."""
    _vars(builtins)["__import__"] = _import
    _vars(enum)["sys"] = sys
    _vars(dataclasses)["_process_class"] = library.real_process_class
    sys.path_hooks[:] = _path_hooks
    readers.restore()
    templates.restore()


def _fill_tables() -> None:
    importing = hide(lambda *args, **options: task.policy.import_(*args, **options))
    import_module = hide(lambda *args, **options: task.policy.import_module(*args, **options))
    REPLACED["builtins"] = {
        "__import__": importing,
        "compile": hide(dynamic_code.guarded_compile),
        "delattr": hide(attributes.guarded_delattr),
        "eval": hide(dynamic_code.guarded_eval),
        "exec": hide(dynamic_code.guarded_exec),
        "getattr": hide(attributes.guarded_getattr),
        "hasattr": hide(attributes.guarded_hasattr),
        "help": hide(lambda *things: builtins.help(*things)),
        "print": hide(print),
        "setattr": hide(attributes.guarded_setattr),
        "vars": hide(attributes.guarded_vars),
    }
    REPLACED["importlib"] = {"__import__": importing, "import_module": import_module}
    guards: tuple[tuple[Any, Any], ...] = (
        (operator.attrgetter, hide(attributes.guarded_attrgetter)),
        (operator.methodcaller, hide(attributes.guarded_methodcaller)),
        (string.Formatter, attributes.GuardedFormatter),
        (functools.update_wrapper, hide(attributes.guarded_update_wrapper)),
        (functools.wraps, hide(attributes.guarded_wraps)),
        (warnings.catch_warnings, hide(readers.guarded_catch_warnings)),
        (_dump, hide(lambda *args, **options: _dump(*args, **options))),
        (_dumps, hide(lambda *args, **options: _dumps(*args, **options))),
        (pickle.load, hide(pickles.guarded_load)),
        (pickle.loads, hide(pickles.guarded_loads)),
        (pickle.Pickler, pickles.GuardedPickler),
        (pickle.Unpickler, pickles.GuardedUnpickler),
    )
    for value, guard in guards:
        GUARDED[id(value)] = _constantly(guard)
    evaluators: tuple[tuple[ModuleType, tuple[Any, ...]], ...] = (
        (
            typing,
            (
                typing.ForwardRef,
                typing.get_type_hints,
                functools.singledispatch,
                functools.singledispatchmethod,
            ),
        ),
        (inspect, (inspect.Signature, inspect.get_annotations, inspect.signature)),
        (timeit, (timeit.Timer, timeit.repeat, timeit.timeit)),
    )
    for module, values in evaluators:
        for value in values:
            GUARDED[id(value)] = library.guarding(module, value)
    HIDDEN["sys"] = frozenset(
        """
        _current_exceptions _current_frames _getframe _getframemodulename _setprofileallthreads
        _settraceallthreads addaudithook meta_path monitoring path_hooks path_importer_cache
        setprofile settrace
        """.split()
    )
    HIDDEN["threading"] = frozenset(
        """
        _profile_hook _trace_hook setprofile setprofile_all_threads settrace
        settrace_all_threads
        """.split()
    )
    HIDDEN["pickle"] = frozenset(
        {"_Pickler", "_Unpickler", "_dump", "_dumps", "_load", "_loads", "_getattribute"}
    )
    HIDDEN["pkgutil"] = frozenset(
        {"find_loader", "get_importer", "get_loader", "iter_importers", "resolve_name"}
    )
    # Without `__name__`, `from importlib import …` does not fall back to `sys.modules`.
    HIDDEN["importlib"] = frozenset({"__name__", "reload"})
    ADDED.append(readers.guard)
    USE_TEMPLATES.append(templates.install)


def _constantly(value: Any) -> Callable[[], Any]:
    return lambda: value


_fill_tables()
