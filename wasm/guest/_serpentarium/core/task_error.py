"""The failures that this package reports in its own words."""

from _serpentarium.abi import MESSAGE


class TaskError(Exception):
    """A failure whose report shows a message of this package instead of a traceback."""

    def details(self, line: int | None) -> dict[str, object]:
        """Returns the members of the reply's `error`. `line` is that of the code, if it has run."""
        return {MESSAGE: str(self)}


class Circular(TaskError):
    """A value that contains itself."""

    def __init__(self, what: str = "Result") -> None:
        super().__init__(f"{what} contains a circular reference")
