"""Sends a request: through the host if it makes requests, else through n8n."""

import errno

from _serpentarium.abi import AS_TEXT, PRINT_MODE
from _serpentarium.core import lacking, loop, wire
from _serpentarium.core.current import task
from _serpentarium.http.forms import N8N, OWN, Form
from _serpentarium.http.message import Answer, Message

_call, _call_blocking = loop.call, loop.call_blocking

# The form that the host answers, once it is known.
_known: list[Form] = []


def reset() -> None:
    """Forgets which form the host answers, in a test."""
    _known.clear()


def send(message: Message) -> Answer:
    """Sends a request and waits for the response; other threads begin meanwhile.

    Raises an OSError if there is none. A status of any kind is a response.
    """
    form = _form()
    succeeded, text = _call_blocking(form.name, form.encode(message))
    return _finish(form, succeeded, text)


async def send_async(message: Message) -> Answer:
    """Sends a request; other asyncio tasks run meanwhile."""
    form = _form()
    succeeded, text = await _call(form.name, form.encode(message))
    return _finish(form, succeeded, text)


def _form() -> Form:
    """Returns the form that the host answers: its own, unless it does not know the call.

    Asks once, with a call that is no request. Threads do not begin meanwhile: only the first call
    of each overlaps those of others, and that must be the request.
    """
    if not _known:
        form = OWN
        try:
            wire.call_host(OWN.name, "[null]")
        except wire.CallFailed as failed:
            if str(failed) == wire.REFUSED:
                form = N8N
        _known.append(form)
    return _known[0]


def _finish(form: Form, succeeded: bool, text: str) -> Answer:
    if succeeded:
        return form.read(text)
    raise _refusal() if text == wire.REFUSED else form.failure(text)


def _refusal() -> OSError:
    text = lacking.NETWORK
    if task.settings.get(PRINT_MODE) == AS_TEXT:
        text += ": `serpentarium exec --allow-net HOST` lets the code make HTTP requests to a host"
    return OSError(errno.ENOTSUP, text)
