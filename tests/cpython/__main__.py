"""Runs CPython's own tests inside the sandbox, and compares the failures with `expected.toml`.

    python3 -B tests/cpython --program BIN [--quick | NAME…]

The tests are those of the source archive that the image is built from. Exit code: 0 if each failure
is expected and each expected failure occurs, 1 otherwise.
"""

import argparse
import json
import os
import sys
import time
from dataclasses import asdict
from fnmatch import fnmatchcase
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[1:1] = [str(ROOT / "wasm" / "recipe")]

from expected import ExpectationError, Expected  # noqa: E402
from inputs import Fetcher, load  # noqa: E402
from report import BuildError  # noqa: E402
from running import Ran, Runner, run_all  # noqa: E402
from sources import unpack  # noqa: E402
from store import Store, hash_of  # noqa: E402
from suite import Suite  # noqa: E402
from toolchain import prepare  # noqa: E402

EXPECTED = Path(__file__).with_name("expected.toml")
# Limits of one module: the slowest takes a quarter of them.
SECONDS = 200
MEMORY = "1GiB"


def arguments() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(prog="scripts/test-cpython", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("names", nargs="*", help="modules, or patterns such as 'test_asyncio.*'")
    parser.add_argument("--program", type=Path, required=True, help="the program serpentarium")
    parser.add_argument("--quick", action="store_true", help="the fast part, as in CI")
    parser.add_argument("--json", type=Path, help="a file for all results")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    return parser.parse_args()


def tests() -> Suite:
    """Returns the tests of the pinned source archive, with Debian's corrections of them."""
    store = Store.for_user()
    fetcher = Fetcher(store)
    inputs = fetcher.settle(load(ROOT / "wasm" / "recipe" / "inputs.toml"), locked=False)
    toolchain, _ = prepare(store, inputs, fetcher)
    source = inputs.source("python")

    def everything(_path: str) -> bool:
        # A correction may concern no test.
        return True

    def build(directory: Path) -> None:
        unpack(source, directory / "py", everything, fetcher, toolchain, store.log("tests"))

    directory = store.stage("tests", hash_of(source), build)
    return Suite(directory / "py" / "Lib" / "test")


def select(names: list[str], modules: list[str]) -> list[str]:
    """Returns the modules that a name or a pattern selects; all without names."""
    unknown = [name for name in names if not any(fnmatchcase(one, name) for one in modules)]
    if unknown:
        sys.exit(f"error: CPython has no such test module: {', '.join(unknown)}")
    return [one for one in modules if not names or any(fnmatchcase(one, name) for name in names)]


def line(ran: Ran, expected: Expected) -> str:
    """Returns a module's line of the table."""
    unexplained, outdated = len(expected.unexplained(ran)), expected.outdated(ran)
    known = len(ran.failures) - unexplained
    notes = ran.absent or ""
    if unexplained or outdated:
        notes = f"UNEXPECTED: {unexplained} failures, {len(outdated)} outdated entries"
    counts = f"{ran.ran:6} {ran.skipped:7} {known + ran.left_out:6} {ran.seconds:6.1f}"
    return f"{ran.module:44} {counts}  {notes}".rstrip()


def complain(done: list[Ran], expected: Expected) -> int:
    """Prints what differs from the expectation. Returns the number of differences."""
    differences = 0
    for ran in done:
        for failure in expected.unexplained(ran):
            differences += 1
            print(f"\n{ran.module}: {failure.name or '(the module)'}: {failure.kind}")
            print("    " + failure.text.strip().replace("\n", "\n    "))
        for name in expected.outdated(ran):
            differences += 1
            print(f"\n{ran.module}: {name}: passes or is gone: delete it from {EXPECTED.name}")
    return differences


def summary(done: list[Ran], expected: Expected) -> dict[str, object]:
    """Returns the totals."""
    reasons: dict[str, int] = {}
    for ran in done:
        for reason, count in expected.explained(ran).items():
            reasons[reason] = reasons.get(reason, 0) + count
    return {
        "modules": sum(ran.ran > 0 for ran in done),
        "absent": sum(ran.absent is not None for ran in done),
        "tests": sum(ran.ran for ran in done),
        "skipped": sum(ran.skipped for ran in done),
        "leftOut": sum(ran.left_out for ran in done),
        "expectedFailures": dict(sorted(reasons.items())),
        "unexplained": sum(len(expected.unexplained(ran)) for ran in done),
    }


def main() -> int:
    """Runs the modules; returns the exit status."""
    options = arguments()
    try:
        expected, suite = Expected.load(EXPECTED), tests()
    except (BuildError, ExpectationError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    chosen = select(options.names, suite.modules())
    if options.quick:
        chosen = select(list(expected.quick), chosen)
    plan = {name: expected.without(name) for name in chosen if name not in expected.modules}
    begin = time.monotonic()
    print(f"{'module':44} {'tests':>6} {'skipped':>7} {'known':>6} {'time':>6}")
    runner = Runner(options.program.resolve(), SECONDS, MEMORY)
    done = run_all(
        runner, suite, plan, options.jobs, lambda ran: print(line(ran, expected), flush=True)
    )
    differences = complain(done, expected)
    totals = summary(done, expected)
    if options.json:
        data = {"summary": totals, "modules": [asdict(ran) for ran in done]}
        options.json.write_text(json.dumps(data, indent=1), "utf-8")
    print(f"\n{totals['modules']} modules ran {totals['tests']} tests, of which", end=" ")
    print(f"{totals['skipped']} were skipped; {totals['leftOut']} known tests were left out")
    for name, count in dict(sorted(totals["expectedFailures"].items())).items():  # type: ignore[attr-defined]
        print(f"{count:6} failures: {expected.reasons[name]}")
    print(f"{differences} differences from {EXPECTED.name}, in {time.monotonic() - begin:.0f} s")
    return 1 if differences else 0


sys.exit(main())
