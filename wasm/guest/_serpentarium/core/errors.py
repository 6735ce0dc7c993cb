"""Encodes an exception as the JSON text of the reply.

User code can raise any object, whose methods run when the report reads it. Each part of a report
can therefore fail, and the report then omits it. The name of the type is always available.
"""

import gc
import sys
from collections import deque
from opcode import opmap
from traceback import FrameSummary, StackSummary, TracebackException
from types import TracebackType
from typing import Any, TypeAlias

from _serpentarium.abi import (
    CONTEXT,
    DESCRIPTION,
    ERROR,
    ITEM_INDEX,
    LIMIT,
    LINE_NUMBER,
    MAX_REPORT_TEXT,
    MESSAGE,
)
from _serpentarium.core import source
from _serpentarium.core.code import FILENAME
from _serpentarium.core.hints import hint
from _serpentarium.core.result import TaskError
from _serpentarium.core.wire import encode

# Frames at each end of a traceback.
_MAX_FRAMES = 500
# Exceptions linked by causes, contexts and groups.
_MAX_EXCEPTIONS = 200
# First invalid line number: the host reads a `u32`, and CPython's `lineno` is an `int`.
_MAX_LINE = 2**31

# The limit of a task that ran out of memory.
_MEMORY = "memory"

# Replies for which no memory, or no trust in the exception, is left.
OUT_OF_MEMORY = "".join(encode({ERROR: {MESSAGE: "MemoryError", LIMIT: _MEMORY}}, 0))
_NO_REPORT = "".join(
    encode({ERROR: {MESSAGE: "The task failed, and so did the report of its failure"}}, 0)
)

_TRUNCATED = "… truncated"

_RAISE: int = opmap["RAISE_VARARGS"]

_set_recursion_limit = sys.setrecursionlimit
_collect = gc.collect
_Traceback = TracebackException
_format_frame = StackSummary.format_frame_summary
_traceback = BaseException.__dict__["__traceback__"]
_cause = BaseException.__dict__["__cause__"]
_context = BaseException.__dict__["__context__"]
_members = BaseExceptionGroup.__dict__["exceptions"]
_key_text: Any = KeyError.__dict__["__str__"]
_type_name = type.__dict__["__name__"]

Report: TypeAlias = dict[str, object]


def report(error: BaseException, item_index: int | None) -> str:
    """Encodes the reply of a task that failed."""
    try:
        # User code can have lowered the limit.
        _set_recursion_limit(1000)
        if issubclass(type(error), MemoryError):
            _free_locals(error)
        return _encode(_with_hint(_describe(error), error), item_index)
    except BaseException:
        pass
    try:
        _free_locals(error)
        details: Report = {MESSAGE: _name(error)}
        if issubclass(type(error), MemoryError):
            details[LIMIT] = _MEMORY
        return _encode(details, item_index)
    except MemoryError:
        return OUT_OF_MEMORY
    except BaseException:
        return _NO_REPORT


def _encode(details: Report, item_index: int | None) -> str:
    if item_index is not None:
        details[CONTEXT] = {ITEM_INDEX: item_index}
    return "".join(encode({ERROR: details}, 0))


def _with_hint(details: Report, error: BaseException) -> Report:
    """Appends the hint for the error, if there is one, to its texts."""
    text = hint(error)
    if text is not None:
        line = f"\nHint: {_bounded(text)}"
        has_own_text = issubclass(type(error), TaskError) and DESCRIPTION in details
        details[DESCRIPTION] = f"{details.get(DESCRIPTION) or details[MESSAGE]}{line}"
        if not has_own_text:
            # Clients compare the messages of a policy, which are those of n8n's own runner.
            details[MESSAGE] = f"{details[MESSAGE]}{line}"
    return details


def _describe(error: Any) -> Report:
    kind = type(error)
    traceback = _user_frames(_traceback.__get__(error))
    line = _last_line(traceback)
    if issubclass(kind, TaskError):
        details: Report = error.details(line)
        return details
    if issubclass(kind, SystemExit):
        details = _describe_exit(error)
    elif issubclass(kind, SyntaxError) and line is None:
        details, line = _describe_syntax(error)
    else:
        details = {MESSAGE: _message(error), DESCRIPTION: _description(error)}
    # Out of memory in the middle of a call, CPython sometimes raises this SystemError instead.
    is_lost = kind is SystemError and "without exception set" in _text(error)
    if is_lost or (issubclass(kind, MemoryError) and not _is_raised(error)):
        details[LIMIT] = _MEMORY
    if not details.get(DESCRIPTION, "…"):
        del details[DESCRIPTION]
    # User code can make a traceback with any line number.
    if line is not None and 0 < line < _MAX_LINE:
        details[LINE_NUMBER] = line
    return details


def _is_raised(error: MemoryError) -> bool:
    """Returns whether a `raise` made the error, or the parser, for code nested too deeply."""
    if _text(error).startswith("Parser stack overflowed"):
        return True
    traceback = _traceback.__get__(error)
    if traceback is None:
        return False
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    try:
        code: bytes = traceback.tb_frame.f_code.co_code
    except MemoryError:
        return False
    return bool(code[traceback.tb_lasti] == _RAISE)


def _describe_exit(error: SystemExit) -> Report:
    code = error.code
    if code is None or type(code) is int:
        return {MESSAGE: f"Process exited with code {code or 0}"}
    return {MESSAGE: "Process exited with code 1", DESCRIPTION: _text(code)}


