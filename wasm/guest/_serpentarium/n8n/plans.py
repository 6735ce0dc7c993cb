"""The requests behind `_helpers`: parameters for n8n, and conversion of its answers."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias
from urllib.parse import urlencode

from _serpentarium.abi import (
    ASSERT_BINARY_DATA,
    BINARY_TO_STRING,
    GET_BINARY_DATA,
    HTTP_REQUEST,
    PREPARE_BINARY_DATA,
    SET_BINARY_DATA,
)
from _serpentarium.n8n.calls import HttpError, Request, to_json
from _serpentarium.n8n.manual import documented
from _serpentarium.n8n.running import running

Bytes: TypeAlias = bytes | bytearray | memoryview
Fields: TypeAlias = Mapping[str, Any] | Iterable[tuple[str, Any]]

# Default of parameters for which None is a value.
_NOTHING: Any = type("nothing", (), {"__slots__": (), "__repr__": lambda self: "…"})()

_FORM = "application/x-www-form-urlencoded"
_JSON = "application/json"

# Shortest time-out in seconds: n8n takes milliseconds, and 0 means no time-out.
_MIN_TIMEOUT = 0.001

# First HTTP status that is an error (RFC 9110, section 15.5).
_FIRST_ERROR = 400


class Response(dict[str, Any]):
    __doc__ = """An HTTP answer: `body`, `headers`, `status_code`, `status_message`."""
    __slots__ = ()

    body = property(lambda self: self["body"])
    headers = property(lambda self: self["headers"])
    status_code = statusCode = property(lambda self: self["statusCode"])
    status_message = statusMessage = property(lambda self: self.get("statusMessage"))


@documented(
    """Makes an HTTP request and returns the body of the answer: parsed if it is JSON, else text.

    `url` can be a dict of n8n's own options ({"url": …, "qs": …, "body": …, "json": True}), and is
    then the only argument.
    method: POST with a body, else GET by default; params: the query; json: a value to send as JSON;
    data: text or the fields of a form; timeout: seconds; auth: user name and password;
    binary: returns the body as bytes; full_response: returns a Response with body, headers,
    status_code and status_message. A status of 400 or more raises _helpers.HttpError, unless
    raise_for_status is False."""
)
def http_request(
    url: str | Mapping[str, Any],
    *,
    method: str | None = None,
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
        defaults = None, None, None, _NOTHING, None, None, None, False, False, True, True, True
        given = (
            method, headers, params, json, data, timeout, auth, binary, full_response,
            raise_for_status, follow_redirects, verify,
        )  # fmt: skip
        if any(value is not default for value, default in zip(given, defaults, strict=True)):
            raise TypeError("http_request() takes no further argument after a dict of options")
        options = dict(url)
    else:
        sends = json is not _NOTHING or data is not None
        method = method or ("POST" if sends else "GET")
        options = {"url": url, "method": method.upper(), "headers": dict(headers or {})}
        _add_body(options, json, data)
        if params is not None:
            _add_query(options, params)
        if timeout is not None:
            if not _MIN_TIMEOUT <= timeout < float("inf"):
                raise ValueError(
                    f"timeout must be a number of seconds, at least {_MIN_TIMEOUT}, not {timeout!r}"
                )
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
    # The errors of n8n lack the body of the answer. So n8n returns the answer, and `finish` raises.
    options["returnFullResponse"] = True
    if raise_for_status:
        options["ignoreHttpStatusErrors"] = True

    def finish(answer: Any) -> Any:
        if type(answer) is not dict or "statusCode" not in answer:
            return answer
        body, status = answer.get("body"), answer["statusCode"]
        if raise_for_status and type(status) is int and status >= _FIRST_ERROR:
            raise HttpError(status, body, answer.get("headers"))
        return Response(answer) if full_response else body

    return Request(HTTP_REQUEST, [options], finish, binary=options.get("encoding") == "arraybuffer")


def _add_query(options: dict[str, Any], params: Fields) -> None:
    """Adds the query. Pairs can repeat a key, which then has a list of values."""
    if isinstance(params, Mapping):
        options["qs"] = dict(params)
        return
    values: dict[str, list[Any]] = {}
    for key, value in params:
        values.setdefault(key, []).append(value)
    options["qs"] = {
        key: several if len(several) > 1 else several[0] for key, several in values.items()
    }
    if any(len(several) > 1 for several in values.values()):
        options["arrayFormat"] = "repeat"


def _add_body(options: dict[str, Any], json: Any, data: Any) -> None:
    if json is not _NOTHING:
        if data is not None:
            raise TypeError("http_request() takes json or data, not both")
        options["json"] = True
        # n8n drops empty containers and scalars: they are sent as JSON text.
        is_plain = isinstance(json, (dict, list)) and json
        options["body"] = json if is_plain else _with_type(options, _JSON, to_json(json))
    elif isinstance(data, (bytes, bytearray, memoryview)):
        try:
            options["body"] = str(data, "utf-8")
        except UnicodeDecodeError:
            raise ValueError(
                "data must be UTF-8: n8n sends the body of an HTTP request as text"
            ) from None
    elif isinstance(data, str):
        options["body"] = data
    elif data is not None:
        options["body"] = _with_type(options, _FORM, urlencode(data, doseq=True))


def _with_type(options: dict[str, Any], content_type: str, body: str) -> str:
    """Adds a Content-Type header, unless the request has one, and returns the body."""
    headers = options["headers"]
    if not any(name.lower() == "content-type" for name in headers):
        headers["Content-Type"] = content_type
    return body


def _index(item_index: int | None) -> int:
    return running.item_index if item_index is None else item_index


@documented(
    """Returns the bytes of an input item's binary property.

    Default item: the current one. If the code runs once for all items: the first one."""
)
def get_binary_data(item_index: int | None = None, property: str = "data") -> Request[bytes]:
    return Request(GET_BINARY_DATA, [_index(item_index), property], _same, binary=True)


@documented(
    """Stores bytes in n8n, and returns the metadata for an output item: item["binary"]["data"].

    Without a MIME type, n8n derives it from the file name or the first bytes."""
)
def prepare_binary_data(
    data: Bytes, file_name: str | None = None, mime_type: str | None = None
) -> Request[dict[str, Any]]:
    return Request(PREPARE_BINARY_DATA, [_bytes(data), file_name, mime_type], _same)


@documented(
    """Replaces the bytes of `metadata`, a value of item["binary"], and returns new metadata."""
)
def set_binary_data(metadata: Mapping[str, Any], data: Bytes) -> Request[dict[str, Any]]:
    return Request(SET_BINARY_DATA, [dict(metadata), _bytes(data)], _same)


@documented(
    """Returns the metadata of an input item's binary property (file name, MIME type, size).

    Raises CallError if the item has no such property."""
)
def assert_binary_data(
    item_index: int | None = None, property: str = "data"
) -> Request[dict[str, Any]]:
    return Request(ASSERT_BINARY_DATA, [_index(item_index), property], _same)


@documented("""Decodes bytes. `encoding` is one of n8n's names for encodings.""")
def binary_to_string(data: Bytes, encoding: str = "utf-8") -> Request[str]:
    return Request(BINARY_TO_STRING, [_bytes(data), encoding], _same)


def _bytes(data: Bytes) -> Bytes:
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise TypeError(f"binary data must be bytes, not {type(data).__name__}")
    return data


def _same(answer: Any) -> Any:
    return answer
