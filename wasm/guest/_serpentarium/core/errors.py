"""From an exception to the JSON text of the reply.

User code may raise anything, and objects of its own run code when they are looked at. So each part of a report may fail
and the report goes on without it; in the end there is always a name to give.
"""

import gc
import sys
from collections import deque
from traceback import FrameSummary, StackSummary, TracebackException
from types import TracebackType
from typing import Any, TypeAlias

from _serpentarium.core import source
from _serpentarium.core.code import FILENAME
from _serpentarium.policy.policy import Violation
from _serpentarium.core.result import TaskError
from _serpentarium.core.wire import encode

# Bounds of a report: characters of a text (the host cuts at 64 KiB), frames of a traceback at either end, exceptions
# that belong together.
_TEXT = 16_000
_FRAMES = 500
_EXCEPTIONS = 200
# No text has as many lines.
_LINES = 2**31

_OUT_OF_MEMORY = "The task needs more memory than it may use, or its code is nested too deeply."
_TRUNCATED = "… truncated"

_set_recursion_limit = sys.setrecursionlimit
_collect = gc.collect
_Traceback = TracebackException
_format_frame = StackSummary.format_frame_summary
_traceback = BaseException.__dict__["__traceback__"]
_cause = BaseException.__dict__["__cause__"]
_context = BaseException.__dict__["__context__"]
_members = BaseExceptionGroup.__dict__["exceptions"]
_type_name = type.__dict__["__name__"]

Report: TypeAlias = dict[str, object]


def report(error: BaseException, item_index: int | None) -> str:
    """The reply for a task that failed."""
    try:
        # User code may have left hardly any.
        _set_recursion_limit(1000)
        if issubclass(type(error), MemoryError):
            _free_locals(error)
        return _encode(_describe(error), item_index)
    except BaseException:
        pass
    try:
        _free_locals(error)
        return _encode({"message": _name(error)}, item_index)
    except MemoryError:
        return '{"error":{"message":"MemoryError"}}'
    except BaseException:
        return '{"error":{"message":"The task failed, and so did the report of its failure"}}'


def _encode(details: Report, item_index: int | None) -> str:
    if item_index is not None:
        details["context"] = {"itemIndex": item_index}
    return "".join(encode({"error": details}, 0))


def _describe(error: BaseException) -> Report:
    kind = type(error)
    traceback = _user_frames(_traceback.__get__(error))
    line = _last_line(traceback)
    if kind is Violation:
        return {"message": str(error), "description": error.description, "lineNumber": error.line or line}
    if issubclass(kind, TaskError):
        return {"message": str(error)}
    if issubclass(kind, SystemExit):
        details = _describe_exit(error)  # type: ignore[arg-type]
    elif issubclass(kind, SyntaxError) and line is None:
        details, line = _describe_syntax(error)  # type: ignore[arg-type]
    else:
        details = {"message": _message(error), "description": _description(error)}
    # Where memory ends in the middle of a call, CPython sometimes fails to say so.
    if issubclass(kind, MemoryError) or (kind is SystemError and "without exception set" in _text(error)):
        details["description"] = f"{details['description'] or _name(error)}\n{_OUT_OF_MEMORY}"
    if not details.get("description", "…"):
        del details["description"]
    # Code can make up a traceback with any line in it.
    if line is not None and 0 < line < _LINES:
        details["lineNumber"] = line
    return details


def _describe_exit(error: SystemExit) -> Report:
    code = error.code
    if code is None or type(code) is int:
        return {"message": f"Process exited with code {code or 0}"}
    return {"message": "Process exited with code 1", "description": _text(code)}


def _describe_syntax(error: SyntaxError) -> tuple[Report, int | None]:
    """An error in the user's text itself: nothing of it has run."""
    line = error.lineno if type(error.lineno) is int and error.filename == FILENAME else None
    if line is None:
        return {"message": _message(error), "description": _description(error)}, None
    if error.text is None:
        lines = source.running_lines()
        error.text = lines[line - 1] if 0 < line <= len(lines) else None
    return {"message": f"{_text(error.msg)} (line {line})", "description": _description(error)}, line


def _message(error: BaseException) -> str:
    """The exception's text; its type where it has none."""
    message = _text(error)
    return message if message.strip() else _name(error)


def _name(error: BaseException) -> str:
    return _bounded(_type_name.__get__(type(error)))


def _text(value: object) -> str:
    """`str(value)`, bounded; empty where that fails."""
    try:
        return _bounded(str(value))
    except BaseException:
        return ""


def _bounded(text: str) -> str:
    """A text to show: of bearable length, and without lone surrogates."""
    text = str.__str__(text)
    if len(text) > _TEXT:
        text = text[:_TEXT] + _TRUNCATED
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def _description(error: BaseException) -> str:
    """The traceback as Python prints it, through the user's own code only; empty where that fails."""
    try:
        _keep_user_frames(error)
        source.offer()
        _format_each_place_once()
        printed = _Traceback(type(error), error, _traceback.__get__(error), compact=True)
        text = "".join([_bounded(line) for line in printed.format()]).rstrip("\n")
    except BaseException:
        return ""
    # The end says what happened, the beginning where it came from.
    half = _TEXT // 2
    return text if len(text) <= _TEXT else f"{text[:half]}{_TRUNCATED} …\n{text[-half:]}"


def _format_each_place_once() -> None:
    """Lets the library keep the text of a frame for others at the same place in the code: it parses the line for each, also for
    those of an endless recursion, of which it then shows three."""
    texts: dict[tuple[Any, ...], str | None] = {}

    def format_frame_summary(stack: StackSummary, frame: FrameSummary, **options: Any) -> str | None:
        place = (frame.name, frame.lineno, frame.end_lineno, frame.colno, frame.end_colno)
        if place not in texts:
            texts[place] = _format_frame(stack, frame, **options)
        return texts[place]

    StackSummary.format_frame_summary = format_frame_summary  # type: ignore[method-assign]


def _keep_user_frames(error: BaseException) -> None:
    """Leaves only the user's own frames in an exception and in those it came from or holds."""
    seen: set[int] = set()
    todo = deque([error])
    while todo:
        error = todo.popleft()
        if id(error) in seen:
            continue
        seen.add(id(error))
        if len(seen) > _EXCEPTIONS:
            _cause.__set__(error, None)
            _context.__set__(error, None)
        _traceback.__set__(error, _user_frames(_traceback.__get__(error)))
        todo += [other for other in (_cause.__get__(error), _context.__get__(error)) if other is not None]
        if issubclass(type(error), BaseExceptionGroup):
            todo += _members.__get__(error)


def _user_frames(traceback: TracebackType | None) -> TracebackType | None:
    """The same traceback without the frames of others; the middle of a very long one is left out."""
    kept: deque[TracebackType] = deque()
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == FILENAME:
            kept.append(traceback)
            if len(kept) > 2 * _FRAMES:
                del kept[_FRAMES]
        traceback = traceback.tb_next
    copy = None
    for entry in reversed(kept):
        copy = TracebackType(copy, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return copy


def _last_line(traceback: TracebackType | None) -> int | None:
    """The line of the innermost frame."""
    line = None
    while traceback is not None:
        line = traceback.tb_lineno
        traceback = traceback.tb_next
    return line


def _free_locals(error: BaseException) -> None:
    """Lets go of what the frames that failed still hold, in circles, too."""
    traceback = _traceback.__get__(error)
    while traceback is not None:
        try:
            traceback.tb_frame.clear()
        except RuntimeError:
            # This one still runs: it is the way to here.
            pass
        traceback = traceback.tb_next
    _collect()
