"""Runs files of tests as tasks."""

import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
SITE = "/usr/lib/python3.13/site-packages"
LIMITS = ["--timeout", "30m", "--memory", "3GiB"]
# Marks of pandas: tests that need a network, a database or minutes.
MARKS = "not slow and not network and not db and not single_cpu"
# Tests of one file that may end their task.
MOST_ENDS = 12


@dataclass(frozen=True)
class Result:
    """`outcome` is passed, failed, skipped or ended: the test ended its task."""

    outcome: str
    text: str = ""


@dataclass
class _Seen:
    """What a task printed about its tests."""

    results: dict[str, Result] = field(default_factory=dict)
    running: str | None = None

    def read(self, lines: list[str]) -> None:
        """Reads the lines of the task."""
        for line in lines:
            kind, _, rest = line.partition(" ")
            if kind == "start":
                self.running = rest
            elif kind in ("passed", "failed", "skipped", "ended"):
                test, _, text = rest.partition("\t")
                # A failure of a fixture's end comes after the outcome of the test.
                if self.results.get(test, Result("passed")).outcome == "passed":
                    self.results[test] = Result(kind, text)


@dataclass(frozen=True)
class Runner:
    """Runs tests with a program on an image.

    `package` are the files of the package, `ending` patterns of tests that end their task.
    """

    program: Path
    image: Path
    package: Path
    ending: list[str]

    def run(self, file: str) -> dict[str, Result]:
        """Returns the outcomes of the tests in a file, by their names."""
        seen = _Seen()
        for _ in range(MOST_ENDS):
            done = self._task(file, list(seen.results))
            seen.running = None
            seen.read(done.stdout.splitlines())
            if done.returncode == 0:
                return seen.results
            why = done.stderr.strip().replace("\n", " | ")[-300:]
            if seen.running is None or seen.running in seen.results:
                return seen.results | {file: Result("ended", why)}
            seen.results[seen.running] = Result("ended", why)
        return seen.results | {file: Result("ended", "too many tests ended their task")}

    def _task(self, file: str, known: list[str]) -> subprocess.CompletedProcess[str]:
        text = (HERE / "inside.py").read_text(encoding="utf-8")
        text += f"\nreturn main({['-m', MARKS, file]!r}, {known!r}, {self.ending!r})\n"
        with tempfile.NamedTemporaryFile("w", suffix=".py", encoding="utf-8") as program:
            program.write(text)
            program.flush()
            given = ["--file", f"{self.package}:{SITE}/{self.package.name}"]
            command = [str(self.program), "exec", "--image", str(self.image), *LIMITS, *given]
            command.append(program.name)
            return subprocess.run(command, capture_output=True, text=True, check=False)
