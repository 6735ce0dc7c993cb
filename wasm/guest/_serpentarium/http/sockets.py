"""A socket that carries HTTP/1.1 alone. `http.client`, and so `urllib` and `urllib3`, work with it.

It collects the bytes of a request. The first read sends the request through the transport, and
gives the bytes of the response. Nothing else can be sent: there is no connection.
"""

import errno
import re
import socket as _module
from collections.abc import Callable
from http import client as _client
from types import ModuleType
from typing import Any, NoReturn

from _serpentarium.core.lacking import NO_SOCKETS, ONLY_HTTP
from _serpentarium.http.message import Answer, Headers, Message

_real: Any = _module.socket

_PROXY = "this sandbox sends requests without proxies"

# The transport. It needs asyncio, which imports `ssl`, which needs this module.
_transport: list[Callable[[Message], Answer]] = []

_DEFAULT_TIMEOUT: Any = vars(_module)["_GLOBAL_DEFAULT_TIMEOUT"]

# The beginning of a request: a method, or a part of it.
_begins = re.compile(rb"[A-Z]{1,20}(?: |$)").match
_DEFAULT_PORTS = {"http": 80, "https": 443}
# Statuses without a body (RFC 9112, section 6.3).
_NO_BODY = frozenset({204, 304})
_ENDINGS = frozenset({"connection", "content-length", "transfer-encoding"})


class Socket:
    """A socket. It is connected to an HTTP server, which it asks when its response is read."""

    scheme = "http"

    family, type, proto = _module.AF_INET, _module.SOCK_STREAM, _module.IPPROTO_TCP

    def __init__(self) -> None:
        self._timeout: float | None = _module.getdefaulttimeout()
        self._peer: tuple[str, int] | None = None
        self._out = bytearray()
        self._in = memoryview(b"")
        self._has_asked = False
        self._io_refs = 0
        self._closed = False
        self.verify = True

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__module__}.{type(self).__name__} peer={self._peer}>"

    makefile = _real.makefile
    _decref_socketios = _real._decref_socketios

    def connect(self, address: Any, /) -> None:
        host, port = address[:2]
        self._peer = str(host), int(port)

    def connect_ex(self, address: Any, /) -> int:
        self.connect(address)
        return 0

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        if self._peer is None or self._closed:
            raise OSError(errno.ENOTCONN, "the socket is not connected")
        self._out += data
        if not _begins(self._out):
            self._out.clear()
            raise OSError(errno.ENOTSUP, ONLY_HTTP)

    def send(self, data: Any, flags: int = 0, /) -> int:
        self.sendall(data)
        return len(memoryview(data).cast("B"))

    def sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        file.seek(offset)
        return self.send(file.read(-1 if count is None else count))

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        self._read()
        data = bytes(self._in[:size])
        self._in = self._in[len(data) :]
        return data

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        self._read()
        view = memoryview(buffer).cast("B")
        size = min(nbytes or len(view), len(self._in))
        view[:size] = self._in[:size]
        self._in = self._in[size:]
        return size

    def _read(self) -> None:
        """Sends the request, if there is one since the last response.

        Not earlier: `urllib3` sets the time-out of the response after it has sent the request.
        """
        if self._out:
            message = parse(self._out, f"{self.scheme}://{_authority(self)}")
            if message is None:
                raise OSError(errno.EINVAL, "the request is not complete")
            message.timeout, message.verify = self._timeout, self.verify
            self._out.clear()
            self._has_asked = True
            self._in = memoryview(_respond(message))
        elif not self._has_asked:
            raise OSError(errno.ENOTSUP, NO_SOCKETS)

    def settimeout(self, value: float | None, /) -> None:
        self._timeout = value

    def gettimeout(self) -> float | None:
        return self._timeout

    @property
    def timeout(self) -> float | None:
        return self._timeout

    def setblocking(self, flag: bool, /) -> None:
        self._timeout = None if flag else 0.0

    def getblocking(self) -> bool:
        return self._timeout != 0

    def close(self) -> None:
        self._closed = True
        if self._io_refs <= 0:
            self._real_close()

    def _real_close(self) -> None:
        """Does nothing: no file is open."""

    def detach(self) -> int:
        self._closed = True
        return -1

    def fileno(self) -> int:
        return -1

    def shutdown(self, how: int, /) -> None:
        """Does nothing: there is no connection."""

    def setsockopt(self, *_options: object) -> None:
        """Does nothing: there is no connection."""

    def getsockopt(self, *_options: object) -> int:
        return 0

    def getpeername(self) -> tuple[str, int]:
        if self._peer is None:
            raise OSError(errno.ENOTCONN, "the socket is not connected")
        return self._peer

    def getsockname(self) -> tuple[str, int]:
        return "0.0.0.0", 0

    def _lacking(self, *_arguments: object, **_options: object) -> NoReturn:
        raise OSError(errno.ENOTSUP, NO_SOCKETS)

    accept = bind = listen = dup = share = ioctl = _lacking
    recvfrom = recvfrom_into = recvmsg = recvmsg_into = sendto = sendmsg = _lacking


