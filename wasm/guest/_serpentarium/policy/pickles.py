"""Guards of `pickle`: a pickle names the classes and functions that it imports."""

import _compat_pickle
import io
import pickle
import sys
from pickle import Pickler, UnpicklingError
from typing import Any

from _serpentarium.core.current import task
from _serpentarium.policy.attributes import guarded_getattr

_modules = sys.modules
_vars = vars
_getattr = getattr
_Unpickler = pickle._Unpickler

# Names in the pickles of plain values. They are allowed under every policy.
_FOR_PLAIN_VALUES = frozenset(
    {("_codecs", "encode"), ("copyreg", "_reconstructor"), ("copyreg", "__newobj__")}
)


def _find_class(module: str, name: str) -> Any:
    """Imports a name of a pickle, by the rules for user code."""
    module, name = str.__str__(module), str.__str__(name)
    module, name = _compat_pickle.NAME_MAPPING.get((module, name), (module, name))
    module = _compat_pickle.IMPORT_MAPPING.get(module, module)
    if (module, name) in _FOR_PLAIN_VALUES:
        return _getattr(_modules[module], name)
    if module == "builtins":
        value = task.policy.builtins().get(name)
        if value is None:
            raise pickle.UnpicklingError(f"there is no {name!r} in 'builtins'")
        return value
    is_own = _vars(_modules["__main__"]) is task.namespace and module == "__main__"
    value = _modules[module] if is_own else task.policy.import_module(module)
    for part in name.split("."):
        value = guarded_getattr(value, part)
    return value


class GuardedPickler(Pickler):
    """`pickle.Pickler`, whose `dump` runs with the library's own `__import__`."""

    def dump(self, value: Any, /) -> None:
        super().dump(value)


class GuardedUnpickler:
    """`pickle.Unpickler` without access to the class itself."""

    def __init__(self, file: Any, **options: Any) -> None:
        self._source = file, options

    def load(self) -> Any:
        outer = self

        # In Python, because the one in C sets attributes by name unseen.
        class Inner(_Unpickler):
            def find_class(self, module: str, name: str, /) -> Any:
                return outer.find_class(module, name)

            def persistent_load(self, pid: Any, /) -> Any:
                return outer.persistent_load(pid)

        file, options = self._source
        return Inner(file, **options).load()

    def find_class(self, module: str, name: str, /) -> Any:
        return _find_class(module, name)

    def persistent_load(self, _pid: Any, /) -> Any:
        # The text of `pickle.Unpickler`.
        raise UnpicklingError(
            "A load persistent id instruction was encountered, but no persistent_load function"
        )


def guarded_load(file: Any, **options: Any) -> Any:
    return GuardedUnpickler(file, **options).load()


def guarded_loads(data: Any, /, **options: Any) -> Any:
    return GuardedUnpickler(io.BytesIO(data), **options).load()
