"""Loads the guest package into an ordinary Python, with a host that records what it is told."""

import io
import json
import sys
import types
from pathlib import Path
from typing import Any

# The directory that holds the package.
_PARENT = Path(__file__).resolve().parent.parent


class FakeHost(types.ModuleType):
    """The module `_host`: the task's input, and what came out."""

    class CallError(Exception):
        """The host refused a call."""

    def __init__(self) -> None:
        super().__init__("_host")
        self.input = ""
        self.output: list[str] = []
        self.told: list[tuple[str, Any]] = []
        self.before_write: list[BaseException] = []
        # What is answered to a call of that name: a value, an exception, or a function of the parameters.
        self.answers: dict[str, Any] = {}
        self.called: list[tuple[str, Any]] = []
        self.flight: dict[int, tuple[bool, str] | None] = {}
        self.started = 0
        self.most_in_flight = 0

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

    def function_code(self, text: str, filename: str, name: str) -> None:
        """As with `encode_plain`."""

    def encode_plain(self, value: object) -> None:
        """Every value goes the long way here; the short one is C, and tested in the image."""

    def write_output(self, text: str) -> None:
        if self.before_write:
            raise self.before_write.pop()
        text.encode()
        self.output.append(text)

    def notify(self, name: str, params: str) -> None:
        params.encode()
        if name == "sandbox.forget":
            [number] = json.loads(params)
            del self.flight[number]
        self.told.append((name, json.loads(params)))

    def call(self, name: str, params: str) -> str:
        went_well, text = self._answer(name, params)
        if not went_well:
            raise self.CallError(text)
        return text

    def start(self, name: str, params: str) -> int:
        self.started += 1
        # `None` for an answer that never comes.
        self.flight[self.started] = None if self.answers.get(name) == "never" else self._answer(name, params)
        self.most_in_flight = max(self.most_in_flight, len(self.flight))
        return self.started

    def wait(self, seconds: float) -> tuple[int, bool, str] | None:
        """The last that was begun is answered first."""
        if not self.flight:
            if seconds < 0:
                raise ValueError("nothing is in flight")
            return None
        for number, answer in reversed(self.flight.items()):
            if answer is not None:
                del self.flight[number]
                return (number, *answer)
        if seconds < 0:
            raise AssertionError("this would wait for ever")
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


def _load() -> types.ModuleType:
    """Imports the package with `HOST` in place of the host."""
    sys.modules["_host"] = HOST
    sys.path.insert(0, str(_PARENT))
    import _serpentarium
    from _serpentarium.core import loop
    from _serpentarium.n8n import manual

    loop.install()
    manual.install()
    return _serpentarium


GUEST = _load()


class Reply:
    """What a task answered and printed."""

    def __init__(self, output: list[str], told: list[tuple[str, Any]]) -> None:
        self.text = "".join(output)
        self.value = json.loads(self.text, parse_constant=_refuse)
        self.told = told

    @property
    def result(self) -> Any:
        if not {"result"} <= set(self.value) <= {"result", "effects"}:
            raise AssertionError(self.value)
        return self.value["result"]

    @property
    def effects(self) -> dict[str, Any]:
        return self.value.get("effects", {})

    @property
    def error(self) -> dict[str, Any]:
        if set(self.value) != {"error"}:
            raise AssertionError(self.value)
        return self.value["error"]

    @property
    def printed(self) -> list[list[str]]:
        return [params for name, params in self.told if name == "logNodeOutput"]

    @property
    def stdout(self) -> str:
        return "".join(text for name, text in self.told if name == "stdout")


def _refuse(token: str) -> None:
    raise AssertionError(f"not JSON: {token}")


def run_settings(settings: Any) -> Reply:
    """Runs one task in this interpreter, and puts back what it changed."""
    import builtins
    import os

    from _serpentarium.core import loop, streams
    from _serpentarium.policy import guards
    from _serpentarium.core.log import log
    from _serpentarium.n8n.running import running

    HOST.called, HOST.flight, HOST.most_in_flight = [], {}, 0
    loop.install()
    running.__init__()
    HOST.input = settings if isinstance(settings, str) else json.dumps(settings)
    HOST.output, HOST.told = [], []
    before = sys.stdin, sys.stdout, sys.stderr, sys.__stdin__, sys.__stdout__, sys.__stderr__, builtins.print
    limit, directory, digits = sys.getrecursionlimit(), os.getcwd(), sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    log.__init__()
    streams.install()
    errors = sys.stderr = io.StringIO()
    try:
        GUEST.run()
    finally:
        guards.uninstall()
        sys.stdin, sys.stdout, sys.stderr, sys.__stdin__, sys.__stdout__, sys.__stderr__, builtins.print = before
        sys.setrecursionlimit(limit)
        sys.set_int_max_str_digits(digits)
        os.chdir(directory)
    reply = Reply(HOST.output, HOST.told)
    reply.stderr = errors.getvalue()
    return reply


def run_all(code: str, items: Any = (), **more: Any) -> Reply:
    """Runs `code` once for all items."""
    return run_settings({"code": code, "nodeMode": "runOnceForAllItems", "items": list(items), **more})


def run_each(code: str, values: Any, **more: Any) -> Reply:
    """Runs `code` once for each item, with `values` as the items' json."""
    items = [{"json": value} for value in values]
    return run_settings({"code": code, "nodeMode": "runOnceForEachItem", "items": items, **more})
