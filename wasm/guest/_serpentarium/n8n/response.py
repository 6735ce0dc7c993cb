"""An HTTP answer as an object: n8n's dict, with the members that `requests` has."""

from json import dumps, loads
from typing import Any

from _serpentarium.n8n.manual import documented, members

# Python's names for n8n's keys.
_KEYS = {
    "status_code": "statusCode",
    "status": "statusCode",
    "code": "statusCode",
    "status_message": "statusMessage",
    "reason": "statusMessage",
}

# First HTTP status that is an error (RFC 9110, section 15.5).
FIRST_ERROR = 400


class Headers(dict[str, Any]):
    __doc__ = """The headers of an HTTP answer: a dict that ignores the case of names."""
    __slots__ = ()

    def __missing__(self, name: str) -> Any:
        found = self._spelled(name)
        if found is None:
            raise KeyError(name)
        return self[found]

    def __contains__(self, name: object) -> bool:
        return self._spelled(name) is not None

    def get(self, name: str, default: Any = None) -> Any:
        found = self._spelled(name)
        return default if found is None else self[found]

    def _spelled(self, name: object) -> str | None:
        """Returns the spelling of a name among the headers; None if there is no such header."""
        if dict.__contains__(self, name):
            return str(name)
        wanted = name.lower() if isinstance(name, str) else None
        for key in self:
            if key.lower() == wanted:
                return key
        return None


class Response(dict[str, Any]):
    __doc__ = """An HTTP answer: `status_code`, `ok`, `headers`, `body`, `text`, `json()`.

    Also a dict with n8n's keys: body, headers, statusCode, statusMessage."""
    __slots__ = ()

    def __init__(self, answer: dict[str, Any]) -> None:
        headers = answer.get("headers")
        super().__init__(answer, headers=Headers(headers if isinstance(headers, dict) else {}))

    def __repr__(self) -> str:
        return f"<response {self.status_code}: {dict(self)}>"

    body = property(lambda self: self.get("body"), doc="The body: parsed if it is JSON, else text.")
    headers = property(lambda self: self["headers"], doc="The headers: a dict that ignores case.")
    status_code = statusCode = status = property(
        lambda self: self["statusCode"], doc="The status, such as 200."
    )
    status_message = statusMessage = reason = property(
        lambda self: self.get("statusMessage"), doc="The text of the status, such as OK."
    )

    @property
    @documented("""Whether the status is no error: below 400.""")
    def ok(self) -> bool:
        status = self.status_code
        return type(status) is not int or status < FIRST_ERROR

    @property
    @documented("""The body as text. A parsed body is written as JSON again.""")
    def text(self) -> str:
        body = self.body
        if isinstance(body, str):
            return body
        if isinstance(body, bytes):
            return _decode(body, str(self.headers.get("content-type") or ""))
        return "" if body is None else dumps(body, ensure_ascii=False)

    @property
    @documented("""The body as bytes: the bytes of the answer if the request has binary=True.""")
    def content(self) -> bytes:
        body = self.body
        return body if isinstance(body, bytes) else self.text.encode("utf-8", "replace")

    @documented("""Returns the body as JSON. Raises a ValueError if it is not JSON.""")
    def json(self) -> Any:
        body = self.body
        if not isinstance(body, (str, bytes)):
            return body
        try:
            return loads(self.text.removeprefix("\ufeff") if isinstance(body, str) else body)
        except ValueError:
            # n8n has parsed it already: it was a text in JSON.
            if isinstance(body, str) and "json" in str(self.headers.get("content-type")):
                return body
            raise

    def __missing__(self, key: str) -> Any:
        if key in _KEYS:
            return self.get(_KEYS[key])
        raise KeyError(key)

    def __getattr__(self, name: str) -> Any:
        text = f"the response has no {name!r}"
        if not name.startswith("__"):
            text += f". It has {members(self)}"
        raise AttributeError(text, name=name, obj=self)

    def __dir__(self) -> list[str]:
        names = {name for name in vars(Response) if name[0] != "_"}
        return sorted(names - {"statusCode", "statusMessage"})


def _decode(body: bytes, content_type: str) -> str:
    """Decodes bytes by their byte order mark, else by the charset of the header, else as UTF-8."""
    for mark, encoding in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"),
                           (b"\xfe\xff", "utf-16")):  # fmt: skip
        if body.startswith(mark):
            return body.decode(encoding, "replace")
    charset = content_type.lower().partition("charset=")[2].partition(";")[0].strip(" \"'")
    try:
        return body.decode(charset or "utf-8", "replace")
    except LookupError:
        return body.decode("utf-8", "replace")
