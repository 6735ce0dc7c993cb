"""A request, and its response."""

# Names and values, with one character for each byte.
Headers = list[tuple[str, str]]


class Message:
    """A request. `timeout`: seconds; None for the host's limit."""

    __slots__ = ("body", "headers", "method", "timeout", "url", "verify")

    def __init__(
        self,
        method: str,
        url: str,
        headers: Headers,
        body: bytes,
        timeout: float | None,
        verify: bool = True,
    ) -> None:
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
        self.timeout = timeout
        self.verify = verify


class Answer:
    """A response. Its headers do not describe the connection."""

    __slots__ = ("body", "headers", "reason", "status")

    def __init__(self, status: int, reason: str, headers: Headers, body: bytes) -> None:
        self.status = status
        self.reason = reason
        self.headers = headers
        self.body = body
