"""What n8n does for a task: a request by name, its answer, and what is raised where it fails."""

from collections.abc import Callable, Coroutine
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

from _serpentarium.core import loop, wire
from _serpentarium.core.result import plain
from _serpentarium.core.wire import encode

_T = TypeVar("_T")
_P = ParamSpec("_P")
_Method = TypeVar("_Method", bound=Callable[..., Any])

# How the texts of binary data begin, and those of an HTTP answer with a binary body.
_BUFFER = '{"type":"Buffer"'
_BODY = '{"body":'

# Where errors of n8n and its libraries have the status of an HTTP answer.
_STATUS = ("httpCode", "statusCode", "status")

# Characters of an answer's body that are shown with an error.
_EXCERPT = 500


class CallError(Exception):
    __doc__ = """n8n could not do what was asked. `details` is what it said, a dict, or None if it was a text."""
    # Tracebacks name it as a class of the user's own.
    __module__ = "__main__"

    def __init__(self, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.details = details

    def __reduce__(self) -> tuple[Any, ...]:
        return _call_error, (str(self), self.details), self.__dict__


class HttpError(CallError):
    __doc__ = """The answer to an HTTP request has a status that is an error: `status_code`, `body`, `headers`."""
    __module__ = "__main__"

    def __init__(self, status_code: int, body: Any = None, headers: Any = None, message: str = "") -> None:
        super().__init__(message or f"Request failed with status code {status_code}")
        self.status_code = self.statusCode = status_code
        self.body = body
        self.headers = headers or {}
        if body not in (None, "", b""):
            text = str(body)
            self.add_note(f"The answer: {text[:_EXCERPT]}{'…' if len(text) > _EXCERPT else ''}")

    def __reduce__(self) -> tuple[Any, ...]:
        return _http_error, (self.status_code, self.body, self.headers, str(self)), self.__dict__


# The classes are not found under the module that tracebacks name, so copies and pickles go by these.
def _call_error(*arguments: Any) -> CallError:
    return CallError(*arguments)


def _http_error(*arguments: Any) -> HttpError:
    return HttpError(*arguments)


class Request(Generic[_T]):
    """A call of the host before it is made: its name, its parameters, and what becomes of the answer.

    `binary` says that the answer is binary data, or that of HTTP has it for a body.
    """

    __slots__ = ("binary", "finish", "name", "params")

    def __init__(self, name: str, params: list[Any], finish: Callable[[Any], _T], *, binary: bool = False) -> None:
        self.name = name
        self.binary = binary
        self.params = "[" + ",".join([_param(value) for value in params]) + "]"
        self.finish = finish


def _param(value: Any) -> str:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return wire.buffer_to_json(value)
    text = to_json(value)
    # Lone surrogates have no place in UTF-8.
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def to_json(value: Any) -> str:
    """The JSON of a value, as a result would be written."""
    try:
        return "".join(encode(value, 0))
    except (ValueError, TypeError):
        # NaN, or odd keys.
        return "".join(encode(plain(value), 0))


def call(request: Request[_T]) -> _T:
    """Makes a request, and waits for its answer."""
    try:
        text = wire.call_host(request.name, request.params)
    except wire.CallFailed as failure:
        raise _error(request.name, str(failure)) from None
    return request.finish(_answer(request, text))


async def call_async(request: Request[_T]) -> _T:
    """Makes a request; other tasks of the event loop go on until there is an answer."""
    went_well, text = await loop.call(request.name, request.params)
    if not went_well:
        raise _error(request.name, text)
    return request.finish(_answer(request, text))


def blocking(plan: Callable[_P, Request[_T]]) -> Callable[Concatenate[Any, _P], _T]:
    """The method that makes the planned request and waits."""

    @wraps(plan)
    def method(_self: Any, /, *args: _P.args, **options: _P.kwargs) -> _T:
        return call(plan(*args, **options))

    return _as_method(method)


def awaitable(plan: Callable[_P, Request[_T]]) -> Callable[Concatenate[Any, _P], Coroutine[Any, Any, _T]]:
    """The method to be awaited that makes the planned request."""

    @wraps(plan)
    async def method(_self: Any, /, *args: _P.args, **options: _P.kwargs) -> _T:
        return await call_async(plan(*args, **options))

    method.__doc__ = f"To be awaited. {plan.__doc__}"
    return _as_method(method)


def _as_method(method: _Method) -> _Method:
    """Gives a method the signature of its plan."""
    parameters = signature(method).parameters.values()
    # The plan itself is nothing to look into.
    del method.__wrapped__  # type: ignore[attr-defined]
    itself = Parameter("self", Parameter.POSITIONAL_ONLY)
    method.__signature__ = Signature([itself, *parameters])  # type: ignore[attr-defined]
    return method


def _answer(request: Request[Any], text: str) -> Any:
    """The value of an answer, with bytes for the binary data that was asked for."""
    if not request.binary:
        return wire.decode(text)
    try:
        if text.startswith(_BUFFER):
            return wire.buffer_from_json(text, 0)[0]
        if text.startswith(_BODY + _BUFFER):
            body, end = wire.buffer_from_json(text, len(_BODY))
            return {**wire.decode(f"{_BODY}null{text[end:]}"), "body": body}
    except ValueError:
        # Written in an unusual way.
        pass
    answer = _bytes_of(wire.decode(text))
    if type(answer) is dict and "body" in answer:
        answer["body"] = _bytes_of(answer["body"])
    return answer


def _bytes_of(value: Any) -> Any:
    """The bytes where a value stands for binary data, or else the value."""
    if type(value) is dict and value.get("type") == "Buffer" and type(value.get("data")) is list:
        try:
            return bytes(value["data"])
        except (ValueError, TypeError, OverflowError):
            # Something else in the same form.
            pass
    return value


def _error(name: str, text: str) -> CallError:
    """The exception for the text of a failure: that is JSON where n8n said more than a sentence."""
    details = _object(text)
    if details is None:
        return CallError(text)
    response = details.get("response")
    response = response if type(response) is dict else {}
    message = details.get("message") or details.get("description") or f"n8n failed at {name}, and did not say why"
    for status in (*[details.get(key) for key in _STATUS], response.get("status")):
        if type(status) is int or (type(status) is str and status.isdecimal()):
            error: CallError = HttpError(int(status), response.get("data"), response.get("headers"), str(message))
            error.details = details
            return error
    return CallError(str(message), details)


def _object(text: str) -> dict[str, Any] | None:
    if not text.startswith("{"):
        return None
    try:
        value = wire.decode(text)
    except ValueError:
        return None
    return value if type(value) is dict else None
