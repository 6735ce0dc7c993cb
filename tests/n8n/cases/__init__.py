"""All cases: those that are data, by group, and those that take part in what happens around the code."""

from case import Case
from cases import binary, code, data, errors, http, printing, state, tool
from cases.life import LIFE as LIFE

DATA: dict[str, list[Case]] = {
    "code": code.CASES,
    "printing": printing.CASES,
    "errors": errors.CASES,
    "http": http.CASES,
    "binary": binary.CASES,
    "data": data.CASES,
    "state": state.CASES,
    "tool": tool.CASES,
}
