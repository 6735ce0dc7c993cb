"""Checks a Python task runner against the cases in cases/. README.md documents their format."""

import argparse
import asyncio
import io
import logging
import sys
from fnmatch import fnmatch
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "servers"))

import report
from case import BadCase, Case, load_all
from play import Failure
from suite import Suite


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        usage="scripts/conformance [OPTIONS] [-- COMMAND [ARGUMENT]...]",
        description="Run the conformance cases of tests/conformance against a Python task runner, "
        "each over a real WebSocket.",
        epilog="Without COMMAND, build and run serpentarium. Exit codes: 0 every case passed, "
        "1 a case failed, 2 COMMAND is no runner or no case matches.",
    )
    option = parser.add_argument
    option(
        "--only",
        metavar="PATTERN",
        help="run cases whose theme or name contains PATTERN; * matches any characters",
    )
    option(
        "--slowest",
        metavar="MS",
        type=float,
        default=50,
        help="maximum time of a case beyond its waits, in milliseconds [default: 50]",
    )
    option(
        "--env",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="set a variable for every runner; repeatable",
    )
    option("--strict", action="store_true", help="count known differences as failures")
    option("--list", action="store_true", help="list the cases and exit")
    option("--json", action="store_true", help="print the outcomes as JSON")
    option("command", nargs="*", metavar="COMMAND", help="command that starts the runner")
    return parser.parse_args()


def is_wanted(case: Case, pattern: str | None) -> bool:
    if not pattern:
        return True
    texts = (case.theme, case.name)
    return any(fnmatch(text.lower(), f"*{pattern.lower()}*") for text in texts)


def main() -> int:
    options = arguments()
    try:
        everything = [case for cases in load_all().values() for case in cases]
    except BadCase as error:
        return fail(error)
    cases = [case for case in everything if is_wanted(case, options.only)]
    if not cases:
        return fail(f"no theme and no name contains '{options.only}'; --list shows all cases")
    if options.list:
        for case in cases:
            print(f"{case.theme}: {case.name}")
        return 0
    if not options.command:
        return fail("no command: name the runner to start, as in `-- COMMAND`")
    # A runner's output may be cut within a character.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    # The library logs each POST as a failed handshake.
    logging.disable()
    variables = dict(variable.split("=", 1) for variable in options.env)
    suite = Suite(options.command, variables, options.slowest / 1000)
    try:
        name = asyncio.run(suite.probe())
    except (Failure, OSError) as error:
        return fail(f"{' '.join(options.command)} is no runner: {error}")
    outcomes = asyncio.run(suite.run(cases))
    write = report.as_json if options.json else report.show
    write(outcomes, name, options.strict)
    failed = any(report.verdict(outcome, options.strict) == "failed" for outcome in outcomes)
    return 1 if failed else 0


def fail(error: object) -> int:
    print(f"error: {error}", file=sys.stderr)
    return 2


sys.exit(main())
