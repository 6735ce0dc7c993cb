"""Plays the steps of a case in order and measures the runner's time."""

import asyncio
import itertools
import json
import time
from typing import Any, Protocol

from broker import Broker, Message
from case import Case, Step, settings_of, step_wait
from match import ANYTHING, fits, text_fits
from process import Runner

# Seconds for a step to complete, beyond the waits of the case.
PATIENCE = 4

_numbers = itertools.count(1)


class Failure(Exception):
    """The runner's behaviour differs from the case."""

    def __init__(self, expected: object, got: object) -> None:
        super().__init__(f"expected {expected}, got {got}")
        self.expected, self.got = expected, got


class Blamed(Protocol):
    """The outcome of an earlier play, which a late message turns into a failure."""

    def fail(self, expected: object, got: object) -> None: ...


class Play:
    """One play of a case."""

    def __init__(
        self, case: Case, broker: Broker, runner: Runner, earlier: dict[int, Blamed]
    ) -> None:
        """`earlier` has the outcomes of earlier plays by number, for late messages."""
        self.number = next(_numbers)
        self._earlier = earlier
        self._case, self._broker, self._runner = case, broker, runner
        # The last accepted offer, the `callId` of the last call, and the `requestId` of the last
        # request for data.
        self._offer: str | None = None
        self._call: str | None = None
        self._request: str | None = None
        self._began = 0.0
        self._waited = 0.0
        self._has_settings = False

    async def run(self) -> float:
        """Plays the steps. Returns the runner's time in seconds. Raises `Failure`."""
        self._began = time.perf_counter()
        for step in self._case.steps:
            verb = next(iter(step))
            patience = PATIENCE + self._case.waits + step_wait(step)
            try:
                await asyncio.wait_for(getattr(self, f"_{verb}")(**step), patience)
            except TimeoutError:
                raise Failure(describe(step), f"nothing for {patience:g} seconds") from None
            self._waited += step_wait(step)
        # `waits` is an upper bound where a wait is random, so the difference can be negative.
        return max(0.0, time.perf_counter() - self._began - self._waited - self._case.waits)

    # Actions of the broker.

    async def _place(self, place: str) -> None:
        await self._accept(place)
        await self._expect({"type": "runner:taskaccepted", "taskId": place})

    async def _accept(self, accept: str, offer: str | None = "next") -> None:
        if offer == "next":
            offer = self._offer = await self._broker.next_offer()
        elif offer == "last":
            offer = self._offer
        await self._send({"type": "broker:taskofferaccept", "taskId": accept, "offerId": offer})

    async def _settings(self, settings: str, **changes: Any) -> None:
        if not self._has_settings:
            # The measurement starts with the first settings.
            self._has_settings = True
            self._began, self._waited = time.perf_counter(), 0.0
        changed = settings_of(changes, self._case.settings)
        await self._send({"type": "broker:tasksettings", "taskId": settings, "settings": changed})

    async def _send(self, send: Message) -> None:
        await self._broker.send(self._to_wire(send))

    async def _raw(self, raw: str) -> None:
        await self._broker.write(raw.replace("$", f"{self.number}-"))

    async def _binary(self, binary: Message) -> None:
        await self._broker.write(json.dumps(self._to_wire(binary)).encode())

    async def _pieces(self, pieces: Message) -> None:
        text = json.dumps(self._to_wire(pieces), ensure_ascii=False)
        await self._broker.write([text[at : at + 7] for at in range(0, len(text), 7)])

    async def _answer(self, answer: Message) -> None:
        call = {"type": "broker:rpcresponse", "taskId": "t1", "callId": self._call}
        await self._send({**call, **answer})

    async def _data(self, data: Message) -> None:
        answer = {"type": "broker:taskdataresponse", "taskId": "t1", "requestId": self._request}
        await self._send({**answer, "data": data})

    async def _close(self, close: int) -> None:
        await self._broker.close(close)
        await self._closed(ANYTHING)

    async def _register(self, register: bool) -> None:
        mistake = await self._broker.register()
        if mistake:
            raise Failure("a registration", mistake)

    async def _wait(self, wait: float) -> None:
        await asyncio.sleep(wait)

    async def _signal(self, signal: str) -> None:
        self._runner.signal(signal)

    # Expectations of the runner.

    async def _expect(self, expect: object) -> None:
        message = await self._next()
        if not fits(expect, message):
            raise Failure(show(expect), show(message))
        if message["type"] == "runner:rpc":
            self._call = message["callId"]
        elif message["type"] == "runner:taskdatarequest":
            self._request = message["requestId"]

    async def _prints(self, prints: str, of: list[str]) -> None:
        await self._expect(
            {
                "type": "runner:rpc",
                "taskId": prints,
                "callId": ANYTHING,
                "name": "logNodeOutput",
                "params": of,
            }
        )
        # n8n answers every print.
        answer = {"taskId": prints, "callId": self._call, "status": "success"}
        await self._send({"type": "broker:rpcresponse", **answer})

    async def _done(self, done: str, result: object) -> None:
        await self._expect({"type": "runner:taskdone", "taskId": done, "data": {"result": result}})

    async def _failed(self, failed: str, error: dict[str, Any]) -> None:
        message = await self._next()
        expected_error = {"description": ANYTHING, **error}
        expected = {"type": "runner:taskerror", "taskId": failed, "error": expected_error}
        # A case without a description accepts any, and none.
        if "description" not in error and isinstance(message.get("error"), dict):
            message["error"].setdefault("description", "")
        if not fits(expected, message):
            raise Failure(show(expected), show(message))

    async def _offers(
        self, offers: int, after: float = 0, valid: tuple[int, int] | None = None
    ) -> None:
        await asyncio.sleep(after)
        while not after and len(self._broker.open_offers()) < offers:
            await asyncio.sleep(0.0005)
        count = len(self._broker.open_offers())
        if count != offers:
            raise Failure(f"{offers} open offers", count)
        validity = [self._broker.valid_for[offer] for offer in self._broker.open_offers()]
        if valid and not all(valid[0] <= time <= valid[1] for time in validity):
            raise Failure(f"offers with validFor from {valid[0]} to {valid[1]} ms", validity)

    async def _silent(self, silent: float) -> None:
        offers = len(self._broker.offers)
        await asyncio.sleep(silent)
        if not self._broker.inbox.empty():
            raise Failure("no message", show(await self._next()))
        if len(self._broker.offers) > offers:
            raise Failure("no offer", "an offer")

    async def _closed(self, closed: object) -> None:
        message = await self._next()
        if message["type"] != "closed" or not fits(closed, message["code"]):
            raise Failure(f"a connection closed with {closed}", show(message))

    async def _exit(self, exit: int) -> None:
        code = await self._runner.ended()
        if code != exit:
            raise Failure(f"exit code {exit}", code)

    async def _get(self, get: str, status: int = 200, text: str = ANYTHING) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._runner.health_port)
        writer.write(f"GET {get} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
        writer.close()
        got = int(head.split()[1])
        if got != status or not text_fits(text, body):
            raise Failure(show([status, text]), show([got, body]))

    async def _logs(self, logs: str) -> None:
        pattern = f"…{logs.replace('$', f'{self.number}-')}…"
        while not any(text_fits(pattern, line) for line in self._runner.output):
            await asyncio.sleep(0.001)

    # The id of task `t1` on the wire is `NUMBER-t1`: the same case can be played again.

    async def _next(self) -> Message:
        """The next message of this play, except offers."""
        while True:
            message = await self._broker.inbox.get()
            number, _, name = str(message.get("taskId", "")).partition("-")
            if number == str(self.number):
                return {**message, "taskId": name}
            if not number.isdigit() or int(number) not in self._earlier:
                return message
            self._earlier[int(number)].fail("no message after the end of its task", show(message))

    def _to_wire(self, message: Message) -> Message:
        message = dict(message)
        if "taskId" in message:
            message["taskId"] = f"{self.number}-{message['taskId']}"
        if message.get("callId") == "last":
            message["callId"] = self._call
        return message


def describe(step: Step) -> str:
    """A step as text."""
    return " ".join(
        f"{key} {value if isinstance(value, str) else show(value)}" for key, value in step.items()
    )


def show(value: object) -> str:
    """A value as JSON text."""
    return json.dumps(value, ensure_ascii=False)
