"""The requests behind `_helpers.http_request`: options for n8n, and conversion of its answers."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias
from urllib.parse import urlencode

from _serpentarium.abi import HTTP_REQUEST
from _serpentarium.n8n import multipart
from _serpentarium.n8n.calls import Request, to_json
from _serpentarium.n8n.failures import CallError, HttpError
from _serpentarium.n8n.manual import documented
from _serpentarium.n8n.response import FIRST_ERROR, Response

Bytes: TypeAlias = bytes | bytearray | memoryview
Fields: TypeAlias = Mapping[str, Any] | Iterable[tuple[str, Any]]

# Default of parameters for which None is a value.
_NOTHING: Any = type("nothing", (), {"__slots__": (), "__repr__": lambda self: "…"})()

_FORM = "application/x-www-form-urlencoded"
_JSON = "application/json"

# Shortest time-out in seconds: n8n takes milliseconds, and 0 means no time-out.
_MIN_TIMEOUT = 0.001

# Arguments of `requests`, and options of n8n, by the argument that does the same here.
_OTHER_NAMES = {
    "allow_redirects": "follow_redirects",
    "body": "json=… or data",
    "content": "data",
    "form": "data",
    "query": "params",
    "qs": "params",
    "response_type": "binary",
    "returnFullResponse": "full_response",
}


@documented(
    """Makes an HTTP request and returns the body of the answer: parsed if it is JSON, else text.

    `url` can be a dict of n8n's own options ({"url": …, "qs": …, "body": …, "json": True}), and is
    then the only argument.
    method: POST with a body, else GET by default; params: the query; json: a value to send as JSON;
    data: text or the fields of a form; files: text files to upload, {"field": ("name", text)};
    timeout: seconds; auth: user name and password; binary: returns the body as bytes;
    full_response: returns a response with status_code, ok, headers, body, text and json().
    A status of 400 or more raises _helpers.HttpError, unless raise_for_status is False."""
)
def http_request(
    url: str | Mapping[str, Any],
    *,
    method: str | None = None,
    headers: Mapping[str, str] | None = None,
    params: Fields | None = None,
    json: Any = _NOTHING,
    data: str | Bytes | Fields | None = None,
    files: multipart.Files | None = None,
    timeout: float | None = None,
    auth: tuple[str, str] | None = None,
    binary: bool = False,
    full_response: bool = False,
    raise_for_status: bool = True,
    follow_redirects: bool = True,
    verify: bool = True,
    **other: Any,
) -> Request[Any]:
    if other:
        raise _no_argument(*other)
    if isinstance(url, Mapping):
        defaults = (
            None, None, None, _NOTHING, None, None, None, None, False, False, True, True, True
        )  # fmt: skip
        given = (
            method, headers, params, json, data, files, timeout, auth, binary, full_response,
            raise_for_status, follow_redirects, verify,
        )  # fmt: skip
        if any(value is not default for value, default in zip(given, defaults, strict=True)):
            raise TypeError("http_request() takes no further argument after a dict of options")
        return _request(dict(url))
    sends = json is not _NOTHING or data is not None or files is not None
    method = method or ("POST" if sends else "GET")
    options: dict[str, Any] = {"url": url, "method": method.upper(), "headers": dict(headers or {})}
    if sends:
        _add_body(options, json, data, files)
    if params is not None:
        _add_query(options, params)
    if timeout is not None:
        _add_timeout(options, timeout)
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
    return _request(options)


def _request(options: dict[str, Any]) -> Request[Any]:
    """Makes the request of n8n's options."""
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
        if raise_for_status and type(status) is int and status >= FIRST_ERROR:
            raise explain(HttpError(status, body, answer.get("headers")))
        return Response(answer) if full_response else body

    def explain(error: CallError) -> CallError:
        method, url = options.get("method", "GET"), options.get("url", options.get("uri"))
        error.add_note(f"The request: {method} {_address(url)}")
        return error

    is_binary = options.get("encoding") == "arraybuffer"
    return Request(HTTP_REQUEST, [options], finish, binary=is_binary, explain=explain)


def _no_argument(name: str, *_more: str) -> TypeError:
    text = f"http_request() got an unexpected keyword argument {name!r}"
    known = _OTHER_NAMES.get(name)
    return TypeError(text if known is None else f"{text}: write {known}=…")


def _address(url: object) -> str:
    """Returns a URL without user, password and query, which can be secret."""
    scheme, mark, rest = str(url).partition("?")[0].partition("#")[0].partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{mark}{host.rpartition('@')[2]}{slash}{path}"


def _other_headers(headers: dict[str, Any]) -> dict[str, Any]:
    """Returns headers without a Content-Type: that of a multipart body names its boundary."""
    return {name: value for name, value in headers.items() if name.lower() != "content-type"}


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


def _add_timeout(options: dict[str, Any], timeout: float) -> None:
    if not _MIN_TIMEOUT <= timeout < float("inf"):
        raise ValueError(
            f"timeout must be a number of seconds, at least {_MIN_TIMEOUT}, not {timeout!r}"
        )
    options["timeout"] = round(timeout * 1000)


def _add_body(options: dict[str, Any], json: Any, data: Any, files: Any) -> None:
    if json is not _NOTHING:
        if data is not None or files is not None:
            other = "data" if files is None else "files"
            raise TypeError(f"http_request() takes json or {other}, not both")
        options["json"] = True
        # n8n drops empty containers and scalars: they are sent as JSON text.
        is_plain = isinstance(json, (dict, list)) and json
        options["body"] = json if is_plain else _with_type(options, _JSON, to_json(json))
    elif files is not None:
        content_type, options["body"] = multipart.encode(data, files)
        headers = _other_headers(options["headers"])
        options["headers"] = headers | {"Content-Type": content_type}
    elif isinstance(data, (bytes, bytearray, memoryview)):
        try:
            options["body"] = str(data, "utf-8")
        except UnicodeDecodeError:
            raise ValueError(f"data {multipart.NOT_TEXT}") from None
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