def _describe_syntax(error: SyntaxError) -> tuple[Report, int | None]:
    """Describes an error in the text of the program, which has not run."""
    line = error.lineno
    if type(line) is not int or error.filename != FILENAME:
        return {MESSAGE: _message(error), DESCRIPTION: _description(error)}, None
    if error.text is None:
        lines = source.program_lines()
        error.text = lines[line - 1] if 0 < line <= len(lines) else None
    message = f"{_text(error.msg)} (line {line})"
    return {MESSAGE: message, DESCRIPTION: _description(error)}, line


def _message(error: BaseException) -> str:
    """Returns the exception's text, or the name of its type.

    The text of a `KeyError` is a bare key, so the name of the type comes before it.
    """
    message = _text(error)
    if not message.strip():
        return _name(error)
    is_key = issubclass(type(error), KeyError) and message == _text_of_key(error)
    return f"{_name(error)}: {message}" if is_key else message


def _text_of_key(error: BaseException) -> str:
    """Returns the text that `KeyError` itself gives, which a subclass can replace."""
    try:
        return _bounded(_key_text(error))
    except BaseException:
        return ""


def _name(error: BaseException) -> str:
    return _bounded(_type_name.__get__(type(error)))


def _text(value: object) -> str:
    """Returns `str(value)`, cut; empty if that fails."""
    try:
        return _bounded(str(value))
    except BaseException:
        return ""


def _bounded(text: str) -> str:
    """Cuts a text, and escapes lone surrogates."""
    text = str.__str__(text)
    if len(text) > MAX_REPORT_TEXT:
        text = text[:MAX_REPORT_TEXT] + _TRUNCATED
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def _description(error: BaseException) -> str:
    """Formats the traceback as Python does, with user frames only; empty if that fails."""
    try:
        _keep_user_frames(error)
        source.install()
        printed = _Traceback(type(error), error, _traceback.__get__(error), compact=True)
        _cache_frames(printed)
        text = "".join([_bounded(line) for line in printed.format()]).rstrip("\n")
    except BaseException:
        return ""
    # Keeps the beginning, which shows the call, and the end, which shows the exception.
    half = MAX_REPORT_TEXT // 2
    return text if len(text) <= MAX_REPORT_TEXT else f"{text[:half]}{_TRUNCATED} …\n{text[-half:]}"


class _CachedStack(StackSummary):
    """Caches the formatted frames of a traceback and of those linked to it.

    The library parses the line of each frame, including those of an endless recursion, of which it
    then shows three.
    """

    __slots__ = ("texts",)

    texts: dict[tuple[Any, ...], Any]

    def format_frame_summary(self, frame_summary: FrameSummary, **options: Any) -> Any:
        frame = frame_summary
        key = (frame.name, frame.lineno, frame.end_lineno, frame.colno, frame.end_colno)
        if key not in self.texts:
            self.texts[key] = _format_frame(self, frame, **options)
        return self.texts[key]


def _cache_frames(printed: TracebackException) -> None:
    """Replaces the stacks of a traceback and of those linked to it.

    A replaced method of the library's class would do too. But each report would then invalidate the
    class's entries in the method cache, and the task would write to more pages.
    """
    texts: dict[tuple[Any, ...], Any] = {}
    todo = deque([printed])
    while todo:
        one = todo.popleft()
        one.stack = stack = _CachedStack(one.stack)
        stack.texts = texts
        todo += [other for other in (one.__cause__, one.__context__) if other is not None]
        todo += one.exceptions or ()


def _keep_user_frames(error: BaseException) -> None:
    """Removes other frames from an exception and from those linked to it."""
    seen: set[int] = set()
    todo = deque([error])
    while todo:
        error = todo.popleft()
        if id(error) in seen:
            continue
        seen.add(id(error))
        if len(seen) > _MAX_EXCEPTIONS:
            _cause.__set__(error, None)
            _context.__set__(error, None)
        _traceback.__set__(error, _user_frames(_traceback.__get__(error)))
        linked = (_cause.__get__(error), _context.__get__(error))
        todo += [other for other in linked if other is not None]
        if issubclass(type(error), BaseExceptionGroup):
            todo += _members.__get__(error)


def _user_frames(traceback: TracebackType | None) -> TracebackType | None:
    """Copies a traceback, with the user's frames only and without the middle of a long one."""
    kept: deque[TracebackType] = deque()
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == FILENAME:
            kept.append(traceback)
            if len(kept) > 2 * _MAX_FRAMES:
                del kept[_MAX_FRAMES]
        traceback = traceback.tb_next
    copy = None
    for entry in reversed(kept):
        copy = TracebackType(copy, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return copy


def _last_line(traceback: TracebackType | None) -> int | None:
    """Returns the line of the innermost frame."""
    line = None
    while traceback is not None:
        line = traceback.tb_lineno
        traceback = traceback.tb_next
    return line


def _free_locals(error: BaseException) -> None:
    """Frees the local variables of the frames that failed, and collects cycles."""
    traceback = _traceback.__get__(error)
    while traceback is not None:
        try:
            traceback.tb_frame.clear()
        except RuntimeError:
            # A frame that still runs: it is a caller of this function.
            pass
        traceback = traceback.tb_next
    _collect()
