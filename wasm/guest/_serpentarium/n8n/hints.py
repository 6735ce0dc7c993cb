"""Hints for errors around n8n's data: files that n8n stores."""

import binascii

from _serpentarium.core.current import task
from _serpentarium.core.hints.clue import Clue
from _serpentarium.core.hints.table import row
from _serpentarium.n8n import stored
from _serpentarium.n8n.running import running

# Functions that decode base64, beside the one that `stored` guards.
_DECODERS = ("a2b_base64", "decodebytes", "urlsafe_b64decode")


@row(UnicodeDecodeError, binascii.Error)
def _file_is_stored(error: Exception, clue: Clue) -> str | None:
    if not any(name in task.code for name in _DECODERS):
        return None
    for word, (index, name) in stored.find(running.items).items():
        return f"{stored.explain(word, index, name)}."
    return None
