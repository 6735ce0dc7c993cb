"""What `httpx` takes from the package `httpcore`: connections, and the errors of requests."""

import errno
import ssl
from collections.abc import AsyncIterator, Iterator
from typing import Any, NoReturn

from _serpentarium.http.message import Answer, Message
from _serpentarium.http.transport import send, send_async


class TimeoutException(Exception):
    pass


class ConnectTimeout(TimeoutException):
    pass


class PoolTimeout(TimeoutException):
    pass


class ReadTimeout(TimeoutException):
    pass


class WriteTimeout(TimeoutException):
    pass


class NetworkError(Exception):
    pass


class ConnectError(NetworkError):
    pass


class ReadError(NetworkError):
    pass


class WriteError(NetworkError):
    pass


class ProtocolError(Exception):
    pass


class LocalProtocolError(ProtocolError):
    pass


class RemoteProtocolError(ProtocolError):
    pass


class ProxyError(Exception):
    pass


class UnsupportedProtocol(Exception):
    pass


class ConnectionNotAvailable(Exception):
    pass


class URL:
    """A URL in its parts, as bytes."""

    def __init__(self, *, scheme: bytes, host: bytes, port: int | None, target: bytes) -> None:
        self.scheme = scheme
        self.host = host
        self.port = port
        self.target = target

    def __str__(self) -> str:
        host = self.host.decode()
        name = f"[{host}]" if ":" in host else host
        port = "" if self.port is None else f":{self.port}"
        return f"{self.scheme.decode()}://{name}{port}{self.target.decode()}"


class Request:
    """A request. Its stream gives the body in parts."""

    def __init__(
        self, method: str, url: URL, *, headers: Any, content: Any, extensions: Any = None
    ) -> None:
        self.method = method
        self.url = url
        self.headers = headers
        self.stream = content
        self.extensions = extensions or {}


class _Body:
    """The body of a response, which is complete."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        yield self._body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._body

    def close(self) -> None:
        """Does nothing: there is no connection."""

    async def aclose(self) -> None:
        """Does nothing: there is no connection."""


class Response:
    """A response."""

    def __init__(self, answer: Answer) -> None:
        self.status = answer.status
        self.headers = [
            (name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers
        ]
        self.stream = _Body(answer.body)
        reason = answer.reason.encode("latin-1", "replace")
        self.extensions = {"http_version": b"HTTP/1.1", "reason_phrase": reason}


def _message(request: Request, body: bytes, verify: bool) -> Message:
    if request.url.scheme not in (b"http", b"https"):
        raise UnsupportedProtocol(f"unsupported protocol: {request.url}")
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers]
    times = request.extensions.get("timeout", {})
    given = [seconds for seconds in (times.get("connect"), times.get("read")) if seconds]
    return Message(
        request.method, str(request.url), headers, body, max(given, default=None), verify
    )


def _raise(error: OSError) -> NoReturn:
    text = error.strerror or str(error)
    if isinstance(error, TimeoutError):
        raise ReadTimeout(text) from error
    if isinstance(error, ConnectionResetError):
        raise ReadError(text) from error
    if error.errno in (errno.EINVAL, errno.EMSGSIZE, errno.EIO):
        raise (ReadError if error.errno == errno.EIO else LocalProtocolError)(text) from error
    raise ConnectError(text) from error


class ConnectionPool:
    """Sends requests. There are no connections to keep."""

    def __init__(self, ssl_context: Any = None, **_options: Any) -> None:
        mode = getattr(ssl_context, "verify_mode", ssl.CERT_REQUIRED)
        self._verify = mode != ssl.CERT_NONE

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def handle_request(self, request: Request) -> Response:
        message = _message(request, b"".join(request.stream), self._verify)
        try:
            return Response(send(message))
        except OSError as error:
            _raise(error)

    def close(self) -> None:
        """Does nothing: there is no connection."""


class AsyncConnectionPool:
    """Sends requests in coroutines."""

    def __init__(self, ssl_context: Any = None, **_options: Any) -> None:
        mode = getattr(ssl_context, "verify_mode", ssl.CERT_REQUIRED)
        self._verify = mode != ssl.CERT_NONE

    async def __aenter__(self) -> Any:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.aclose()

    async def handle_async_request(self, request: Request) -> Response:
        body = b"".join([part async for part in request.stream])
        message = _message(request, body, self._verify)
        try:
            return Response(await send_async(message))
        except OSError as error:
            _raise(error)

    async def aclose(self) -> None:
        """Does nothing: there is no connection."""


class _Proxy:
    def __init__(self, *_arguments: Any, **_options: Any) -> None:
        raise ProxyError("this sandbox sends requests without proxies")


HTTPProxy = AsyncHTTPProxy = SOCKSProxy = AsyncSOCKSProxy = _Proxy
