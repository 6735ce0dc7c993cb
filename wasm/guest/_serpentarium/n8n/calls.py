"""Calls to n8n: requests by name, and their answers."""

from collections.abc import Callable, Coroutine
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

from _serpentarium.core import loop, wire
from _serpentarium.core.result import TaskError, encode_value
from _serpentarium.n8n.failures import CallError, failure

_T = TypeVar("_T")
_P = ParamSpec("_P")
_Method = TypeVar("_Method", bound=Callable[..., Any])

# Prefixes of the JSON of binary data, and of an HTTP answer with a binary body.
_BUFFER = '{"type":"Buffer"'
_BODY = '{"body":'


class Request(Generic[_T]):
    """A call to be made: its name, its parameters, and the conversion of the answer.

    `binary`: the answer is binary data, or an HTTP answer with a binary body.
    `explain`: adds to the exception for a failure.
    """

    __slots__ = ("binary", "explain", "finish", "name", "params")

    def __init__(
        self,
        name: str,
        params: list[Any],
        finish: Callable[[Any], _T],
        *,
        binary: bool = False,
        explain: Callable[[CallError], CallError] | None = None,
    ) -> None:
        self.name = name
        self.binary = binary
        self.explain = explain
        self.params = "[" + ",".join([_param(value) for value in params]) + "]"
        self.finish = finish


def _param(value: Any) -> str:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return wire.buffer_to_json(value)
    text = to_json(value)
    # UTF-8 cannot encode lone surrogates.
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def to_json(value: Any) -> str:
    """Encodes a value as JSON, by the rules for results."""
    try:
        return encode_value(value, "Parameter")
    except TaskError as error:
        # The code's own error, with a traceback.
        raise TypeError(str(error)) from None


def call(request: Request[_T]) -> _T:
    """Makes a request and waits for the answer."""
    succeeded, text = loop.call_blocking(request.name, request.params)
    if not succeeded:
        raise _error(request, text)
    return request.finish(_answer(request, text))


async def call_async(request: Request[_T]) -> _T:
    """Makes a request. Other asyncio tasks run while it is pending."""
    succeeded, text = await loop.call(request.name, request.params)
    if not succeeded:
        raise _error(request, text)
    return request.finish(_answer(request, text))


def blocking(plan: Callable[_P, Request[_T]]) -> Callable[Concatenate[Any, _P], _T]:
    """Makes a method of a plan: it makes the request and waits for the answer."""

    @wraps(plan)
    def method(_self: Any, /, *args: _P.args, **options: _P.kwargs) -> _T:
        return call(plan(*args, **options))

    return _as_method(method)


def awaitable(
    plan: Callable[_P, Request[_T]],
) -> Callable[Concatenate[Any, _P], Coroutine[Any, Any, _T]]:
    """Makes a coroutine method of a plan."""

    @wraps(plan)
    async def method(_self: Any, /, *args: _P.args, **options: _P.kwargs) -> _T:
        return await call_async(plan(*args, **options))

    method.__doc__ = f"Awaitable. {plan.__doc__}"
    return _as_method(method)


def _as_method(method: _Method) -> _Method:
    """Gives a method the signature of its plan, which `inspect.signature` and `help` show."""
    # `**other` catches unknown arguments for their error.
    parameters = [
        parameter
        for parameter in signature(method).parameters.values()
        if parameter.kind is not Parameter.VAR_KEYWORD
    ]
    members = vars(method)
    # User code cannot reach the plan.
    del members["__wrapped__"]
    itself = Parameter("self", Parameter.POSITIONAL_ONLY)
    members["__signature__"] = Signature([itself, *parameters])
    return method


def _answer(request: Request[Any], text: str) -> Any:
    """Decodes an answer. In a binary request, buffers become bytes."""
    if not request.binary:
        return wire.decode(text)
    try:
        if text.startswith(_BUFFER):
            return wire.buffer_from_json(text, 0)[0]
        if text.startswith(_BODY + _BUFFER):
            body, end = wire.buffer_from_json(text, len(_BODY))
            return {**wire.decode(f"{_BODY}null{text[end:]}"), "body": body}
    except ValueError:
        # Other spacing or order of keys: decoded below.
        pass
    answer = _bytes_of(wire.decode(text))
    if type(answer) is dict and "body" in answer:
        answer["body"] = _bytes_of(answer["body"])
    return answer


def _bytes_of(value: Any) -> Any:
    """Converts a buffer to bytes, and returns any other value unchanged."""
    if type(value) is dict and value.get("type") == "Buffer" and type(value.get("data")) is list:
        try:
            return bytes(value["data"])
        except (ValueError, TypeError, OverflowError):
            # Not a buffer: other data with the same keys.
            pass
    return value


def _error(request: Request[Any], text: str) -> CallError:
    """Makes the exception for a failed request."""
    error = failure(request.name, text)
    return error if request.explain is None else request.explain(error)
