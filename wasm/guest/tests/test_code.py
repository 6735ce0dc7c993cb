"""From text to a function."""

import unittest

from guest import run_all, run_settings


class CodeTest(unittest.TestCase):
    def test_code_is_the_body_of_a_function(self) -> None:
        for code, expected in (
            ("return 1", 1),
            ("", None),
            ("# only a comment", None),
            ("'only a text'", None),
            ("if True:\n    return 'early'\nreturn 'late'", "early"),
            ("x = 1\ndef f():\n    nonlocal x\n    x += 1\nf()\nreturn x", 2),
            ("global q\nq = 3\nreturn globals()['q']", 3),
            ("def g():\n    yield 1\nreturn [*g()]", [1]),
            ("from __future__ import annotations\ndef f(x: nope): pass\nreturn f.__annotations__", {"x": "nope"}),
            ("'''text'''\nfrom __future__ import annotations, division\nreturn 1", 1),
            ("from __future__ import annotations", None),
            ("return __name__", "__main__"),
        ):
            with self.subTest(code):
                self.assertEqual(run_all(code).result, expected)

    def test_text_is_taken_as_it_is(self) -> None:
        for code, expected in (
            ("\ufeffreturn 1", 1),
            ("x = '''a\r\nb'''\r\nreturn x\r\n", "a\nb"),
            ("x = 1\rreturn x", 1),
            ("\x0cx = 1\n\x0creturn x", 1),
            ("x = '''\n  two\n\tand a tab\n'''\nreturn x", "\n  two\n\tand a tab\n"),
        ):
            with self.subTest(code):
                self.assertEqual(run_all(code).result, expected)

    def test_a_syntax_error_names_its_line(self) -> None:
        for code, message, line in (
            ("x = 1\nreturn (", "'(' was never closed (line 2)", 2),
            ("  x = 1\ny = 2", "unexpected indent (line 1)", 1),
            ("from os import *", "import * only allowed at module level (line 1)", 1),
            ("nonlocal x", "no binding for nonlocal 'x' found (line 1)", 1),
            ("x = 1\nawait x", "'await' outside async function (line 2)", 2),
            ("y = lambda: (yield)\nz = [\n  (yield 3)]", "'yield' outside function (line 3)", 3),
            ("class A:\n    def f(self): yield\n    x = (yield)", "'yield' outside function (line 3)", 3),
            ("a = 1\nx = 1\0", "source code cannot contain null bytes (line 2)", 2),
            ("a = 1\nx = '\ud800'", "source code cannot contain lone surrogates (line 2)", 2),
        ):
            with self.subTest(code):
                error = run_all(code).error
                self.assertEqual((error["message"], error["lineNumber"]), (message, line))
                self.assertIn(f'File "<code>", line {line}\n', error["description"])

    def test_code_that_is_too_deep_ends_in_an_error(self) -> None:
        for code in ("(" * 5000, "return " + "-" * 50_000 + "1", "return " + "1+" * 20_000 + "1", "x" + ".a" * 20_000):
            with self.subTest(code[:20]):
                self.assertTrue(run_all(code).error["message"])

    def test_bad_settings_are_named(self) -> None:
        for settings, message in (
            ({"nodeMode": "runOnceForAllItems", "items": []}, "Missing field in task settings message: 'code'"),
            ({"code": "", "items": []}, "Missing field in task settings message: 'nodeMode'"),
            ({"code": "", "nodeMode": "runOnceForAllItems"}, "Missing field in task settings message: 'items'"),
            ({"code": "", "nodeMode": "sometimes", "items": []}, "Unknown nodeMode: sometimes"),
            ([], "Invalid task settings: not an object"),
        ):
            with self.subTest(settings):
                self.assertEqual(run_settings(settings).error, {"message": message})
        self.assertTrue(run_settings("{").error["message"])


if __name__ == "__main__":
    unittest.main()
