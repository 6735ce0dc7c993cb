"""A broker for one runner: it does what a case tells it to, and keeps what the runner says until somebody asks."""

import asyncio
import json
import time

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

import handshake


class Broker:
    """A broker that listens on a port of its own. Use it with `async with`."""

    def __init__(self):
        self.port = 0
        self.name = None
        self.grants = 0
        # When each offer that was not taken ends, and for how long each was to be valid.
        self.offers = {}
        self.valid_for = {}
        self.inbox = asyncio.Queue()
        self._connection = None
        self._connections = asyncio.Queue()

    async def __aenter__(self):
        broker = self

        class Front(handshake.Front):
            def granted(self):
                broker.grants += 1

        # Each broker lets one runner in with it, once.
        handshake.grants.add(handshake.GIVEN)
        self._server = await serve(
            self._serve, "127.0.0.1", 0, create_connection=Front, **handshake.SERVING
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, connection):
        self._connection = connection
        self.offers.clear()
        self._connections.put_nowait(connection)
        try:
            async for frame in connection:
                self._receive(frame)
        except ConnectionClosed:
            pass
        self.inbox.put_nowait({"type": "closed", "code": connection.close_code})

    def _receive(self, frame):
        try:
            message = json.loads(frame, parse_constant=_refuse)
            kind = message["type"]
        except (ValueError, TypeError, KeyError):
            # n8n only logs such a frame, and the task hangs.
            self.inbox.put_nowait({"type": "no message", "frame": str(frame)[:200]})
            return
        if kind == "runner:taskoffer":
            self._offered(message)
        else:
            self.inbox.put_nowait(message)

    def _offered(self, message):
        valid_for = message.get("validFor")
        if (
            not isinstance(valid_for, int)
            or message.get("taskType") != "python"
            or "offerId" not in message
        ):
            self.inbox.put_nowait(message)
        else:
            self.valid_for[message["offerId"]] = valid_for
            stands = float("inf") if valid_for == -1 else valid_for / 1000
            self.offers[message["offerId"]] = time.monotonic() + stands

    def open_offers(self):
        """The offers that nobody took and that are not over."""
        now = time.monotonic()
        return [offer for offer, end in self.offers.items() if now < end]

    async def next_offer(self):
        """Takes an open offer, the oldest first; waits until there is one."""
        while not (offers := self.open_offers()):
            await asyncio.sleep(0.0005)
        del self.offers[offers[0]]
        return offers[0]

    async def connected(self):
        """Waits for a connection that is new."""
        await self._connections.get()

    async def register(self):
        """Waits for a connection that is new, and registers the runner. Says what it did wrong, if anything."""
        await self.connected()
        await self.send({"type": "broker:inforequest"})
        info = await self.inbox.get()
        while info["type"] == "closed":
            # The end of the connection before.
            info = await self.inbox.get()
        if (
            info.get("type") != "runner:info"
            or info.get("types") != ["python"]
            or not isinstance(info.get("name"), str)
        ):
            return f"to who it is, the runner said {json.dumps(info)}"
        self.name = info["name"]
        await self.send({"type": "broker:runnerregistered"})
        return None

    async def send(self, message):
        await self.write(json.dumps(message))

    async def write(self, frame):
        """Sends a frame: text, bytes, or text in pieces."""
        await self._connection.send(frame)

    async def close(self, code):
        await self._connection.close(code)


def _refuse(constant):
    raise ValueError(constant)
