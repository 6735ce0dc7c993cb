"""Imports the guest package into an ordinary Python, with a host that records notifications."""

import builtins
import io
import json
import os
import sys
import types
from pathlib import Path
from typing import Any

import fake_compiler


class FakeHost(types.ModuleType):
    """The module `_host`: the input of a task, its output and its calls."""

    class CallError(Exception):
        """The host refused a call."""

    def __init__(self) -> None:
        super().__init__("_host")
        self.input = ""
        self.output: list[str] = []
        self.notified: list[tuple[str, Any]] = []
        self.before_write: list[BaseException] = []
        # Answers by name: a value, an exception, or a function of the parameters.
        self.answers: dict[str, Any] = {}
        self.called: list[tuple[str, Any]] = []
        self.pending: dict[int, tuple[bool, str] | None] = {}
        self.started = 0
        self.most_pending = 0

    def read_input(self) -> bytes:
        return self.input.encode("utf-8", "surrogatepass")

    def decode_plain(self, json: bytes | str) -> object:
        """As with `encode_plain`."""
        raise ValueError

    def buffer_to_json(self, data: Any) -> str:
        return json.dumps({"type": "Buffer", "data": list(bytes(data))}, separators=(",", ":"))

    def buffer_from_json(self, text: str, start: int) -> tuple[bytes, int]:
        if not text.isascii() or not text.startswith('{"type":"Buffer","data":[', start):
            raise ValueError("not a buffer")
        value, end = json.JSONDecoder().raw_decode(text, start)
        try:
            return bytes(value["data"]), end
        except (TypeError, OverflowError):
            raise ValueError("not a buffer") from None

    def program_code(self, program: Any, filename: str, revealing: frozenset[str]) -> Any:
        """The image compiles a text in C, and has a compiler for modules that return."""
        return None if isinstance(program, str) else fake_compiler.compile_tree(program, filename)

    def encode_plain(self, value: object) -> None:
        """The fast paths are C and tested in the image. Here, each value takes the slow path."""

    def set_thread(self, number: int) -> None:
        """Set the number of the running thread."""
        self.thread = number

    def set_maker(self, function: Any) -> None:
        self.maker = function

    def fix_files(self, fixed: bool) -> None:
        self.files_are_fixed = fixed

    def limit_files(self, more: int) -> None:
        self.most_file_bytes = more

    def set_zone(self, source: Any) -> None:
        self.zone_source = source

    def write_output(self, text: str | bytes) -> None:
        if self.before_write:
            raise self.before_write.pop()
        data = text.encode() if isinstance(text, str) else text
        self.output.append(data.decode())

    def notify(self, name: str, params: str) -> None:
        params.encode()
        if name == "sandbox.forget":
            [number] = json.loads(params)
            del self.pending[number]
        self.notified.append((name, json.loads(params)))

    def call(self, name: str, params: str) -> str:
        succeeded, text = self._answer(name, params)
        if not succeeded:
            raise self.CallError(text)
        return text

    def start(self, name: str, params: str) -> int:
        self.started += 1
        # `None` for an answer that never comes.
        self.pending[self.started] = (
            None if self.answers.get(name) == "never" else self._answer(name, params)
        )
        self.most_pending = max(self.most_pending, len(self.pending))
        return self.started

    def wait(self, seconds: float) -> tuple[int, bool, str] | None:
        """Answers the call that was started last."""
        if not self.pending:
            if seconds < 0:
                raise ValueError("no call is pending")
            return None
        for number, answer in reversed(self.pending.items()):
            if answer is not None:
                del self.pending[number]
                return (number, *answer)
        if seconds < 0:
            raise AssertionError("the wait would never end")
        return None

    def _answer(self, name: str, params: str) -> tuple[bool, str]:
        params.encode()
        values = json.loads(params, parse_constant=_refuse)
        self.called.append((name, values))
        answer = self.answers.get(name, self.CallError("Method not allowed"))
        if callable(answer):
            answer = answer(*values)
        if isinstance(answer, Exception):
            return False, str(answer)
        return True, json.dumps(answer, ensure_ascii=False, separators=(",", ":"))


HOST = FakeHost()
sys.modules["_host"] = HOST
# The directory that holds the package.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import _serpentarium as GUEST  # noqa: E402
from _serpentarium import warmup  # noqa: E402
from _serpentarium.core import loop, source, streams  # noqa: E402
from _serpentarium.n8n import help as help_  # noqa: E402

source.install()
loop.install()
help_.install()


class Reply:
    """The reply of a task, and its notifications."""

    def __init__(self, output: list[str], notified: list[tuple[str, Any]], stderr: str) -> None:
        self.text = "".join(output)
        self.value: dict[str, Any] = json.loads(self.text, parse_constant=_refuse)
        self.notified = notified
        self.stderr = stderr

    @property
    def result(self) -> Any:
        if not {"result"} <= set(self.value) <= {"result", "effects"}:
            raise AssertionError(self.value)
        return self.value["result"]

    @property
    def effects(self) -> dict[str, Any]:
        effects: dict[str, Any] = self.value.get("effects", {})
        return effects

    @property
    def error(self) -> dict[str, Any]:
        if set(self.value) != {"error"}:
            raise AssertionError(self.value)
        error: dict[str, Any] = self.value["error"]
        return error

    @property
    def message(self) -> str:
        """The message of the error, without the hint."""
        message: str = self.error["message"]
        return message.partition("\nHint: ")[0]

    @property
    def printed(self) -> list[list[str]]:
        return [params for name, params in self.notified if name == "logNodeOutput"]

    @property
    def stdout(self) -> str:
        return "".join(text for name, text in self.notified if name == "stdout")


def _refuse(token: str) -> None:
    raise AssertionError(f"not JSON: {token}")


_STREAMS = ("stdin", "stdout", "stderr", "__stdin__", "__stdout__", "__stderr__")


def run_settings(settings: Any) -> Reply:
    """Runs one task in this interpreter, and restores what it changed."""
    HOST.called, HOST.pending, HOST.most_pending = [], {}, 0
    loop.install()
    HOST.input = settings if isinstance(settings, str) else json.dumps(settings)
    HOST.output, HOST.notified = [], []
    streams_before = {name: vars(sys)[name] for name in _STREAMS}
    print_before = builtins.print
    limit, directory, digits = sys.getrecursionlimit(), os.getcwd(), sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    streams.install()
    errors = sys.stderr = io.StringIO()
    try:
        GUEST.run()
    finally:
        warmup.reset()
        vars(sys).update(streams_before)
        builtins.print = print_before
        sys.setrecursionlimit(limit)
        sys.set_int_max_str_digits(digits)
        os.chdir(directory)
    return Reply(HOST.output, HOST.notified, errors.getvalue())


def run_program(code: str, **more: Any) -> Reply:
    """Runs a plain program."""
    return run_settings({"code": code, **more})


def run_all(code: str, items: Any = (), **more: Any) -> Reply:
    """Runs `code` once for all items."""
    return run_settings(
        {"code": code, "nodeMode": "runOnceForAllItems", "items": list(items), **more}
    )


def run_each(code: str, values: Any, **more: Any) -> Reply:
    """Runs `code` once for each item, with `values` as the items' json."""
    items = [{"json": value} for value in values]
    return run_settings({"code": code, "nodeMode": "runOnceForEachItem", "items": items, **more})
