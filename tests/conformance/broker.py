"""A broker for one runner: it sends what a case asks for, and queues the runner's messages."""

import asyncio
import json
import time
from collections.abc import Iterable
from typing import Any, NoReturn, Self

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

import handshake

Message = dict[str, Any]


class Broker:
    """A broker on a free port. Use it with `async with`."""

    def __init__(self) -> None:
        self.port = 0
        # The runner's name, as of its registration.
        self.name = ""
        # Grant tokens that the runner fetched.
        self.grants = 0
        # By offer: the end of each open offer (monotonic clock), and `validFor` in milliseconds.
        self.offers: dict[str, float] = {}
        self.valid_for: dict[str, int] = {}
        self.inbox: asyncio.Queue[Message] = asyncio.Queue()
        self._server: Server | None = None
        self._connection: ServerConnection | None = None
        self._connections: asyncio.Queue[ServerConnection] = asyncio.Queue()

    async def __aenter__(self) -> Self:
        broker = self

        class Connection(handshake.GrantConnection):
            def granted(self) -> None:
                broker.grants += 1

        # The token admits one connection per broker.
        handshake.grants.add(handshake.INITIAL_GRANT)
        options = handshake.OPTIONS
        self._server = await serve(
            self._serve, "127.0.0.1", 0, create_connection=Connection, **options
        )
        self.port = next(iter(self._server.sockets)).getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, connection: ServerConnection) -> None:
        self._connection = connection
        self.offers.clear()
        self._connections.put_nowait(connection)
        try:
            async for frame in connection:
                self._receive(frame)
        except ConnectionClosed:
            pass
        self.inbox.put_nowait({"type": "closed", "code": connection.close_code})

    def _receive(self, frame: str | bytes) -> None:
        try:
            message = json.loads(frame, parse_constant=_refuse)
            kind = message["type"]
        except (ValueError, TypeError, KeyError):
            # n8n logs such a frame and ignores it, so the task would hang.
            self.inbox.put_nowait({"type": "no message", "frame": str(frame)[:200]})
            return
        if kind == "runner:taskoffer":
            self._receive_offer(message)
        else:
            self.inbox.put_nowait(message)

    def _receive_offer(self, message: Message) -> None:
        valid_for, offer = message.get("validFor"), message.get("offerId")
        if not isinstance(valid_for, int) or message.get("taskType") != "python" or not offer:
            self.inbox.put_nowait(message)
        else:
            self.valid_for[offer] = valid_for
            # -1: the offer never expires.
            seconds = float("inf") if valid_for == -1 else valid_for / 1000
            self.offers[offer] = time.monotonic() + seconds

    def open_offers(self) -> list[str]:
        """Offers that are neither taken nor expired."""
        now = time.monotonic()
        return [offer for offer, end in self.offers.items() if now < end]

    async def next_offer(self) -> str:
        """Takes the oldest open offer; waits until there is one."""
        while not (offers := self.open_offers()):
            await asyncio.sleep(0.0005)
        del self.offers[offers[0]]
        return offers[0]

    async def connected(self) -> None:
        """Waits for a new connection."""
        await self._connections.get()

    async def register(self) -> str | None:
        """Waits for a new connection and registers the runner. Returns the runner's mistake."""
        await self.connected()
        await self.send({"type": "broker:inforequest"})
        info = await self.inbox.get()
        while info["type"] == "closed":
            # The end of the previous connection.
            info = await self.inbox.get()
        name = info.get("name")
        if (
            info.get("type") != "runner:info"
            or info.get("types") != ["python"]
            or not isinstance(name, str)
        ):
            return f"{json.dumps(info)} in answer to broker:inforequest"
        self.name = name
        await self.send({"type": "broker:runnerregistered"})
        return None

    async def send(self, message: Message) -> None:
        """Sends a message as a text frame."""
        await self.write(json.dumps(message))

    async def write(self, frame: str | bytes | Iterable[str]) -> None:
        """Sends a frame: text, bytes, or text in fragments."""
        assert self._connection is not None
        await self._connection.send(frame)

    async def close(self, code: int) -> None:
        """Closes the newest connection."""
        assert self._connection is not None
        await self._connection.close(code)


def _refuse(constant: str) -> NoReturn:
    """JSON has no NaN and no infinities, although Python's parser accepts them."""
    raise ValueError(constant)
