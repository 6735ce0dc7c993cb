"""Tests of hints: the hint of a failed task, and the modules of the image."""

import sys
import unittest
from collections.abc import Iterable
from typing import Any
from unittest.mock import patch

from _serpentarium.core.hints import modules
from guest import Reply, run_all

# (code, parts of the hint)
Case = tuple[str, tuple[str, ...]]


def hint_of(reply: Reply) -> str:
    """The hint of a failed task, which message and traceback end in; empty without one."""
    error = reply.error
    message = error["message"]
    _, mark, hint = error.get("description", message).rpartition("\nHint: ")
    if not mark:
        assert "Hint: " not in message, error
        return ""
    # The message of a violation is n8n's alone.
    assert message.startswith("Security violation") or message.endswith(mark + hint), error
    return str(hint)


def missing(name: str) -> str:
    """The import of a module that the machine's own Python may have."""
    return f"raise ModuleNotFoundError(\"No module named '{name}'\", name='{name}')"


class HintTest(unittest.TestCase):
    """Compares hints with the parts that they must contain."""

    def check(self, cases: Iterable[Case], items: Any = (), **more: Any) -> None:
        for code, parts in cases:
            with self.subTest(code):
                hint = hint_of(run_all(code, items, **more))
                for part in parts:
                    self.assertIn(part, hint)
                if not parts:
                    self.assertEqual(hint, "")


class ImageTest(HintTest):
    """Tests that need the modules of the image, not those of the machine's own Python."""

    def setUp(self) -> None:
        absent = {*modules.CANNOT_HAVE, *modules.REMOVED}
        stdlib = sys.stdlib_module_names - absent
        replacements: tuple[tuple[str, Any], ...] = (
            ("_loaded", {}),
            ("_builtin", frozenset()),
            ("_find_frozen", lambda name: True if name in stdlib else None),
        )
        for name, value in replacements:
            replaced = patch.object(modules, name, value)
            replaced.start()
            self.addCleanup(replaced.stop)


def run_exec(code: str, items: Any = ()) -> Reply:
    """Runs `code` as `serpentarium exec` does."""
    return run_all(code, items, printMode="text")