def _authority(socket: Socket) -> str:
    assert socket._peer is not None
    host, port = socket._peer
    name = f"[{host}]" if ":" in host else host
    return name if port == _DEFAULT_PORTS[socket.scheme] else f"{name}:{port}"


def parse(data: bytearray, origin: str) -> Message | None:
    """Reads a request; None if it is not complete. `origin`: scheme and authority of its URL."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    first, *lines = data[:end].decode("latin-1").split("\r\n")
    words = first.split(" ")
    if len(words) != 3:
        raise OSError(errno.ENOTSUP, ONLY_HTTP)
    method, target, _version = words
    if method == "CONNECT" or not target.startswith("/"):
        raise OSError(errno.ENOTSUP, _PROXY)
    headers: Headers = []
    length, is_chunked = 0, False
    for line in lines:
        name, _, value = line.partition(":")
        headers.append((name, value.strip(" \t")))
        if name.lower() == "content-length":
            length = int(value)
        is_chunked = is_chunked or name.lower() == "transfer-encoding"
    if not is_chunked and len(data) - end - 4 < length:
        return None
    body = bytes(memoryview(data)[end + 4 :])
    if is_chunked:
        joined = _unchunk(body)
        if joined is None:
            return None
        body = joined
    return Message(method, origin + target, headers, body, None)


def _unchunk(data: bytes) -> bytes | None:
    """Joins the chunks of a body (RFC 9112, section 7.1); None if the last one is missing."""
    if not data.endswith(b"0\r\n\r\n"):
        return None
    parts: list[bytes] = []
    at = 0
    while True:
        end = data.find(b"\r\n", at)
        if end < 0:
            return None
        length = int(data[at:end].partition(b";")[0], 16)
        if not length:
            return b"".join(parts)
        parts.append(data[end + 2 : end + 2 + length])
        at = end + 2 + length + 2


def _respond(message: Message) -> bytes:
    """Sends a request. Returns the response as the bytes of a connection that ends with it."""
    answer = _transport[0](message)
    has_body = message.method != "HEAD" and answer.status not in _NO_BODY
    lines = [f"HTTP/1.1 {answer.status} {answer.reason}"]
    for name, value in answer.headers:
        if name.lower() not in _ENDINGS or (not has_body and name.lower() == "content-length"):
            lines.append(f"{name}: {value}")
    if has_body:
        lines.append(f"Content-Length: {len(answer.body)}")
    lines.append("Connection: close\r\n\r\n")
    head = "\r\n".join(lines).encode("latin-1", "replace")
    return head + answer.body if has_body else head


def create_connection(
    address: tuple[str, int],
    timeout: Any = _DEFAULT_TIMEOUT,
    source_address: object = None,
    *_options: object,
    **_more: object,
) -> Socket:
    """Returns a socket for a server, in the place of `socket.create_connection`."""
    made = Socket()
    if timeout is not _DEFAULT_TIMEOUT:
        made.settimeout(timeout)
    made.connect(address)
    return made


def install(send: Callable[[Message], Answer]) -> None:
    """Gives `http.client` these sockets, before the snapshot. `socket` itself has none."""
    _transport[:] = [send]
    Socket.__module__, Socket.__name__, Socket.__qualname__ = "socket", "socket", "socket"
    seen = ModuleType("socket")
    vars(seen).update(vars(_module), create_connection=create_connection)
    vars(_client)["socket"] = seen
