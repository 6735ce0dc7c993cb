"""All cases against one command: which of them share a runner, and what came of each."""

import asyncio
import time
from collections import defaultdict
from dataclasses import dataclass

from broker import Broker
from case import SETTINGS, Case
from match import ANYTHING, text_fits
from play import PATIENCE, Failure, Play, show
from process import Runner

# How often a case that was only too slow is played again before it counts: machines hiccup.
AGAIN = 2
# How long a runner is listened to after the last case, for what it says too late.
LISTEN = 0.1

# The first task of a runner, whatever becomes of it: the cases are not about what a process does once.
FIRST = Case(
    "", "the first task", SETTINGS, [{"place": "t1"}, {"settings": "t1"}, {"expect": ANYTHING}]
)


@dataclass
class Outcome:
    """What came of a case."""

    case: object
    seconds: float | None = None
    expected: str | None = None
    got: str | None = None

    def fail(self, expected, got):
        if self.expected is None:
            self.expected, self.got = str(expected), str(got)

    @property
    def is_played(self):
        """Whether it came to its end, well or only too slowly."""
        return self.seconds is not None

    @property
    def is_well(self):
        return self.expected is None


class Suite:
    """The cases, on their way through a command."""

    def __init__(self, command, variables, slowest):
        """`variables` are added to every runner's environment; `slowest` is the most that a case may take, in seconds."""
        self._command, self._variables, self._slowest = command, variables, slowest

    async def probe(self):
        """The name with which the command registers as a runner. Raises `Failure` where it does not."""
        async with Broker() as broker, self._runner(broker) as runner:
            await registered(broker, runner)
            return broker.name

    async def run(self, cases):
        """The outcomes of the cases, in their order."""
        together, apart = defaultdict(list), []
        for case in cases:
            if case.ends or case.alone:
                apart.append(case)
            else:
                together[frozenset(case.environment.items())].append(case)
        outcomes = {}
        for group in together.values():
            outcomes.update(await self._play_together(group))
        quick = [case for case in apart if case.total_wait() < 1]
        for case in quick:
            outcomes.update(await self._play_alone(case))
        # Those that wait have nothing to do meanwhile.
        waiting = [self._play_alone(case) for case in apart if case.total_wait() >= 1]
        for played in await asyncio.gather(*waiting):
            outcomes.update(played)
        return [outcomes[case.name] for case in cases]

    def _runner(self, broker, case=None):
        environment = {**self._variables, **(case.environment if case else {})}
        return Runner(self._command, broker.port, environment, case.files if case else {})

    async def _play_together(self, cases):
        """Plays cases with the same environment, one after the other; a runner that failed one is not used again."""
        outcomes = {case.name: Outcome(case) for case in cases}
        todo = list(cases)
        while todo:
            async with Broker() as broker, self._runner(broker, todo[0]) as runner:
                try:
                    await ready(broker, runner)
                except Failure as failure:
                    for case in todo:
                        outcomes[case.name].fail(failure.expected, failure.got)
                    break
                earlier = {}
                while todo and all(outcome.is_well for outcome in earlier.values()):
                    await self._play(outcomes[todo.pop(0).name], broker, runner, earlier)
                await asyncio.sleep(LISTEN)
                hear_out(broker, earlier)
        return outcomes

    async def _play_alone(self, case):
        outcome = Outcome(case)
        for _ in range(1 + AGAIN):
            outcome = Outcome(case)
            async with Broker() as broker, self._runner(broker, case) as runner:
                if case.ends:
                    await self._see_end(outcome, broker, runner)
                else:
                    await self._see_play(outcome, broker, runner)
            if not self._was_only_slow(outcome):
                break
        return {case.name: outcome}

    async def _see_play(self, outcome, broker, runner):
        try:
            await ready(broker, runner)
        except Failure as failure:
            return outcome.fail(failure.expected, failure.got)
        await self._play(outcome, broker, runner, {}, again=0)

    async def _play(self, outcome, broker, runner, earlier, again=AGAIN):
        for left in range(again, -1, -1):
            play = Play(outcome.case, broker, runner, earlier)
            earlier[play.number] = outcome
            try:
                outcome.seconds = await play.run()
            except Failure as failure:
                return outcome.fail(failure.expected, failure.got)
            if outcome.seconds <= self._slowest:
                return None
            if not left:
                self._too_slow(outcome)

    async def _see_end(self, outcome, broker, runner):
        """A runner that cannot start: it says why in one line, and never speaks to the broker."""
        ends, began = outcome.case.ends, time.perf_counter()
        try:
            code = await asyncio.wait_for(runner.ended(), PATIENCE)
        except TimeoutError:
            return outcome.fail(f"exit code {ends['code']}", f"no end within {PATIENCE} seconds")
        outcome.seconds = time.perf_counter() - began
        said = "\n".join(runner.output)
        if code != ends["code"]:
            outcome.fail(f"exit code {ends['code']}", f"{code}, saying: {said}")
        elif not text_fits(ends["says"], said) or len(runner.output) > 1:
            outcome.fail(f"one line: {ends['says']}", said)
        elif broker.grants:
            outcome.fail("no word to the broker", "a request for a grant token")
        elif outcome.seconds > self._slowest:
            self._too_slow(outcome)

    def _too_slow(self, outcome):
        outcome.fail(f"at most {self._slowest * 1000:g} ms", f"{outcome.seconds * 1000:.1f} ms")

    def _was_only_slow(self, outcome):
        return outcome.is_played and outcome.seconds > self._slowest and not outcome.is_well


async def ready(broker, runner):
    """Waits until the runner is registered and has answered a task. Raises `Failure`."""
    await registered(broker, runner)
    await Play(FIRST, broker, runner, {}).run()


async def registered(broker, runner):
    """Waits until the runner is registered. Raises `Failure`."""
    registering = asyncio.create_task(broker.register())
    ending = asyncio.create_task(runner.ended())
    done, others = await asyncio.wait(
        {registering, ending}, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED
    )
    for other in others:
        other.cancel()
    expected = "a runner that registers"
    if registering in done:
        if registering.result():
            raise Failure(expected, registering.result())
    elif ending in done:
        raise Failure(
            expected, " ".join([f"its end with code {ending.result()}", *runner.output[-3:]])
        )
    else:
        raise Failure(expected, " ".join([f"nothing for {PATIENCE} seconds", *runner.output[-3:]]))


def hear_out(broker, earlier):
    """Blames the cases about which the runner said more than its answer."""
    while not broker.inbox.empty():
        message = broker.inbox.get_nowait()
        number = str(message.get("taskId", "")).partition("-")[0]
        if number.isdigit() and int(number) in earlier:
            earlier[int(number)].fail("nothing more after its end", show(message))
