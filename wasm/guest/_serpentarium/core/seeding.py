"""Seeds `random` in each task, at its first use.

The state of `random` is part of the snapshot, so all tasks would draw the same numbers. Seeding
costs more than the rest of a small task's start. The first access to an attribute of the module
therefore seeds it. The `import` statement also accesses one.
"""

import os
import random
from types import ModuleType

_urandom = os.urandom
_seed = random.seed


class _Unseeded(ModuleType):
    """The module `random` before its first use."""

    def __getattribute__(self, name: str) -> object:
        object.__setattr__(self, "__class__", ModuleType)
        _seed(int.from_bytes(_urandom(32), "little"))
        return getattr(self, name)


def install() -> None:
    """Prepares `random` for the snapshot."""
    random.seed(0)
    random.__class__ = _Unseeded
