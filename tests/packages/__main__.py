"""Runs the test suites of numpy and pandas in the data image, a task for each file of tests.

python3 tests/packages --program FILE --image FILE --sources DIRECTORY [--only PATTERN]

`sources` has a directory for each package, as its source archive has it. A failure without a reason
in NAME.toml is an error.
"""

import argparse
import fnmatch
import json
import os
import sys
import time
import tomllib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from sandboxed import Result, Runner

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Golden:
    """What is known of a package's tests: patterns of their names, each with a reason.

    `ending` are the tests that end their task, `omitted` the files that are left out.
    """

    failures: dict[str, str]
    ending: dict[str, str]
    omitted: dict[str, str]

    @classmethod
    def read(cls, package: str) -> "Golden":
        """Reads NAME.toml. Names of tests have brackets, which are no sets of characters."""
        data = tomllib.loads((HERE / f"{package}.toml").read_text(encoding="utf-8"))

        def patterns(kind: str) -> dict[str, str]:
            groups = data.get(kind, [])
            pairs = ((test, one["reason"]) for one in groups for test in one["tests"])
            return {test.replace("[", "[[]"): reason for test, reason in pairs}

        return cls(patterns("failure"), patterns("ending"), patterns("omitted"))

    def reason(self, test: str) -> str | None:
        """The reason why a test fails."""
        return _first(test, {**self.failures, **self.ending})

    def is_omitted(self, file: str) -> bool:
        """Whether the tests of a file are left out."""
        return _first(file, self.omitted) is not None


def _first(name: str, patterns: dict[str, str]) -> str | None:
    found = (reason for each, reason in patterns.items() if fnmatch.fnmatchcase(name, each))
    return next(found, None)


def files_of(sources: Path, package: str, only: str) -> list[str]:
    """The files of tests, by their paths below `sources`."""
    paths = (sources / package).rglob("test_*.py")
    found = (path.relative_to(sources).as_posix() for path in paths)
    return sorted(path for path in found if "/tests/" in path and fnmatch.fnmatch(path, only))


def checked(package: str, golden: Golden, results: dict[str, Result]) -> bool:
    """Prints a summary and unknown failures. Returns whether there are none."""
    counts = Counter(result.outcome for result in results.values())
    bad = {test: one for test, one in results.items() if one.outcome in ("failed", "ended")}
    new = {test: one for test, one in bad.items() if golden.reason(test) is None}
    for test, one in sorted(new.items()):
        print(f"{one.outcome} {test}\n    {one.text}")
    ran = counts["passed"] + len(bad)
    share = 100 * counts["passed"] / max(ran, 1)
    print(
        f"{package}: {ran} tests ran, {counts['passed']} passed ({share:.2f} %), {len(bad)} "
        f"failed, {len(new)} of them without a known reason; {counts['skipped']} skipped"
    )
    groups = Counter(golden.reason(test) for test in bad)
    for reason, count in groups.most_common():
        print(f"    {count:5} {reason or 'unknown'}")
    return not new


def main() -> int:
    """Runs the tests; returns 1 if one fails without a reason."""
    parser = argparse.ArgumentParser(prog="test-packages", description=__doc__)
    for option in ("program", "image", "sources"):
        parser.add_argument(f"--{option}", required=True, type=Path)
    parser.add_argument("--package", action="append", choices=["numpy", "pandas"])
    parser.add_argument("--only", default="*", metavar="PATTERN", help="files to run")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="run each Nth file")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N")
    parser.add_argument("--report", type=Path, help="write all outcomes as JSON")
    options = parser.parse_args()
    good = True
    report: dict[str, object] = {}
    for package in options.package or ["numpy", "pandas"]:
        golden = Golden.read(package)
        files = files_of(options.sources, package, options.only)
        wanted = [file for file in files if not golden.is_omitted(file)][:: options.every]
        ending = list(golden.ending)
        runner = Runner(options.program, options.image, options.sources / package, ending)
        results: dict[str, Result] = {}

        def run(file: str, runner: Runner = runner) -> tuple[str, dict[str, Result], float]:
            begin = time.monotonic()
            return file, runner.run(file), time.monotonic() - begin

        with ThreadPoolExecutor(max_workers=options.jobs) as pool:
            for file, found, seconds in pool.map(run, wanted):
                counts = dict(Counter(one.outcome for one in found.values()))
                print(f"{seconds:6.1f} s  {file}  {counts}", file=sys.stderr, flush=True)
                results |= found
                report |= {test: (one.outcome, one.text) for test, one in found.items()}
                if options.report:
                    options.report.write_text(json.dumps(report, indent=0), encoding="utf-8")
        good = checked(package, golden, results) and good
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
