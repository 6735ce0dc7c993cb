"""Hints for attributes that a value does not have."""

import ast
import datetime
from types import BuiltinFunctionType, CoroutineType, FunctionType, MethodType, ModuleType
from typing import Any

from _serpentarium.core.current import task
from _serpentarium.core.hints.clue import NODE, Clue
from _serpentarium.core.hints.members import JAVASCRIPT, LUXON, MOVED
from _serpentarium.core.hints.nearest import nearest
from _serpentarium.core.hints.table import row
from _serpentarium.core.hints.values import names_of

# Members of the response objects of HTTP libraries.
_RESPONSE = frozenset(
    "content headers json ok raise_for_status reason status status_code text".split()
)
_PYODIDE = frozenset({"as_object_map", "as_py_json", "to_js", "to_py", "toJs"})
_ITEM = frozenset({"binary", "json"})
_FUNCTIONS = (FunctionType, MethodType, BuiltinFunctionType)
# Members of a match of `re`.
_MATCH = frozenset("end group groupdict groups span start".split())

_obj = AttributeError.__dict__["obj"]
_name = AttributeError.__dict__["name"]
_members: Any = vars(ModuleType)["__dict__"]


@row(AttributeError)
def _missing_attribute(error: Any, clue: Clue) -> str | None:
    value, name = _obj.__get__(error), _name.__get__(error)
    if type(name) is not str:
        return None
    kind = type(value)
    if name in _PYODIDE and kind in (dict, list, str, int, float, bool, type(None)):
        return f"{name}() belongs to Pyodide. The value is plain Python already: delete the call."
    for known, make in _BY_TYPE:
        if issubclass(kind, known):
            text: str | None = make(value, name, clue)
            if text is not None:
                return text
    return _javascript(kind, name) or _response(kind, name, clue)


def _receiver(clue: Clue) -> str:
    """Returns the source of the value whose attribute is missing; empty if it is unknown."""
    node = clue.expression()
    return names_of(node.value) if isinstance(node, ast.Attribute) else ""


def _of_dict(value: dict[Any, Any], name: str, clue: Clue) -> str | None:
    if type(value) is not dict:
        return None
    what = _receiver(clue) or "value"
    if name in value:
        names = clue.attributes_after()
        return (
            f"Dicts have keys, not attributes: write {_subscripts(what, value, names or [name])}."
        )
    other = _javascript(dict, name) or _response(dict, name, clue)
    if other is not None:
        return other
    found = nearest(name, [key for key in value if type(key) is str])
    if found is not None:
        return f'Dicts have keys, not attributes. Did you mean {what}["{found}"]?'
    if clue.is_called():
        return None
    return f'Dicts have keys, not attributes: {what}["{name}"]. But this dict has no such key.'


def _subscripts(what: str, value: Any, names: list[str]) -> str:
    """Writes a chain of attributes with subscripts, as far as the values are dicts."""
    for at, name in enumerate(names):
        is_last = at == len(names) - 1
        if type(value) is not dict or not (name in value or (is_last and at > 0)):
            break
        what += f'["{name}"]'
        value = value.get(name)
    return what


def _of_list(value: list[Any], name: str, clue: Clue) -> str | None:
    what = _receiver(clue) or "values"
    if name in ("all", "first", "last"):
        where = {"all": what, "first": f"{what}[0]", "last": f"{what}[-1]"}[name]
        return f"{what} is a plain list: write {where}."
    if name in _ITEM:
        return (
            f'{what} is a list: write {what}[0]["{name}"] for the first item, or use a loop: '
            f'for item in {what}: … item["{name}"].'
        )
    return None


def _of_none(_value: None, name: str, clue: Clue) -> str | None:
    if name in _MATCH:
        return "re.match and re.search return None without a match. Test the result before its use."
    node = clue.expression()
    match node:
        case ast.Attribute(value=ast.Call(func=ast.Attribute(attr=called), args=args)):
            if called == "get" and len(args) == 1:
                return (
                    f"The key {ast.unparse(args[0])[:60]} is missing or None. Test the value first."
                )
    return None


def _of_date(_value: object, name: str, clue: Clue) -> str | None:
    if name not in LUXON:
        return None
    if "timedelta" in LUXON[name] and not clue.allows("datetime"):
        return None
    needs = "timedelta" if "timedelta" in LUXON[name] else ""
    needs = f" (from datetime import {needs})" if needs else ""
    what = _receiver(clue) or "value"
    return (
        f"{name} belongs to Luxon. This is a datetime of Python: "
        f"{LUXON[name].replace('value', what)}{needs}."
    )


def _of_module(value: ModuleType, name: str, clue: Clue) -> str | None:
    module = _members.__get__(value).get("__name__")
    new = MOVED.get((module, name))
    if new is None or not clue.allows(new.rpartition(".")[0] or "builtins"):
        return None
    return f"Python 3 has {new} instead."


def _of_coroutine(_value: object, _name: str, clue: Clue) -> str:
    what = _receiver(clue)
    return f"A coroutine has no result yet: write (await {what or '…'})."


def _of_function(_value: object, _name: str, clue: Clue) -> str | None:
    what = _receiver(clue)
    return f"{what} is a function: call it, {what}()." if what else None


def _javascript(kind: type, name: str) -> str | None:
    for known, members in JAVASCRIPT.items():
        if issubclass(kind, known) and name in members:
            return f"{name} belongs to JavaScript. In Python: {members[name]}."
    return None


def _response(kind: type, name: str, clue: Clue) -> str | None:
    is_plain = kind in (dict, list, str, bytes, int, float, bool, type(None))
    if name not in _RESPONSE or not is_plain or "http" not in task.code:
        return None
    if clue.site != NODE or ("http_request" not in task.code and "httpRequest" not in task.code):
        return None
    return (
        "_helpers.http_request returns the body itself, parsed if it is JSON. With "
        "full_response=True it returns an object with body, headers and status_code."
    )


_BY_TYPE: tuple[tuple[type, Any], ...] = (
    (dict, _of_dict),
    (list, _of_list),
    (type(None), _of_none),
    (datetime.date, _of_date),
    (ModuleType, _of_module),
    (CoroutineType, _of_coroutine),
    *[(kind, _of_function) for kind in _FUNCTIONS],
)


@row(ImportError)
def _moved_name(error: Any, _clue: Clue) -> str | None:
    get = ImportError.__dict__
    module, name = get["name"].__get__(error), get["name_from"].__get__(error)
    new = MOVED.get((module, name)) if type(name) is str and type(module) is str else None
    return f"Python 3 has {new} instead." if new else None
