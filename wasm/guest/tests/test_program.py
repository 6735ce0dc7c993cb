"""Programs: settings without n8n's keys."""

import unittest
from typing import Any

from guest import run_settings


class ProgramTest(unittest.TestCase):
    def test_the_input_is_a_global_name(self) -> None:
        values: tuple[Any, ...] = (None, 1, "a", [1, {"b": None}], {})
        for value in values:
            with self.subTest(value):
                reply = run_settings({"code": "return input", "input": value})
                self.assertEqual(reply.value, {"result": value})

    def test_without_an_input_the_name_is_the_builtin(self) -> None:
        code = "import builtins\nreturn input is builtins.input"
        self.assertTrue(run_settings({"code": code}).result)

    def test_a_program_prints_plain_text(self) -> None:
        reply = run_settings({"code": "print('a', [1])\nprint('b', end='')"})
        self.assertEqual((reply.result, reply.stdout), (None, "a [1]\nb"))

    def test_a_program_has_no_names_of_n8n(self) -> None:
        for name in ("_items", "_item", "_query", "_input", "_node", "_helpers", "_now"):
            with self.subTest(name):
                reply = run_settings({"code": f"return {name}"})
                self.assertEqual(reply.message, f"name '{name}' is not defined")

    def test_a_program_needs_its_code(self) -> None:
        for settings, message in (
            ({}, "Missing field in task settings message: 'code'"),
            ({"input": 1}, "Missing field in task settings message: 'code'"),
            ({"code": 1}, "Missing field in task settings message: 'nodeMode'"),
        ):
            with self.subTest(settings):
                self.assertEqual(run_settings(settings).error, {"message": message})

    def test_a_program_that_fails_has_its_line(self) -> None:
        error = run_settings({"code": "x = 1\n1 / 0"}).error
        self.assertEqual((error["message"], error["lineNumber"]), ("division by zero", 2))
        self.assertNotIn("context", error)


if __name__ == "__main__":
    unittest.main()
