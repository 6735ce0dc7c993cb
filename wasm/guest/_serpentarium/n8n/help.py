"""The built-in `help`: describes the objects of n8n's API itself, everything else with `pydoc`.

The image strips docstrings. The frozen module `_help_texts` has them, compressed, with the topics
that `help("for")` shows. Docstrings are put back into the modules that `help` describes.
"""

import builtins
import importlib.util
import inspect
import io
import json
import re
import sys
import zlib
from types import ModuleType
from typing import Any

from _serpentarium.core import printing
from _serpentarium.core.current import task
from _serpentarium.core.log import log
from _serpentarium.n8n.manual import ApiObject
from _serpentarium.n8n.names import named

_TYPE_MODULES = re.compile(r"\b(?:collections\.abc|typing)\.")
_NAME = re.compile(r"[\w.]+").fullmatch
_modules = sys.modules


class Help:
    """The built-in `help`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "help(object) describes an object, for example help(_helpers) or help(str.upper)"

    def __call__(self, *things: object) -> None:
        if not things:
            _show(repr(self))
        for thing in things:
            if isinstance(thing, ApiObject):
                _show(_describe(thing))
            elif isinstance(thing, str):
                _show(_look_up(str.__str__(thing).strip()))
            else:
                _restore_texts(thing)
                _show(_render(thing))


def _show(text: str) -> None:
    """Prints a text. In n8n's form it is one statement: a hundred lines would be the limit."""
    text = text.strip("\n")
    if sys.stdout is printing.stream and not log.as_text:
        log.end_line()
        log.statement([text])
    else:
        sys.stdout.write(text + "\n")


def _render(thing: object) -> str:
    """Describes an object, or what a text names, with `pydoc`."""
    # Imported late: pydoc is large, and few tasks call `help`.
    import pydoc

    written = io.StringIO()
    pydoc.Helper(output=written).help(thing)
    return pydoc.plain(written.getvalue())


def _look_up(name: str) -> str:
    """Describes what a text names: a keyword, a topic, a module, or a member of one."""
    import pydoc

    if name == "modules":
        return _list_modules()
    ours = named(name)
    if isinstance(ours, ApiObject):
        return _describe(ours)
    known = pydoc.Helper.keywords, pydoc.Helper.topics, pydoc.Helper.symbols
    if any(name in names for names in known) or name in ("keywords", "topics", "symbols"):
        return _render(name)
    if not _NAME(name):
        return _nothing(name)
    refused: str | None = None if task.policy is None else task.policy.refusal(name)
    if refused is not None:
        # The module is not imported, but a built-in can have the name.
        found = _member(builtins, name)
        return refused if found is None else _render(found)
    try:
        found = pydoc.locate(name)
    except pydoc.ErrorDuringImport as error:
        return str(error)
    if found is None:
        return _nothing(name)
    _restore_texts(found)
    return _render(name)


def _nothing(name: str) -> str:
    return (
        f"No Python documentation found for {name!r}.\n"
        'help("keywords"), help("topics") and help("modules") list what there is.'
    )


def _member(thing: Any, path: str) -> Any:
    for part in path.split("."):
        thing = getattr(thing, part, None)
    return thing


def _list_modules() -> str:
    """Lists the modules of the standard library that the image has."""
    import pydoc

    def is_here(name: str) -> bool:
        if name[0] == "_" or (task.policy is not None and task.policy.refusal(name) is not None):
            return False
        return name in _modules or importlib.util.find_spec(name) is not None

    written = io.StringIO()
    pydoc.Helper(output=written).list([name for name in sys.stdlib_module_names if is_here(name)])
    return written.getvalue()


def _texts() -> ModuleType | None:
    """The module with the texts, which only the image has."""
    try:
        return importlib.import_module("_help_texts")
    except ImportError:
        return None


def _unpack(packed: bytes) -> dict[str, str]:
    texts: dict[str, str] = json.loads(zlib.decompress(packed))
    return texts


def _restore_texts(thing: Any) -> None:
    """Puts the docstrings of an object's module back, and those of its base classes' modules."""
    texts = _texts()
    if texts is None:
        return
    kinds = thing.__mro__ if isinstance(thing, type) else type(thing).__mro__
    names = [getattr(one, "__module__", None) for one in (thing, *kinds)]
    if isinstance(thing, ModuleType):
        names.append(thing.__name__)
    for name in dict.fromkeys(names):
        packed = texts.TEXTS.pop(name, None) if isinstance(name, str) else None
        if packed is not None and name in _modules:
            for path, text in _unpack(packed).items():
                _restore(_modules[name], path, text)
                if thing is not _modules[name] and isinstance(thing, ModuleType) and not path:
                    thing.__doc__ = text


def _restore(module: ModuleType, path: str, text: str) -> None:
    found: Any = module
    for part in path.split(".") if path else ():
        found = inspect.getattr_static(found, part, None)
    if isinstance(found, (staticmethod, classmethod)):
        found = found.__func__
    if found is not None and not getattr(found, "__doc__", None):
        try:
            found.__doc__ = text
        except (AttributeError, TypeError):
            # Members that have no docstring of their own, such as the fields of a named tuple.
            pass


def _describe(thing: ApiObject) -> str:
    """Formats the texts of an object and its members."""
    kind = type(thing)
    parts = [inspect.cleandoc(kind.__doc__ or "")]
    if callable(thing):
        parts.append(_entry("", kind.__call__))
    parts += [_entry(name, inspect.getattr_static(kind, name)) for name in dir(thing)]
    return "\n\n".join(parts)


def _entry(name: str, member: Any) -> str:
    """Formats the signature and the text of one member."""
    heading = f".{name}" if name else ""
    if callable(member) and not isinstance(member, type):
        _self, *parameters = inspect.signature(member).parameters.values()
        heading += _TYPE_MODULES.sub("", str(inspect.Signature(parameters)))
    lines = inspect.cleandoc(member.__doc__ or "").splitlines()
    return "\n".join([heading, *[f"    {line}".rstrip() for line in lines]])


def install() -> None:
    """Replaces the built-in `help`."""
    vars(builtins)["help"] = Help()
