"""CPU-bound programs in every engine, as multiples of the time in native CPython."""

from dataclasses import dataclass
from pathlib import Path
from statistics import geometric_mean

from commands import ROOT, Broken
from engines import NATIVE, Engine, Kind, Ours, Peers
from result import Figure, Result, Table, number
from say import note, step

GOAL = 1.7
# Reads the clock inside the program, which excludes the start. Every engine compiles a module.
MEASURED = """
from time import perf_counter
names = {{"__name__": "program"}}
exec(compile({text!r}, {name!r}, "exec"), names)
times = []
for _ in range({repetitions}):
    begin = perf_counter()
    names["run"]()
    times.append(perf_counter() - begin)
print(min(times))
"""


@dataclass(frozen=True)
class Plan:
    """Starts of each program per engine, and repetitions within one start."""

    rounds: int
    repetitions: int


def measure(peers: Peers, plan: Plan) -> Result:
    """Runs every program in all engines in turn, so other load affects them alike."""
    programs = sorted((ROOT / "benches" / "compute").glob("*.py"))
    engines: dict[str, Engine] = {Ours.name: Ours()}
    kinds = {kind.name: kind for kind, _ in peers.started(lambda kind: kind.programs)}
    engines |= {kind.name: peer for kind, peer in peers.started(lambda kind: kind.programs)}
    step(f"{len(programs)} programs in {', '.join(engines)}")
    best: dict[str, dict[str, float]] = {name: {} for name in engines}
    for turn in range(plan.rounds):
        note(f"round {turn + 1} of {plan.rounds}")
        for program in programs:
            for name in list(engines):
                try:
                    seconds = timed(engines[name], program, plan.repetitions)
                except Broken as error:
                    _leave_out(peers, kinds, engines, name, f"{program.stem}: {error}")
                    continue
                best[name][program.stem] = min(seconds, best[name].get(program.stem, seconds))
    return report({name: best[name] for name in engines})


def _leave_out(
    peers: Peers, kinds: dict[str, Kind], engines: dict[str, Engine], name: str, reason: str
) -> None:
    """Drops a failed peer. A failure of Serpentarium ends the run."""
    if name not in kinds:
        raise Broken(reason)
    peers.drop(kinds[name], reason)
    del engines[name]


def timed(engine: Engine, program: Path, repetitions: int) -> float:
    """The best of `repetitions` runs within one start, in seconds."""
    text = program.read_text(encoding="utf-8")
    printed = engine.run(MEASURED.format(text=text, name=program.name, repetitions=repetitions))
    try:
        return float(printed)
    except ValueError as error:
        raise Broken(f"{engine.name} printed {printed[:200]!r}") from error


def report(best: dict[str, dict[str, float]]) -> Result:
    """The ratios to the native time, and their geometric mean."""
    result = Result(raw={"bestSeconds": best})
    native = best.get(NATIVE.name)
    if not native:
        result.notes.append("no ratios: native CPython 3.13 is not available")
        return result
    ratios = {
        name: {program: seconds / native[program] for program, seconds in times.items()}
        for name, times in best.items()
        if name != NATIVE.name
    }
    means = {name: geometric_mean(each.values()) for name, each in ratios.items()}
    result.raw |= {"ratios": ratios, "geometricMeans": means}
    rows = [
        [
            program,
            f"{native[program] * 1000:.1f}",
            *(number(ratios[name][program]) for name in ratios),
        ]
        for program in native
    ]
    rows.append(["geometric mean", "", *(number(means[name]) for name in ratios)])
    header = ["program", "native ms", *(f"{name} ×" for name in ratios)]
    result.tables.append(Table("Computing, times the native CPython 3.13", header, rows))
    what = f"geometric mean of {len(native)} programs, times native CPython 3.13"
    result.figures.append(Figure(what, means[Ours.name], "×", GOAL))
    return result
