"""Encoding of exceptions."""

import unittest
from traceback import StackSummary
from unittest.mock import patch

from _serpentarium.core import errors
from guest import run_all


class ErrorsTest(unittest.TestCase):
    def test_an_exception_is_reported_with_text_line_and_traceback(self) -> None:
        error = run_all("def f():\n    return {}['x']\n\nf()").error
        self.assertEqual((error["message"], error["lineNumber"]), ("KeyError: 'x'", 2))
        self.assertIn("  File \"<code>\", line 2, in f\n    return {}['x']\n", error["description"])
        self.assertTrue(error["description"].endswith("KeyError: 'x'"))

    def test_messages(self) -> None:
        for code, message in (
            ("raise ValueError", "ValueError"),
            ("raise KeyboardInterrupt", "KeyboardInterrupt"),
            ("class E(Exception):\n    def __str__(self): 1 / 0\nraise E('x')", "E"),
            (
                "class E(Exception):\n    __class__ = property(lambda self: 1 / 0)\nraise E('hi')",
                "hi",
            ),
            ("raise MemoryError", "MemoryError"),
        ):
            with self.subTest(code):
                self.assertEqual(run_all(code).error["message"], message)

    def test_an_exit_with_a_failure_says_what_to_do(self) -> None:
        for code, begin in (
            ("import sys\nsys.exit(3)", "Process exited with code 3"),
            ("raise SystemExit('bye')", "Process exited with code 1"),
        ):
            message = run_all(code).error["message"]
            self.assertTrue(message.startswith(f"{begin}\nHint: Use `return`"), message)
        description = run_all("import sys\nsys.exit('bye')").error["description"]
        self.assertTrue(description.startswith("bye\nHint: Use `return`"), description)

    def test_only_the_users_own_frames_are_shown(self) -> None:
        code = (
            "import json\ntry: json.loads('{')\n"
            "except ValueError as e: raise RuntimeError('bad') from e"
        )
        error = run_all(code).error
        self.assertNotIn("decoder.py", error["description"])
        self.assertIn("direct cause", error["description"])
        self.assertEqual(error["lineNumber"], 3)

    def test_texts_are_bounded(self) -> None:
        error = run_all("raise ValueError('x' * 1_000_000)").error
        self.assertTrue(error["message"].endswith("… truncated"))
        self.assertLess(len(error["message"]) + len(error["description"]), 140_000)
        chain = (
            "e = None\nfor i in range(3000):\n"
            "    n = ValueError(i)\n    n.__context__ = e\n    e = n\nraise e"
        )
        self.assertTrue(run_all(chain).error["description"].endswith("ValueError: 2999"))

    def test_user_code_sees_its_own_lines(self) -> None:
        code = (
            "import traceback\ntry:\n    1 / 0\n"
            "except ZeroDivisionError:\n    return traceback.format_exc()"
        )
        self.assertIn("    1 / 0\n", run_all(code).result)

    def test_a_report_leaves_the_library_unchanged(self) -> None:
        before = dict(vars(StackSummary))
        chain = "try: 1 / 0\nexcept ZeroDivisionError as e: raise ExceptionGroup('x', [e]) from e"
        self.assertEqual(run_all(chain).error["description"].count("1 / 0"), 2)
        self.assertEqual(dict(vars(StackSummary)), before)

    def test_a_repeated_frame_is_formatted_once(self) -> None:
        with patch.object(errors, "_format_frame", wraps=errors._format_frame) as formats:
            error = run_all("def f():\n    f()\nf()").error
        self.assertIn("[Previous line repeated", error["description"])
        self.assertEqual(formats.call_count, 2)


if __name__ == "__main__":
    unittest.main()
