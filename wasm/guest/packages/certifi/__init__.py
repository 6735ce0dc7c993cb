"""Root certificates. The host has its own, so there is no file of them here."""

__version__ = "2026.11.30"


def where() -> str:
    """Returns a file that exists, and is empty: nothing reads it."""
    return "/dev/null"


def contents() -> str:
    """Returns no certificates."""
    return ""
