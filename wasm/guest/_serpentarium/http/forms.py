"""The two forms of a request: the sandbox's own call, and n8n's `helpers.httpRequest`."""

import errno
import socket
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable
from typing import Any

from _serpentarium.abi import AS_TEXT, HTTP_REQUEST, HTTP_SEND, PRINT_MODE
from _serpentarium.core import wire
from _serpentarium.core.current import task
from _serpentarium.http.message import Answer, Headers, Message

_gaierror = socket.gaierror
_EAI_NONAME = -2

# Beginning of an answer of n8n with a binary body.
_BODY = '{"body":'
_BUFFER = '{"type":"Buffer"'
_CHUNKED = frozenset({"connection", "keep-alive", "trailer", "transfer-encoding"})
# n8n has unpacked the body: its length is another.
_PACKED = _CHUNKED | {"content-encoding", "content-length"}
# Header fields that n8n's library sets itself.
_SET_BY_N8N = _CHUNKED | {"content-length", "host", "expect"}

# The shortest time-out in milliseconds: 0 means none.
_MIN_TIMEOUT = 1


def _json(value: object) -> str:
    text = "".join(wire.encode(value, 0))
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


class Form:
    """A form of the call: its name, the parameters, and the conversion of answers and errors."""

    __slots__ = ("encode", "failure", "name", "read")

    def __init__(
        self,
        name: str,
        encode: Callable[[Message], str],
        read: Callable[[str], Answer],
        failure: Callable[[str], OSError],
    ) -> None:
        self.name = name
        self.encode = encode
        self.read = read
        self.failure = failure


def _encode_own(message: Message) -> str:
    body = b2a_base64(message.body, newline=False).decode() if message.body else None
    return _json(
        [
            {
                "method": message.method,
                "url": message.url,
                "headers": message.headers,
                "body": body,
                "timeout": message.timeout,
            }
        ]
    )


def _read_own(text: str) -> Answer:
    answer = wire.decode(text)
    headers = [(name, value) for name, value in answer["headers"]]
    return Answer(answer["status"], answer["reason"], headers, a2b_base64(answer["body"]))


def _fail_own(text: str) -> OSError:
    try:
        error = wire.decode(text)
        kind, message, entry = error["kind"], error["message"], error.get("entry")
    except (ValueError, TypeError, KeyError):
        # The limits of calls have errors of their own.
        return OSError(errno.EIO, text)
    if kind == "refused":
        if task.settings.get(PRINT_MODE) == AS_TEXT:
            message += f": `serpentarium exec --allow-net {entry}` allows it"
        return PermissionError(errno.EACCES, message)
    return _exception(kind, message)


def _exception(kind: str, message: str) -> OSError:
    if kind == "timeout":
        return TimeoutError(message)
    if kind == "resolve":
        return _gaierror(_EAI_NONAME, message)
    if kind == "connect":
        return ConnectionRefusedError(errno.ECONNREFUSED, message)
    if kind == "broken":
        return ConnectionResetError(errno.ECONNRESET, message)
    return OSError(errno.EINVAL if kind == "invalid" else errno.EMSGSIZE, message)


def _encode_n8n(message: Message) -> str:
    headers: dict[str, Any] = {}
    for name, value in message.headers:
        if name.lower() not in _SET_BY_N8N:
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
    options: dict[str, Any] = {
        "url": message.url,
        "method": message.method,
        "headers": headers,
        "encoding": "arraybuffer",
        "returnFullResponse": True,
        "ignoreHttpStatusErrors": True,
        "disableFollowRedirect": True,
    }
    if message.body:
        try:
            options["body"] = message.body.decode()
        except UnicodeDecodeError:
            raise OSError(
                errno.EINVAL, "n8n sends text only: the body of the request is not UTF-8"
            ) from None
    if message.timeout is not None:
        options["timeout"] = max(round(message.timeout * 1000), _MIN_TIMEOUT)
    if not message.verify:
        options["skipSslCertificateValidation"] = True
    return _json([options])


def _read_n8n(text: str) -> Answer:
    body: Any = None
    if text.startswith(_BODY + _BUFFER):
        body, end = wire.buffer_from_json(text, len(_BODY))
        answer = wire.decode(f"{_BODY}null{text[end:]}")
    else:
        answer = wire.decode(text)
        body = answer.get("body")
        if type(body) is dict and body.get("type") == "Buffer":
            body = bytes(body["data"])
        elif body is None:
            body = b""
        elif type(body) is not bytes:
            body = (body if type(body) is str else _json(body)).encode("utf-8", "replace")
    status = answer.get("statusCode", 200)
    reason = answer.get("statusMessage") or ""
    return Answer(status, reason, _n8n_headers(answer.get("headers")), body)


def _n8n_headers(headers: Any) -> Headers:
    found: Headers = []
    if type(headers) is dict:
        for name, value in headers.items():
            if name.lower() not in _PACKED:
                for part in value if type(value) is list else (value,):
                    found.append((name, _latin(str(part))))
    return found


def _latin(text: str) -> str:
    """Returns a text with one character for each byte."""
    return text if text.isascii() else text.encode().decode("latin-1")


# Codes of Node and its HTTP library, by the kind of the error.
_KINDS = {
    "ECONNABORTED": "timeout",
    "ECONNREFUSED": "connect",
    "EAI_AGAIN": "resolve",
    "ENOTFOUND": "resolve",
    "ERR_INVALID_URL": "invalid",
    "ETIMEDOUT": "timeout",
}


def _fail_n8n(text: str) -> OSError:
    message: object = text
    kind = "broken"
    if text.startswith("{"):
        try:
            error = wire.decode(text)
            message = error.get("message") or error.get("description") or text
            kind = _KINDS.get(error.get("code"), kind)
        except (ValueError, TypeError):
            pass
    shown = str(message)
    for code, known in _KINDS.items():
        if kind == "broken" and code in shown:
            kind = known
    return _exception("timeout" if shown.startswith("timeout of") else kind, shown)


OWN = Form(HTTP_SEND, _encode_own, _read_own, _fail_own)
N8N = Form(HTTP_REQUEST, _encode_n8n, _read_n8n, _fail_n8n)
