"""Hints for errors around n8n's data: files that n8n stores."""

from _serpentarium.core.current import task
from _serpentarium.core.hints.clue import Clue
from _serpentarium.core.hints.table import row
from _serpentarium.n8n.running import as_dict, running

# Functions that decode base64. Code that mentions none does not read files from items.
_DECODERS = ("b64decode", "decodebytes", "a2b_base64")


@row(Exception)
def _file_is_stored(error: Exception, clue: Clue) -> str | None:
    """Explains data that is no base64: n8n keeps the bytes of a file, and `data` names where."""
    code = task.code
    if "get_binary_data" in code or "getBinaryData" in code:
        return None
    if not any(name in code for name in _DECODERS):
        return None
    for index, item in enumerate(running.items):
        for name, file in as_dict(as_dict(item).get("binary")).items():
            if as_dict(file).get("id"):
                return (
                    f"n8n stores the file {name!r} of item {index}: its data is only the word "
                    f"{as_dict(file).get('data')!r}, not base64. "
                    f"_helpers.get_binary_data({index}, {name!r}) returns the bytes."
                )
    return None
