"""The notifications around the measured code."""

from collections.abc import Callable

from _serpentarium.abi import BEGIN, END
from _serpentarium.core import wire


def begin() -> None:
    """Notifies the host that the measured code begins."""
    wire.notify_host(BEGIN, "0")


def end() -> None:
    """Notifies the host that the measured code has ended."""
    wire.notify_host(END, "0")


def spanned(function: Callable[[], object]) -> Callable[[], object]:
    """Wraps a function so that each call is measured."""

    def call() -> object:
        begin()
        try:
            return function()
        finally:
            end()

    return call
