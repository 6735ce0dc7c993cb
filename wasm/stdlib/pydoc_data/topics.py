"""The topics of `help`, by label. CPython's module has the same dict, uncompressed."""

import json
import zlib

from _help_texts import TOPICS

topics = json.loads(zlib.decompress(TOPICS))
