"""Checks all artefacts of a release with the programs that this machine has."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from releasing import check, check_image
from releasing.artefacts import Names
from releasing.build import Machine
from releasing.project import Build, Project
from releasing.recipe import BuildError, say, step

# What a person in an empty directory does first.
DEMO = "demo"


def verify(project: Project, out: Path, builds: Sequence[tuple[Build, Machine]]) -> None:
    """Uses each artefact in `out` as its users do; raises `BuildError` if one does not work."""
    names = Names(project)
    for one, machine in builds:
        with _work(f"Unpacking {names.archive(one)}, and running its {DEMO}") as work:
            directory = check.archive(out / names.archive(one), work)
            machine.output(directory / "bin" / one.target.program, DEMO)
        if not machine.is_native:
            say(f"    other artefacts for {one.target.triple} are not run here")
            continue
        with _work(f"Installing {names.wheel(one)}") as work:
            check.wheel(out / names.wheel(one), work)
        with _work(f"Installing {names.deb(one)}, and purging it") as work:
            _or_say(check.deb, "dpkg", project, out / names.deb(one), work)
        with _work(f"Running {names.image}, without rights in a read-only root") as work:
            check_image.runs(out / names.image, work)
        packages = [out / names.npm(other) for other, _ in builds]
        with _work(f"Installing {names.chooser} and its packages") as work:
            _or_say(check.npm, "npm", out / names.chooser, packages, work)
    with step("Examining the service"):
        _or_say(check.service, "systemd-analyze")


def _or_say(do: Callable[..., bool], tool: str, *arguments: object) -> None:
    if not do(*arguments):
        say(f"    not checked: this machine has no {tool}")


@contextmanager
def _work(title: str) -> Iterator[Path]:
    """A step with a directory of its own."""
    with step(title), tempfile.TemporaryDirectory(prefix="serpentarium-release-") as work:
        # Users other than root look into it.
        Path(work).chmod(0o755)
        try:
            yield Path(work)
        except OSError as error:
            raise BuildError(f"  {error}") from error
