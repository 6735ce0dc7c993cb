"""`urllib.request`: its errors, and no proxies. `requests` and `httpx` ask it for proxies, too."""

from typing import Any
from urllib import request as _request
from urllib.error import URLError

_do_open = _request.AbstractHTTPHandler.do_open


def do_open(self: Any, http_class: Any, req: Any, **options: Any) -> Any:
    """Opens a URL. An error before the response is one of the connection: a `URLError`."""
    try:
        return _do_open(self, http_class, req, **options)
    except (URLError, TimeoutError, ConnectionResetError):
        raise
    except OSError as error:
        raise URLError(error) from error


def getproxies() -> dict[str, str]:
    """Returns no proxies: those of the environment are for the host, which makes the requests."""
    return {}


def install() -> None:
    """Replaces the functions, before the snapshot."""
    do_open.__module__, do_open.__qualname__ = "urllib.request", "AbstractHTTPHandler.do_open"
    getproxies.__module__ = "urllib.request"
    _request.AbstractHTTPHandler.do_open = do_open  # type: ignore[method-assign]
    vars(_request).update(getproxies=getproxies, getproxies_environment=getproxies)
