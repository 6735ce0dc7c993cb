"""`random`, seeded in each task when it is first used.

Its state is part of the snapshot, so every task would draw the same numbers. Seeding costs more than the rest of a
small task's start, and most tasks never draw: the module is seeded the first time that anything asks for an attribute
of it, which the `import` statement does as well.
"""

import os
import random
from types import ModuleType

_urandom = os.urandom
_seed = random.seed


class _Unseeded(ModuleType):
    """The module `random` before its first use."""

    def __getattribute__(self, name: str) -> object:
        self.__class__ = ModuleType  # type: ignore[assignment]
        _seed(int.from_bytes(_urandom(32), "little"))
        return getattr(self, name)


def install() -> None:
    """Makes `random` ready for the snapshot."""
    random.seed(0)
    random.__class__ = _Unseeded
