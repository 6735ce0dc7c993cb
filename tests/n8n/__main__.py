"""Runs workflows of a real n8n through our runner."""

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
        description="Install a real n8n from npm, start it on this machine, and run workflows with Python code through "
        "`serpentarium runner`. Ends with 0 when all cases pass, 1 when one fails, 2 when nothing could be run.",
        epilog="n8n and its Node.js are kept in $XDG_CACHE_HOME/serpentarium (default: ~/.cache), about 2 GB.",
    )
    parser.add_argument(
        "--only", metavar="PATTERN", help="run the cases in whose `group: name` this regex is found"
    )
    parser.add_argument("--json", action="store_true", help="print the outcomes as JSON")
    parser.add_argument("--list", action="store_true", help="print the cases, and run none")
    parser.add_argument(
        "--n8n",
        metavar="VERSION",
        default=N8N_VERSION,
        help="the n8n to test with (default: %(default)s)",
    )
    parser.add_argument("--runner", metavar="FILE", type=Path, default=ROOT / "target/release/serpentarium",
                        help="the binary to test (default: target/release/serpentarium)")  # fmt: skip
    parser.add_argument(
        "--logs", metavar="FOLDER", type=Path, help="keep the logs of n8n and the runner here"
    )
    return parser.parse_args()


def chosen(pattern: str | None) -> Iterator[tuple[str, str, Run]]:
    """Group, name and action of the cases to run."""
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
    """Installs, starts, runs, stops."""
    cases = list(chosen(options.only))
    if options.list or not cases:
        print(
            "\n".join(f"{group}: {name}" for group, name, _ in cases)
            or f"no case matches {options.only!r}"
        )
        return 0 if cases else 2
    if not options.runner.is_file():
        raise RuntimeError(
            f"there is no runner {options.runner}; build it with `cargo build --release`"
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
    """The exit code."""
    options = arguments()
    # Ends as Ctrl-C does: through every `finally`, which stop what was started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return perform(options, Report(options.json))
    except KeyboardInterrupt:
        return 130
    except re.error as error:
        print(f"error: --only {options.only!r} is no regular expression: {error}", file=sys.stderr)
        return 2
    except (InstallError, ApiError, Timeout, RuntimeError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
