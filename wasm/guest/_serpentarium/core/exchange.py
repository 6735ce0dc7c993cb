"""Files that come with a task, and those that it hands back (wasm/ABI.md)."""

import atexit
import gc
import io
import posix
from binascii import a2b_base64, b2a_base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from json.encoder import encode_basestring_ascii as _quote
from stat import S_ISDIR, S_ISREG
from types import CodeType
from typing import Any

import _host

from _serpentarium.abi import DATA, FILES, FILES_IN, FILES_OUT, PATH, RESULT
from _serpentarium.core import wire
from _serpentarium.core.current import Task
from _serpentarium.core.extensions import Bind, Mode
from _serpentarium.core.task_error import TaskError
from _serpentarium.core.wire import Reply

# Characters of base64 that are decoded at once: a multiple of four.
_TEXT = 1 << 20
# Bytes that are encoded at once: a multiple of three.
_CHUNK = 3 << 14
# Bytes that are freed before the reply is written, more than a chunk needs: half a reply is worth
# nothing.
_RESERVE = 1 << 18

# User code can replace members of modules, so the functions are bound here.
_open, _close, _read, _write = posix.open, posix.close, posix.read, posix.write
_lstat, _fstat, _mkdir, _list = posix.lstat, posix.fstat, posix.mkdir, posix.listdir
_READ, _MAKE = posix.O_RDONLY, posix.O_WRONLY | posix.O_CREAT | posix.O_TRUNC
_decode, _encode = a2b_base64, b2a_base64
_objects = gc.get_objects
_run_exit_functions = atexit._run_exitfuncs
# Text before bytes: a flush of text writes to a buffer of bytes.
_BUFFERED = (
    (io.TextIOWrapper, io.TextIOWrapper.flush),
    (io.BufferedWriter, io.BufferedWriter.flush),
    (io.BufferedRandom, io.BufferedRandom.flush),
)
_send = wire.send
_fix_files = _host.fix_files

_HEAD = f'{{"{RESULT}":'
_HEAD_BYTES = _HEAD.encode()


def with_files(mode: Mode, files: Mapping[str, Any]) -> Mode:
    """Makes the files that came with the task. Returns the mode that hands others back."""
    # The caller may add files to the library.
    _fix_files(False)
    for file in files.get(FILES_IN, ()):
        _place(file[PATH], file.pop(DATA))
    _fix_files(True)
    directories: list[str] = files.get(FILES_OUT, [])
    if not directories:
        return mode
    for directory in directories:
        try:
            _make_directories(directory + "/")
        except OSError as error:
            raise TaskError(f"The directory {directory} cannot be made: {error.strerror}") from None

    def run(task: Task, body: CodeType, bind: Bind) -> Reply:
        return _hand_back(mode(task, body, bind), directories)

    return run


def _place(path: str, text: str) -> None:
    """Makes a file of base64."""
    try:
        make_file(path, (_decode(text[at : at + _TEXT]) for at in range(0, len(text), _TEXT)))
    except OSError as error:
        raise TaskError(f"The file {path} cannot be made: {error.strerror}") from None


def make_file(path: str, chunks: Iterable[bytes]) -> None:
    """Makes a file and the directories above it."""
    _make_directories(path)
    file = _open(path, _MAKE)
    try:
        for chunk in chunks:
            data = memoryview(chunk)
            while data:
                data = data[_write(file, data) :]
    finally:
        _close(file)


def read_file(path: str) -> bytes:
    """Reads a regular file."""
    file = _open(path, _READ)
    try:
        if not S_ISREG(_fstat(file).st_mode):
            raise OSError(f"{path!r} is no regular file")
        chunks = []
        while data := _read(file, _CHUNK):
            chunks.append(data)
        return b"".join(chunks)
    finally:
        _close(file)


def _make_directories(path: str) -> None:
    """Makes the directories above a path."""
    end = path.find("/", 1)
    while end > 0:
        try:
            _mkdir(path[:end])
        except FileExistsError:
            pass
        end = path.find("/", end + 1)


def flush() -> None:
    """Writes what open files of the code hold back, as the end of a process does."""
    objects = _objects()
    for kind, flush in _BUFFERED:
        for value in objects:
            # `isinstance` or a look-up could run code of the user.
            if type(value) is kind:
                try:
                    flush(value)
                except (OSError, ValueError):
                    # It is closed, or memory is short.
                    pass


def _hand_back(reply: Reply, directories: Sequence[str]) -> Reply:
    """Writes a result with the files, all but its end. Returns the end."""
    is_result = reply.startswith(_HEAD) if isinstance(reply, str) else reply.startswith(_HEAD_BYTES)
    if not is_result:
        return reply
    # As at the end of a process: exit functions can write and remove files.
    _run_exit_functions()
    flush()
    paths = [path for directory in directories for path in _walk(directory)]
    if not paths:
        return reply
    for path in paths:
        # A file that cannot be read is an error while there can still be one.
        _close(_readable(path))
    reserve = bytearray(_RESERVE)
    body = reply[:-1]
    del reserve
    _send(body)
    _send(f',"{FILES}":')
    separator = "["
    for path in paths:
        _send(f'{separator}{{"{PATH}":{_quote(path)},"{DATA}":"')
        separator = ","
        for text in _base64(path):
            _send(text)
        _send('"}')
    return "]}"


def _walk(directory: str) -> Iterator[str]:
    """Yields the paths of the files below a directory, in order. Follows no links."""
    try:
        if not S_ISDIR(_lstat(directory).st_mode):
            return
    except OSError:
        # The code has removed it.
        return
    waiting = [directory]
    while waiting:
        path = waiting.pop()
        mode = _lstat(path).st_mode
        if S_ISREG(mode):
            _check_name(path)
            yield path
        elif S_ISDIR(mode):
            waiting += [f"{path}/{name}" for name in sorted(_list(path), reverse=True)]


def _check_name(path: str) -> None:
    """The host refuses such names, too."""
    if any(c < " " or "\x7f" <= c < "\xa0" or "\ud800" <= c <= "\udfff" for c in path):
        raise TaskError(
            f"The file {path!a} cannot be handed back: its name has a control character, or "
            "is not UTF-8"
        )


def _readable(path: str) -> int:
    try:
        return _open(path, _READ)
    except OSError as error:
        raise TaskError(f"The file {path} cannot be handed back: {error.strerror}") from None


def _base64(path: str) -> Iterator[bytes]:
    file = _readable(path)
    try:
        while data := _read(file, _CHUNK):
            while len(data) % 3 and (more := _read(file, _CHUNK)):
                data += more
            yield _encode(data, newline=False)
    finally:
        _close(file)
