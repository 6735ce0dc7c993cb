"""The value of a last expression as the result."""

import unittest
from typing import Any

from _serpentarium.core.last import drops_value
from guest import Reply, run_all, run_each, run_program

LAST: dict[str, Any] = {"serpentarium": {"last": True}}


def run(code: str, **more: Any) -> Reply:
    return run_program(code, **LAST, **more)


class LastTest(unittest.TestCase):
    def test_a_last_expression_is_the_result(self) -> None:
        for code, expected in (
            ("x = [1, 2, 3]\nsum(x)", 6),
            ("'only a text'", "only a text"),
            ("1; 2", 2),
            ("def f(): return 7\nf()", 7),
            ("(1,\n 2)  # a comment", [1, 2]),
            ("import asyncio\nasync def f(): return 5\nawait f()", 5),
            ("from __future__ import annotations\n'a'", "a"),
            ("    a = 1\n    a + 1", 2),
            ("print('x')", None),
            ("input['n']", 3),
        ):
            with self.subTest(code):
                self.assertEqual(run(code, input={"n": 3}).result, expected)

    def test_other_ends_have_no_value(self) -> None:
        for code in ("x = 1", "if True:\n    5", "for i in 'ab': i", "", "# nothing", "5\npass"):
            with self.subTest(code):
                self.assertIsNone(run(code).result)

    def test_code_with_its_own_return_is_unchanged(self) -> None:
        for code, expected in (
            ("if 1:\n    return 'early'\n2", "early"),
            ("for i in ():\n    return 1\n2", None),
            ("try:\n    return 1\nexcept OSError: pass\n2", 1),
            ("match 1:\n    case 2: return 3\n4", None),
        ):
            with self.subTest(code):
                self.assertEqual(run(code).result, expected)

    def test_without_the_setting_the_value_is_dropped(self) -> None:
        settings: tuple[dict[str, Any], ...] = (
            {},
            {"serpentarium": {"last": False}},
            {"serpentarium": {}},
        )
        for more in settings:
            self.assertIsNone(run_program("1 + 1", **more).result)

    def test_errors_keep_their_lines(self) -> None:
        error = run("x = 1\n\nx / 0").error
        self.assertEqual((error["message"], error["lineNumber"]), ("division by zero", 3))

    def test_it_applies_to_tasks_of_n8n_and_beside_a_policy(self) -> None:
        self.assertEqual(run_all("len(_items)", [{}, {}], **LAST).result, 2)
        [first, _] = run_each("{'m': _item['json']['n']}", [{"n": 1}, {"n": 2}], **LAST).result
        self.assertEqual(first, {"json": {"m": 1}, "pairedItem": {"item": 0}})
        both = {"serpentarium": {"last": True, "policy": {"stdlibAllow": []}}}
        self.assertEqual(run_program("3", **both).result, 3)
        self.assertIn("Security", run_program("import os\n3", **both).error["message"])

    def test_a_dropped_value_is_noticed(self) -> None:
        for code, dropped in (
            ("sum([1])", True),
            ("x = 1\nx", True),
            ("main()", True),
            ("await f()", True),
            ("x = 1", False),
            ("return 1", False),
            ("if x: return\ny", False),
            ("import sys\nsys.exit(main())", False),
            ("exit()", False),
            ("quit(0)", False),
            ("", False),
        ):
            with self.subTest(code):
                self.assertIs(drops_value(code), dropped)


if __name__ == "__main__":
    unittest.main()
