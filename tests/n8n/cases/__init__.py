"""All cases: by group, and the functions of `life` that stop and restart processes."""

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
