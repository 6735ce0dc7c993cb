"""Runs the cases against one command: shares runners between cases and collects the outcomes."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from broker import Broker
from case import SETTINGS, Case
from match import ANYTHING, text_fits
from play import PATIENCE, Blamed, Failure, Play, show
from process import Runner

# Repetitions of a case that is only too slow, because the machine may be busy for a moment.
REPETITIONS = 2
# Seconds after the last case of a runner in which late messages count.
LATE = 0.1

# The first task of a runner, with any result: its one-time costs are not part of a case.
FIRST = Case(
    "", "the first task", SETTINGS, [{"place": "t1"}, {"settings": "t1"}, {"expect": ANYTHING}]
)


@dataclass
class Outcome:
    """The outcome of a case. Without `expected` and `got` the case passed."""

    case: Case
    seconds: float | None = None
    expected: str | None = None
    got: str | None = None

    def fail(self, expected: object, got: object) -> None:
        """Notes a failure; the first one counts."""
        if self.expected is None:
            self.expected, self.got = str(expected), str(got)

    @property
    def is_played(self) -> bool:
        """Whether the case reached its end, in time or too slowly."""
        return self.seconds is not None

    @property
    def is_well(self) -> bool:
        return self.expected is None


class Suite:
    """Runs cases against a command."""

    def __init__(self, command: Sequence[str], variables: dict[str, str], slowest: float) -> None:
        """`variables` are set for every runner. `slowest` is the maximum time of a case in s."""
        self._command, self._variables, self._slowest = command, variables, slowest

    async def probe(self) -> str:
        """The name under which the command registers. Raises `Failure` if it does not."""
        async with Broker() as broker, self._runner(broker) as runner:
            await registered(broker, runner)
            return broker.name

    async def run(self, cases: Sequence[Case]) -> list[Outcome]:
        """The outcomes of the cases, in order."""
        together: defaultdict[frozenset[tuple[str, str | bool]], list[Case]] = defaultdict(list)
        apart = []
        for case in cases:
            if case.ends or case.alone:
                apart.append(case)
            else:
                together[frozenset(case.environment.items())].append(case)
        outcomes: dict[str, Outcome] = {}
        for group in together.values():
            outcomes.update(await self._play_together(group))
        for case in apart:
            if case.total_wait() < 1:
                outcomes.update(await self._play_alone(case))
        # Cases that mostly wait run at once: they do not disturb each other's time.
        waiting = [self._play_alone(case) for case in apart if case.total_wait() >= 1]
        for played in await asyncio.gather(*waiting):
            outcomes.update(played)
        return [outcomes[case.name] for case in cases]

    def _runner(self, broker: Broker, case: Case | None = None) -> Runner:
        environment = {**self._variables, **(case.environment if case else {})}
        return Runner(self._command, broker.port, environment, case.files if case else {})

    async def _play_together(self, cases: Sequence[Case]) -> dict[str, Outcome]:
        """Plays cases with the same environment in turn. A failure ends the use of a runner."""
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
                played: list[Outcome] = []
                earlier: dict[int, Blamed] = {}
                while todo and all(outcome.is_well for outcome in played):
                    played.append(outcomes[todo.pop(0).name])
                    await self._play(played[-1], broker, runner, earlier)
                await asyncio.sleep(LATE)
                blame_late_messages(broker, earlier)
        return outcomes

    async def _play_alone(self, case: Case) -> dict[str, Outcome]:
        outcome = Outcome(case)
        for _ in range(1 + REPETITIONS):
            outcome = Outcome(case)
            async with Broker() as broker, self._runner(broker, case) as runner:
                if case.ends:
                    await self._check_end(outcome, broker, runner)
                else:
                    await self._check_play(outcome, broker, runner)
            if not self._was_only_slow(outcome):
                break
        return {case.name: outcome}

    async def _check_play(self, outcome: Outcome, broker: Broker, runner: Runner) -> None:
        try:
            await ready(broker, runner)
        except Failure as failure:
            outcome.fail(failure.expected, failure.got)
            return
        await self._play(outcome, broker, runner, {}, repetitions=0)

    async def _play(
        self,
        outcome: Outcome,
        broker: Broker,
        runner: Runner,
        earlier: dict[int, Blamed],
        repetitions: int = REPETITIONS,
    ) -> None:
        for left in range(repetitions, -1, -1):
            play = Play(outcome.case, broker, runner, earlier)
            earlier[play.number] = outcome
            try:
                outcome.seconds = await play.run()
            except Failure as failure:
                outcome.fail(failure.expected, failure.got)
                return
            if outcome.seconds <= self._slowest:
                return
            if not left:
                self._too_slow(outcome, outcome.seconds)

    async def _check_end(self, outcome: Outcome, broker: Broker, runner: Runner) -> None:
        """Checks a runner that cannot start: one line of output, no request to the broker."""
        ends, began = outcome.case.ends, time.perf_counter()
        assert ends is not None
        try:
            code = await asyncio.wait_for(runner.ended(), PATIENCE)
        except TimeoutError:
            outcome.fail(f"exit code {ends['code']}", f"no end within {PATIENCE} seconds")
            return
        outcome.seconds = time.perf_counter() - began
        output = "\n".join(runner.output)
        if code != ends["code"]:
            outcome.fail(f"exit code {ends['code']}", f"{code}, with the output: {output}")
        elif not text_fits(ends["says"], output) or len(runner.output) > 1:
            outcome.fail(f"one line: {ends['says']}", output)
        elif broker.grants:
            outcome.fail("no request to the broker", "a request for a grant token")
        elif outcome.seconds > self._slowest:
            self._too_slow(outcome, outcome.seconds)

    def _too_slow(self, outcome: Outcome, seconds: float) -> None:
        outcome.fail(f"at most {self._slowest * 1000:g} ms", f"{seconds * 1000:.1f} ms")

    def _was_only_slow(self, outcome: Outcome) -> bool:
        slow = outcome.seconds is not None and outcome.seconds > self._slowest
        return slow and not outcome.is_well


async def ready(broker: Broker, runner: Runner) -> None:
    """Waits until the runner is registered and has answered a task. Raises `Failure`."""
    await registered(broker, runner)
    await Play(FIRST, broker, runner, {}).run()


async def registered(broker: Broker, runner: Runner) -> None:
    """Waits until the runner is registered. Raises `Failure`."""
    registering = asyncio.create_task(broker.register())
    ending = asyncio.create_task(runner.ended())
    done, pending = await asyncio.wait(
        {registering, ending}, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED
    )
    for task in pending:
        task.cancel()
    expected, output = "a registration", runner.output[-3:]
    if registering in done:
        if mistake := registering.result():
            raise Failure(expected, mistake)
    elif ending in done:
        raise Failure(expected, " ".join([f"its end with code {ending.result()}", *output]))
    else:
        raise Failure(expected, " ".join([f"nothing for {PATIENCE} seconds", *output]))


def blame_late_messages(broker: Broker, earlier: dict[int, Blamed]) -> None:
    """Fails the cases whose tasks got messages after their end."""
    while not broker.inbox.empty():
        message = broker.inbox.get_nowait()
        number = str(message.get("taskId", "")).partition("-")[0]
        if number.isdigit() and int(number) in earlier:
            earlier[int(number)].fail("no message after the end of its task", show(message))
