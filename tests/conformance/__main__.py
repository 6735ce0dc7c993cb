"""Holds a task runner for Python to the cases in cases/. README.md says how to write one."""

import argparse
import asyncio
import logging
import sys
from fnmatch import fnmatch
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "servers"))

import report
from case import BadCase, load_all
from play import Failure
from suite import Suite


def arguments():
    parser = argparse.ArgumentParser(
        usage="scripts/conformance [OPTIONS] [-- COMMAND [ARGUMENT]...]",
        description="Runs the conformance cases of tests/conformance against a Python task runner, each over a real WebSocket.",
        epilog="Without a command, serpentarium is built and run. Exit codes: 0 all well, 1 a case failed, "
        "2 the command is no runner or there are no such cases.",
    )
    option = parser.add_argument
    option(
        "--only",
        metavar="PATTERN",
        help="only cases whose theme or name holds this, * for anything",
    )
    option(
        "--slowest",
        metavar="MS",
        type=float,
        default=50,
        help="the most a case may take beyond its waits [50]",
    )
    option(
        "--env",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="a variable for every runner; repeatable",
    )
    option("--strict", action="store_true", help="known differences of other runners are failures")
    option("--list", action="store_true", help="list the cases and end")
    option("--json", action="store_true", help="write the outcomes as JSON")
    option("command", nargs="*", metavar="COMMAND", help="the runner's command")
    return parser.parse_args()


def is_wanted(case, pattern):
    return not pattern or any(
        fnmatch(text.lower(), f"*{pattern.lower()}*") for text in (case.theme, case.name)
    )


def main():
    given = arguments()
    try:
        cases = [
            case for cases in load_all().values() for case in cases if is_wanted(case, given.only)
        ]
    except BadCase as error:
        return fail(error)
    if not cases:
        return fail(f"no case has '{given.only}' in its theme or name; --list shows them all")
    if given.list:
        for case in cases:
            print(f"{case.theme}: {case.name}")
        return 0
    if not given.command:
        return fail("no command; say which runner to start: -- COMMAND")
    # A runner may say half a character.
    sys.stdout.reconfigure(errors="backslashreplace")
    # The library takes the connection of a POST for a broken handshake, and says so.
    logging.disable()
    variables = dict(variable.split("=", 1) for variable in given.env)
    suite = Suite(given.command, variables, given.slowest / 1000)
    try:
        name = asyncio.run(suite.probe())
    except (Failure, OSError) as error:
        return fail(f"{' '.join(given.command)} is no runner: {error}")
    outcomes = asyncio.run(suite.run(cases))
    write = report.as_json if given.json else report.show
    write(outcomes, name, given.strict)
    return (
        1 if any(report.verdict(outcome, given.strict) == "failed" for outcome in outcomes) else 0
    )


def fail(error):
    print(f"error: {error}", file=sys.stderr)
    return 2


sys.exit(main())
