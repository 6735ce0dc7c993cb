"""What is known not to pass: `expected.toml`, and its comparison with a run.

Its tables:

- `reasons`: a short name, and the sentence that explains.
- `modules`: modules that are not run, each with a reason.
- `tests`: for each module its tests that fail, each with a reason. A name can be a pattern, such as
  `Class.*`. A reason that ends with `!` marks tests that are not even run, because they crash,
  never end or disturb others.
- `quick`: the modules of the fast part.
"""

import fnmatch
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from running import Failure, Ran


class ExpectationError(Exception):
    """`expected.toml` is wrong."""


@dataclass(frozen=True)
class Expected:
    """The content of `expected.toml`."""

    reasons: dict[str, str]
    modules: dict[str, str]
    tests: dict[str, dict[str, str]]
    # Modules of the fast part.
    quick: tuple[str, ...]

    @classmethod
    def load(cls, path: Path) -> "Expected":
        """Reads the file. Each reason must be explained and used."""
        data = tomllib.loads(path.read_text("utf-8"))
        found = cls(
            data["reasons"], data["modules"], data["tests"], tuple(data["quick"]["modules"])
        )
        used = {*found.modules.values()}
        for names in found.tests.values():
            used |= {reason.removesuffix("!") for reason in names.values()}
        if used != set(found.reasons):
            wrong = ", ".join(sorted(used ^ set(found.reasons)))
            raise ExpectationError(f"reasons that are unknown or unused: {wrong}")
        return found

    def without(self, module: str) -> list[str]:
        """Returns the patterns of tests that are not run."""
        names = self.tests.get(module, {})
        return [name for name, reason in names.items() if reason.endswith("!")]

    def unexplained(self, ran: Ran) -> list[Failure]:
        """Returns the failures of a module that no entry names."""
        return [one for one in ran.failures if not any(self._matching(ran.module, one.name))]

    def outdated(self, ran: Ran) -> list[str]:
        """Returns the entries of a module that no test of it matches any more."""
        names = self.tests.get(ran.module, {})
        failed = [one.name for one in ran.failures]
        return [
            name
            for name, reason in names.items()
            if not reason.endswith("!") and not fnmatch.filter(failed, name)
        ]

    def explained(self, ran: Ran) -> dict[str, int]:
        """Returns how many failures each reason explains."""
        counts: dict[str, int] = {}
        for one in ran.failures:
            for reason in self._matching(ran.module, one.name):
                counts[reason] = counts.get(reason, 0) + 1
                break
        return counts

    def _matching(self, module: str, name: str) -> Iterator[str]:
        for pattern, reason in self.tests.get(module, {}).items():
            if fnmatch.fnmatchcase(name, pattern):
                yield reason
