"""Removes the sources of the packages that only this image has: their code was compiled already.

It is the first module that the data image imports, so that the others take the freed memory.
"""

import os
import sys

from _serpentarium.core.packages import PLACES

_of_base = {name.partition(".")[0] for name in sys.modules}
for _name, _place in PLACES.items():
    if _place.endswith(".py") and _name.partition(".")[0] not in _of_base:
        os.unlink(_place)
