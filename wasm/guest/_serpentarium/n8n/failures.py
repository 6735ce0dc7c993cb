"""The exceptions for failed calls, and the conversion of n8n's errors to them."""

from typing import Any

from _serpentarium.core import wire
from _serpentarium.n8n import alone
from _serpentarium.n8n.response import Headers, Response

# Keys under which errors of n8n and its libraries hold an HTTP status.
_STATUS = ("httpCode", "statusCode", "status")

# Characters of a body that an HttpError shows in its note.
_EXCERPT = 500


class CallError(Exception):
    __doc__ = """A call to n8n failed. `details`: n8n's error, a dict, or None if it sent a text."""
    # Tracebacks show the class as one of the user's module.
    __module__ = "__main__"

    def __init__(self, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.details = details

    def __reduce__(self) -> tuple[Any, ...]:
        return _call_error, (str(self), self.details), self.__dict__


class HttpError(CallError):
    __doc__ = """An HTTP answer with an error status: `status_code`, `body`, `headers`.

    `response` is the whole answer, with `text` and `json()`."""
    __module__ = "__main__"

    def __init__(
        self, status_code: int, body: Any = None, headers: Any = None, message: str = ""
    ) -> None:
        super().__init__(message or f"Request failed with status code {status_code}")
        self.status_code = self.statusCode = self.status = self.code = status_code
        self.body = body
        self.headers = Headers(headers if isinstance(headers, dict) else {})
        if body not in (None, "", b""):
            text = str(body)
            self.add_note(f"The answer: {text[:_EXCERPT]}{'…' if len(text) > _EXCERPT else ''}")

    @property
    def response(self) -> Response:
        answer = {"body": self.body, "headers": self.headers, "statusCode": self.status_code}
        return Response(answer)

    def __reduce__(self) -> tuple[Any, ...]:
        return _http_error, (self.status_code, self.body, self.headers, str(self)), self.__dict__


# pickle and copy cannot find the classes in `__main__`, so `__reduce__` refers to these functions.
def _call_error(*arguments: Any) -> CallError:
    return CallError(*arguments)


def _http_error(*arguments: Any) -> HttpError:
    return HttpError(*arguments)


def failure(name: str, text: str) -> CallError:
    """Makes the exception for a failure, whose text is a message or a JSON object."""
    details = _object(text)
    if details is None:
        return CallError(alone.explain(name) if text == wire.REFUSED else text)
    response = details.get("response")
    response = response if type(response) is dict else {}
    message = details.get("message") or details.get("description") or f"{name} failed, no message"
    for status in (*[details.get(key) for key in _STATUS], response.get("status")):
        if type(status) is int or (type(status) is str and status.isdecimal()):
            error: CallError = HttpError(
                int(status), response.get("data"), response.get("headers"), str(message)
            )
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
