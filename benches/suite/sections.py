"""The sections of the suite. Each takes the peers, and whether the run is quick."""

import os
from collections.abc import Callable
from pathlib import Path
from statistics import median

import compute as programs
from commands import ROOT, Broken, binary, cargo_bench
from engines import Kind, Ours, Peer, Peers
from result import Figure, Result, Table, number
from say import note, step

MEGABYTE = 1_000_000


def fresh(peers: Peers, quick: bool) -> Result:
    """A fresh sandbox with a trivial task: Serpentarium and the peers in turn."""
    rounds, count = (3, 1000) if quick else (5, 4000)
    ours, started = Ours(), peers.started(lambda _: True)
    step(f"Fresh sandboxes, {rounds} rounds")
    times: dict[str, list[dict[str, float]]] = {}
    for turn in range(rounds):
        note(f"round {turn + 1} of {rounds}")
        times.setdefault(ours.name, []).append(ours.fresh(count))
        for kind, peer in started:
            if (
                measured := _or_nothing(peers, kind, peer, max(10, int(count * kind.share)))
            ) is not None:
                times.setdefault(kind.name, []).append(measured)
    middle = {
        name: {key: median(each[key] for each in all_rounds) for key in ("median", "p95")}
        for name, all_rounds in times.items()
    }
    base = middle[ours.name]["median"]
    rows = [
        [n, number(t["median"]), number(t["p95"]), number(t["median"] / base)]
        for n, t in middle.items()
    ]
    return Result(
        figures=[
            Figure(
                "fresh instance, trivial task, drop: median",
                middle[ours.name]["median"],
                "ms",
                0.18,
            ),
            Figure("the same, 95th percentile", middle[ours.name]["p95"], "ms", 0.35),
        ],
        tables=[
            Table(
                "A fresh sandbox with a trivial task",
                ["", "median ms", "p95 ms", "times ours"],
                rows,
            )
        ],
        raw={"milliseconds": middle},
    )


def _or_nothing(peers: Peers, kind: Kind, peer: Peer, count: int) -> dict[str, float] | None:
    try:
        return peer.fresh(count)
    except Broken as error:
        peers.drop(kind, str(error))
        return None


def flow(_: Peers, quick: bool) -> Result:
    """Tasks per second and latency through a real WebSocket; calls of a task."""
    step("Tasks through a WebSocket")
    raw = cargo_bench("throughput", "--only", "flow,calls", "--tasks", 2000 if quick else 8000)
    by_flight = {flight["inFlight"]: flight for flight in raw["flow"]}
    rows = [
        [str(f["inFlight"]), number(f["tasksPerSecond"]), number(f["p50Ms"]), number(f["p99Ms"])]
        for f in raw["flow"]
    ]
    figures = [
        *(
            Figure(f"tasks a second, {n} in flight", by_flight[n]["tasksPerSecond"], "", 4000, True)
            for n in (8, 64)
        ),
        Figure("latency at 1 in flight, median", by_flight[1]["p50Ms"], "ms", 0.6),
        Figure("latency at 1 in flight, 99th percentile", by_flight[1]["p99Ms"], "ms", 2),
    ]
    calls = f"{number(raw['calls']['p50Ms'])} / {number(raw['calls']['p99Ms'])} ms"
    tables = [
        Table("Tasks through a WebSocket", ["in flight", "tasks/s", "p50 ms", "p99 ms"], rows)
    ]
    return Result(
        figures,
        tables,
        raw,
        [f"a call of a task, there and back through the WebSocket, p50 / p99: {calls}"],
    )


def start(_: Peers, quick: bool) -> Result:
    """Time from the start of the process to registration and to the first answer."""
    step("Starts")
    raw = cargo_bench("throughput", "--only", "start")
    figures = [
        Figure("process start to registered", raw["start"]["registeredMs"], "ms", 25),
        Figure("process start to first task answered", raw["start"]["firstAnswerMs"], "ms", 80),
    ]
    return Result(figures, raw=raw)


def compute(peers: Peers, quick: bool) -> Result:
    """CPU-bound programs, next to native CPython 3.13 and the peers."""
    return programs.measure(peers, programs.Plan(3, 2) if quick else programs.Plan(8, 3))


def memory(_: Peers, quick: bool) -> Result:
    """Memory at rest, and per running task."""
    step("Memory")
    raw = cargo_bench("throughput", "--only", "memory", "--tasks", 2000 if quick else 8000)
    figures = [
        Figure(
            "runner and 2 workers at rest (PSS)",
            (raw["memory"]["parentPssMib"] + sum(raw["memory"]["workersPssMib"]))
            * 2**20
            / MEGABYTE,
            "MB",
            60,
        ),
        Figure(
            "private memory of a running trivial task", raw["memory"]["taskPrivateKib"], "KiB", 450
        ),
    ]
    return Result(figures, raw=raw)


def payload(_: Peers, quick: bool) -> Result:
    """Echoes of 5, 50 and 200 MB of items, and their memory."""
    step("Large items")
    raw = cargo_bench("throughput", "--only", "payload", "--largest", 50 if quick else 200)
    goals, keys = {5: 60, 50: 700}, ("echoMs", "parentPeakMib", "workerPeakMib")
    rows = [
        [f"{p['megabytes']} MB, {p['items']}", *(number(p[key]) for key in keys)]
        for p in raw["payload"]
    ]
    figures = [
        Figure(
            f"echo of {p['megabytes']} MB, {p['items']}", p["echoMs"], "ms", goals[p["megabytes"]]
        )
        for p in raw["payload"]
        if p["megabytes"] in goals
    ]
    header = ["there and back", "ms", "peak of the parent MiB", "peak of a worker MiB"]
    return Result(figures, [Table("Large items", header, rows)], raw)


def size(_: Peers, quick: bool) -> Result:
    """Size of the binary and of its image."""
    embedded = os.environ.get("SERPENTARIUM_BUILD_IMAGE")
    image = Path(embedded or ROOT / "wasm" / "build" / "python.cwasm")
    raw = {"binary": binary().stat().st_size}
    result = Result([Figure("the binary", raw["binary"] / MEGABYTE, "MB", 70)], raw=raw)
    if image.exists():
        raw["image"] = image.stat().st_size
        result.notes.append(f"of the binary, the image is {number(raw['image'] / MEGABYTE)} MB")
    return result


SECTIONS: dict[str, Callable[[Peers, bool], Result]] = {
    section.__name__: section for section in (fresh, flow, start, compute, memory, payload, size)
}
