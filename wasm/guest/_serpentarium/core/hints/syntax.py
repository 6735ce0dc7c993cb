"""Hints for text that is not Python: JavaScript, n8n's expressions, Markdown, odd characters."""

import re
import unicodedata
from typing import Any

from _serpentarium.core import source
from _serpentarium.core.code import FILENAME
from _serpentarium.core.current import task
from _serpentarium.core.hints.clue import LIBRARY, Clue
from _serpentarium.core.hints.kinds import EXPRESSION
from _serpentarium.core.hints.names import N8N_NAMES
from _serpentarium.core.hints.table import row

_character = re.compile(r"invalid (?:non-printable )?character .*U\+([0-9A-F]{4,6})").match
_literal = re.compile(r"""("|').*?\1""").sub
_n8n_name = re.compile(r"\$(\w*)").search
_javascript = re.compile(
    r"^\s*(?://|/\*|(?:const|let|var|function)\s)|=>|===|!==|&&|\|\||\bnew\s+\w+\(|\+\+|\}\s*else\s*\{|\)\s*\{\s*$"
).search

# What to write instead of a character of word processors and web pages.
_INSTEAD = {
    "\u00a0": "a space",
    "\u00ab": '"',
    "\u00bb": '"',
    "\u00d7": "*",
    "\u2013": "-",
    "\u2014": "-",
    "\u2018": "'",
    "\u2019": "'",
    "\u201a": "'",
    "\u201c": '"',
    "\u201d": '"',
    "\u201e": '"',
    "\u2026": "...",
    "\u2032": "'",
    "\u2033": '"',
    "\u2212": "-",
    "\u2260": "!=",
    "\u2264": "<=",
    "\u2265": ">=",
    "\uff08": "(",
    "\uff09": ")",
    "\uff0c": ",",
    "\uff1a": ":",
}

_fields = SyntaxError.__dict__


@row(SyntaxError)
def _not_python(error: Any, clue: Clue) -> str | None:
    filename, number = _fields["filename"].__get__(error), _fields["lineno"].__get__(error)
    message = _fields["msg"].__get__(error)
    lines = source.program_lines()
    if filename != FILENAME or type(number) is not int or not 0 < number <= len(lines):
        return None
    if type(message) is not str:
        return None
    line = lines[number - 1]
    offset = _fields["offset"].__get__(error)
    if type(offset) is not int or offset < 0:
        offset = 0
    found = _character(message)
    if found is not None:
        return _odd_character(chr(int(found[1], 16)), lines, number)
    if message.startswith(("'yield' outside", "'yield from' outside")):
        return "Collect the values in a list and return it: values.append(…), then return values."
    if line.lstrip().startswith("```"):
        return "Delete the lines with ```, which Markdown puts around code."
    if "{{" in line[:offset] and "}}" in line[offset:]:
        return EXPRESSION + _n8n_names(line, clue)
    if line[max(offset - 1, 0) : offset] == "$":
        return _n8n_names(line[offset - 1 :], clue).strip() or None
    if _javascript(_literal("''", line)) is not None:
        return "This line looks like JavaScript. The language here is Python."
    return None


def _n8n_names(line: str, clue: Clue) -> str:
    """Returns what to write for the first `$name` of a line, after a space."""
    found = _n8n_name(line)
    if found is None:
        return ""
    name = f"_{found[1]}"
    if clue.site == LIBRARY:
        return " n8n's names do not exist in a plain program, whose value is the name input."
    if name == "_" and f"{found[0]}(" in line:
        return ' Python has _node["Name"] for $("Name").'
    if name in N8N_NAMES and name != "_":
        return f" Python cannot have $ in a name: write {name} for ${found[1]}."
    return " Python cannot have $ in a name."


def _odd_character(character: str, lines: list[str], number: int) -> str:
    """Names a character and its first place, and what to write instead."""
    line = lines[number - 1]
    if character not in line:
        return ""
    code = f"U+{ord(character):04X}"
    try:
        name = unicodedata.name(character).lower()
    except ValueError:
        name = "a control character"
    count = task.code.count(character)
    others = f" The code has {count} of them." if count > 1 else ""
    place = f"Line {number}, column {line.index(character) + 1}: {name} ({code})"
    instead = _INSTEAD.get(character)
    if instead is None and unicodedata.category(character) in ("Zs", "Cf", "Cc"):
        is_space = unicodedata.category(character) == "Zs"
        instead = "a space" if is_space else None
        if instead is None:
            return f"{place}, which is invisible. Delete it.{others}"
    if instead is None:
        return f"{place}.{others}"
    return f"{place}. Write {instead} instead.{others}"
