"""A case as it is played: its steps, one after the other, and how long they take."""

import asyncio
import itertools
import json
import time

from case import settings_of, step_wait
from match import ANYTHING, fits, text_fits

# How long anything that must happen may take, beyond what the case waits for.
PATIENCE = 4

_numbers = itertools.count(1)


class Failure(Exception):
    """The runner did something else than the case expects."""

    def __init__(self, expected, got):
        super().__init__(f"expected {expected}, got {got}")
        self.expected, self.got = expected, got


class Play:
    """One time that a case is played."""

    def __init__(self, case, broker, runner, earlier):
        """`earlier` are the outcomes of other plays by their numbers, for what the runner says about them too late."""
        self.number = next(_numbers)
        self._earlier = earlier
        self._case, self._broker, self._runner = case, broker, runner
        # The last offer that was accepted, and the last call that came.
        self._offer = self._call = None
        self._began = 0.0
        self._waited = 0.0
        self._has_settings = False

    async def run(self):
        """Plays the steps. Returns the seconds that the runner took. Raises `Failure`."""
        self._began = time.perf_counter()
        for step in self._case.steps:
            verb = next(iter(step))
            patience = PATIENCE + self._case.waits + step_wait(step)
            try:
                await asyncio.wait_for(getattr(self, f"_{verb}")(**step), patience)
            except TimeoutError:
                raise Failure(describe(step), f"nothing for {patience:g} seconds") from None
            self._waited += step_wait(step)
        # Where a wait has a random part, the case says the most of it.
        return max(0.0, time.perf_counter() - self._began - self._waited - self._case.waits)

    # --- What the broker does ---------------------------------------------------------------------------------------

    async def _place(self, place):
        await self._accept(place)
        await self._expect({"type": "runner:taskaccepted", "taskId": place})

    async def _accept(self, accept, offer="next"):
        if offer == "next":
            offer = self._offer = await self._broker.next_offer()
        elif offer == "last":
            offer = self._offer
        await self._send({"type": "broker:taskofferaccept", "taskId": accept, "offerId": offer})

    async def _settings(self, settings, **changes):
        if not self._has_settings:
            # From here on the runner has all it needs.
            self._has_settings = True
            self._began, self._waited = time.perf_counter(), 0.0
        changed = settings_of(changes, self._case.settings)
        await self._send({"type": "broker:tasksettings", "taskId": settings, "settings": changed})

    async def _send(self, send):
        await self._broker.send(self._to_wire(send))

    async def _raw(self, raw):
        await self._broker.write(raw.replace("$", f"{self.number}-"))

    async def _binary(self, binary):
        await self._broker.write(json.dumps(self._to_wire(binary)).encode())

    async def _pieces(self, pieces):
        text = json.dumps(self._to_wire(pieces), ensure_ascii=False)
        await self._broker.write([text[at : at + 7] for at in range(0, len(text), 7)])

    async def _answer(self, answer):
        await self._send(
            {"type": "broker:rpcresponse", "taskId": "t1", "callId": self._call, **answer}
        )

    async def _close(self, close):
        await self._broker.close(close)
        await self._closed(ANYTHING)

    async def _register(self, register):
        wrong = await self._broker.register()
        if wrong:
            raise Failure("a runner that says who it is", wrong)

    async def _wait(self, wait):
        await asyncio.sleep(wait)

    async def _signal(self, signal):
        self._runner.signal(signal)

    # --- What the runner must do ------------------------------------------------------------------------------------

    async def _expect(self, expect):
        message = await self._next()
        if not fits(expect, message):
            raise Failure(show(expect), show(message))
        if message["type"] == "runner:rpc":
            self._call = message["callId"]

    async def _prints(self, prints, of):
        call = {
            "type": "runner:rpc",
            "taskId": prints,
            "callId": ANYTHING,
            "name": "logNodeOutput",
            "params": of,
        }
        await self._expect(call)
        # As n8n does.
        await self._send(
            {
                "type": "broker:rpcresponse",
                "taskId": prints,
                "callId": self._call,
                "status": "success",
            }
        )

    async def _done(self, done, result):
        await self._expect({"type": "runner:taskdone", "taskId": done, "data": {"result": result}})

    async def _failed(self, failed, error):
        message = await self._next()
        expected = {
            "type": "runner:taskerror",
            "taskId": failed,
            "error": {"description": ANYTHING, **error},
        }
        # Whether there is a description matters only to the cases that speak of it.
        if "description" not in error and isinstance(message.get("error"), dict):
            message["error"].setdefault("description", "")
        if not fits(expected, message):
            raise Failure(show(expected), show(message))

    async def _offers(self, offers, after=0, valid=None):
        await asyncio.sleep(after)
        while not after and len(self._broker.open_offers()) < offers:
            await asyncio.sleep(0.0005)
        count = len(self._broker.open_offers())
        if count != offers:
            raise Failure(f"{offers} open offers", count)
        validity = [self._broker.valid_for[offer] for offer in self._broker.open_offers()]
        if valid and not all(valid[0] <= time <= valid[1] for time in validity):
            raise Failure(f"offers that are valid for {valid[0]} to {valid[1]} ms", validity)

    async def _silent(self, silent):
        offers = len(self._broker.offers)
        await asyncio.sleep(silent)
        if not self._broker.inbox.empty():
            raise Failure("nothing", show(await self._next()))
        if len(self._broker.offers) > offers:
            raise Failure("no offer", "one")

    async def _closed(self, closed):
        message = await self._next()
        if message["type"] != "closed" or not fits(closed, message["code"]):
            raise Failure(f"the connection closed with {closed}", show(message))

    async def _exit(self, exit):
        code = await self._runner.ended()
        if code != exit:
            raise Failure(f"exit code {exit}", code)

    async def _get(self, get, status=200, text=ANYTHING):
        reader, writer = await asyncio.open_connection("127.0.0.1", self._runner.health_port)
        writer.write(f"GET {get} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
        writer.close()
        got = int(head.split()[1]), body
        if got[0] != status or not text_fits(text, body):
            raise Failure(show([status, text]), show(got))

    async def _logs(self, logs):
        pattern = f"…{logs.replace('$', f'{self.number}-')}…"
        while not any(text_fits(pattern, line) for line in self._runner.output):
            await asyncio.sleep(0.001)

    # --- Tasks have other names on the wire than in a case: each play has its own -------------------------------------

    async def _next(self):
        """The next message but offers."""
        while True:
            message = await self._broker.inbox.get()
            number, _, name = str(message.get("taskId", "")).partition("-")
            if number == str(self.number):
                return {**message, "taskId": name}
            if not number.isdigit() or int(number) not in self._earlier:
                return message
            self._earlier[int(number)].fail("nothing more after its end", show(message))

    def _to_wire(self, message):
        message = dict(message)
        if "taskId" in message:
            message["taskId"] = f"{self.number}-{message['taskId']}"
        if message.get("callId") == "last":
            message["callId"] = self._call
        return message


def describe(step):
    """A step, for people."""
    return " ".join(
        f"{key} {value if isinstance(value, str) else show(value)}" for key, value in step.items()
    )


def show(value):
    """A value, for people."""
    return json.dumps(value, ensure_ascii=False)
