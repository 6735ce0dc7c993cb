"""The requests behind `_helpers`: what is asked of n8n, and what becomes of its answer."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias
from urllib.parse import urlencode

from _serpentarium.calls import HttpError, Request
from _serpentarium.manual import documented
from _serpentarium.running import running
from _serpentarium.wire import encode

Bytes: TypeAlias = bytes | bytearray | memoryview
Fields: TypeAlias = Mapping[str, Any] | Iterable[tuple[str, Any]]

# Stands for a value that was not given, where None is one.
_NOTHING: Any = type("nothing", (), {"__slots__": (), "__repr__": lambda self: "…"})()

_FORM = "application/x-www-form-urlencoded"
_JSON = "application/json"


class Response(dict[str, Any]):
    __doc__ = """The whole answer to an HTTP request: `body`, `headers`, `status_code`, `status_message`."""
    __slots__ = ()

    body = property(lambda self: self["body"])
    headers = property(lambda self: self["headers"])
    status_code = statusCode = property(lambda self: self["statusCode"])
    status_message = statusMessage = property(lambda self: self.get("statusMessage"))


@documented(
    """Makes an HTTP request, and returns the body of the answer: parsed where it is JSON, else as text.

    `url` may also be a dict of n8n's own options ({"url": …, "qs": …, "body": …, "json": True}); it then stands alone.
    params: the query; json: a value to send as JSON; data: text, or the fields of a form; timeout: in seconds;
    auth: a user's name and password; binary: the body is wanted as bytes; full_response: returns a Response with body,
    headers, status_code and status_message. A status that is an error raises _helpers.HttpError, unless
    raise_for_status is False."""
)
def http_request(
    url: str | Mapping[str, Any],
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    params: Fields | None = None,
    json: Any = _NOTHING,
    data: str | Bytes | Fields | None = None,
    timeout: float | None = None,
    auth: tuple[str, str] | None = None,
    binary: bool = False,
    full_response: bool = False,
    raise_for_status: bool = True,
    follow_redirects: bool = True,
    verify: bool = True,
) -> Request[Any]:
    if isinstance(url, Mapping):
        options = dict(url)
    else:
        options = {"url": url, "method": method.upper(), "headers": dict(headers or {})}
        _add_body(options, json, data)
        if params is not None:
            options["qs"] = dict(params)
        if timeout is not None:
            options["timeout"] = round(timeout * 1000)
        if auth is not None:
            options["auth"] = {"username": auth[0], "password": auth[1]}
        if binary:
            options["encoding"] = "arraybuffer"
        if not follow_redirects:
            options["disableFollowRedirect"] = True
        if not verify:
            options["skipSslCertificateValidation"] = True
        options["returnFullResponse"] = full_response
        options["ignoreHttpStatusErrors"] = not raise_for_status
    full_response = bool(options.get("returnFullResponse"))
    raise_for_status = not options.get("ignoreHttpStatusErrors")
    # An error that n8n raises comes without the body of the answer: so it is asked for the answer, and the error raised
    # here.
    options["returnFullResponse"] = True
    if raise_for_status:
        options["ignoreHttpStatusErrors"] = True

    def finish(answer: Any) -> Any:
        if type(answer) is not dict or "statusCode" not in answer:
            return answer
        body, status = answer.get("body"), answer["statusCode"]
        if raise_for_status and not 200 <= status < 300:
            raise HttpError(status, body, answer.get("headers"))
        return Response(answer) if full_response else body

    return Request("helpers.httpRequest", [options], finish)


def _add_body(options: dict[str, Any], json: Any, data: Any) -> None:
    if json is not _NOTHING:
        if data is not None:
            raise TypeError("http_request() takes json or data, not both")
        options["json"] = True
        # n8n sends what is empty, and single values, only as text.
        is_plain = isinstance(json, (dict, list)) and json
        options["body"] = json if is_plain else _with_type(options, _JSON, "".join(encode(json, 0)))
    elif isinstance(data, (bytes, bytearray, memoryview)):
        try:
            options["body"] = str(data, "utf-8")
        except UnicodeDecodeError:
            raise ValueError("n8n sends the body of an HTTP request as text: these bytes are not UTF-8") from None
    elif isinstance(data, str):
        options["body"] = data
    elif data is not None:
        options["body"] = _with_type(options, _FORM, urlencode(data, doseq=True))


def _with_type(options: dict[str, Any], content_type: str, body: str) -> str:
    """The body, with a header that says what it is unless there is one."""
    headers = options["headers"]
    if not any(name.lower() == "content-type" for name in headers):
        headers["Content-Type"] = content_type
    return body


def _index(item_index: int | None) -> int:
    return running.item_index if item_index is None else item_index


@documented(
    """Returns the bytes of an input item's binary property. Without an index: those of the current item (the first one
    where the code runs once for all items)."""
)
def get_binary_data(item_index: int | None = None, property: str = "data") -> Request[bytes]:
    return Request("helpers.getBinaryDataBuffer", [_index(item_index), property], _same)


@documented(
    """Hands bytes to n8n, and returns what stands for them: to be put into an item as item["binary"]["data"].

    Without a MIME type, n8n finds it from the file's name or its first bytes."""
)
def prepare_binary_data(
    data: Bytes, file_name: str | None = None, mime_type: str | None = None
) -> Request[dict[str, Any]]:
    return Request("helpers.prepareBinaryData", [_bytes(data), file_name, mime_type], _same)


@documented("""Replaces the bytes behind `metadata` (a value of item["binary"]), and returns its new value.""")
def set_binary_data(metadata: Mapping[str, Any], data: Bytes) -> Request[dict[str, Any]]:
    return Request("helpers.setBinaryDataBuffer", [dict(metadata), _bytes(data)], _same)


@documented("""Returns what stands for an input item's binary property (a file's name, MIME type, size), or raises.""")
def assert_binary_data(item_index: int | None = None, property: str = "data") -> Request[dict[str, Any]]:
    return Request("helpers.assertBinaryData", [_index(item_index), property], _same)


@documented("""Returns bytes as text. `encoding` is any name that n8n knows.""")
def binary_to_string(data: Bytes, encoding: str = "utf-8") -> Request[str]:
    return Request("helpers.binaryToString", [_bytes(data), encoding], _same)


def _bytes(data: Bytes) -> Bytes:
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise TypeError(f"binary data is bytes, not {type(data).__name__}")
    return data


def _same(answer: Any) -> Any:
    return answer
