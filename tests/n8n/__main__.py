"""Runs workflows of a real n8n with `serpentarium runner`."""

import argparse
import re
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from api import ApiError
from case import Failure
from cases import DATA, LIFE
from install import N8N_VERSION, InstallError, install
from processes import Timeout
from report import Outcome, Report
from stage import Stage

ROOT = Path(__file__).resolve().parents[2]
Run = Callable[[Stage], None]


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="test-n8n",
        description="Install n8n from npm, start it on this machine, and run workflows with Python "
        "code through `serpentarium runner`. Exit codes: 0 every case passed, 1 a case failed, "
        "2 no case could run.",
        epilog="n8n and its Node.js stay in $XDG_CACHE_HOME/serpentarium (default: ~/.cache), "
        "about 2 GB.",
    )
    parser.add_argument(
        "--only",
        metavar="PATTERN",
        help="run the cases whose `group: name` contains a match of this regular expression",
    )
    parser.add_argument("--json", action="store_true", help="print the outcomes as JSON")
    parser.add_argument("--list", action="store_true", help="list the cases and exit")
    parser.add_argument(
        "--n8n",
        metavar="VERSION",
        default=N8N_VERSION,
        help="version of n8n (default: %(default)s)",
    )
    parser.add_argument(
        "--runner",
        metavar="FILE",
        type=Path,
        default=ROOT / "target/release/serpentarium",
        help="binary to test (default: target/release/serpentarium)",
    )
    parser.add_argument(
        "--logs",
        metavar="FOLDER",
        type=Path,
        help="write the logs of n8n and the runner to this folder",
    )
    return parser.parse_args()


def chosen(pattern: str | None) -> Iterator[tuple[str, str, Run]]:
    """Group, name and action of the matching cases."""
    wanted = re.compile(pattern or "", re.IGNORECASE)
    for group, cases in DATA.items():
        for case in cases:
            if wanted.search(f"{group}: {case.name}"):
                yield group, case.name, case.run
    for action in LIFE:
        name = (action.__doc__ or "").rstrip(".")
        if wanted.search(f"life: {name}"):
            yield "life", name, action


def attempt(group: str, name: str, action: Run, stage: Stage) -> Outcome:
    """Runs one case."""
    begin = time.monotonic()
    failure = None
    try:
        action(stage)
    except (Failure, ApiError, Timeout, OSError) as error:
        failure = str(error) or type(error).__name__
    return Outcome(group, name, round((time.monotonic() - begin) * 1000), failure)


def perform(options: argparse.Namespace, report: Report) -> int:
    """Installs and starts n8n, runs the cases, stops everything. Returns the exit code."""
    cases = list(chosen(options.only))
    if options.list or not cases:
        print(
            "\n".join(f"{group}: {name}" for group, name, _ in cases)
            or f"no case matches {options.only!r}"
        )
        return 0 if cases else 2
    if not options.runner.is_file():
        raise RuntimeError(
            f"no file {options.runner}: build the runner with `cargo build --release`"
        )
    installed = install(options.n8n, report.say)
    with tempfile.TemporaryDirectory(prefix="serpentarium-n8n-") as folder:
        stage = Stage(installed, options.runner, Path(folder), options.logs)
        try:
            report.say(f"Starting n8n {installed.version}")
            stage.start()
            report.say(f"Running {len(cases)} cases")
            for group, name, action in cases:
                report.add(attempt(group, name, action, stage))
        finally:
            stage.close()
    return report.finish()


def main() -> int:
    """Returns the exit code."""
    options = arguments()
    # Unwinds as Ctrl-C does, so every `finally` stops its processes.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return perform(options, Report(options.json))
    except KeyboardInterrupt:
        return 130
    except re.error as error:
        print(
            f"error: --only {options.only!r} is not a regular expression: {error}", file=sys.stderr
        )
        return 2
    except (InstallError, ApiError, Timeout, RuntimeError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
