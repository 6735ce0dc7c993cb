"""Compilation of a program."""

import unittest

from guest import run_all, run_each, run_program, run_settings


class CodeTest(unittest.TestCase):
    def test_code_can_return_at_its_top_level(self) -> None:
        for code, expected in (
            ("return 1", 1),
            ("", None),
            ("# only a comment", None),
            ("'only a text'", None),
            ("if True:\n    return 'early'\nreturn 'late'", "early"),
            ("x = 1\ndef f():\n    global x\n    x += 1\nf()\nreturn x", 2),
            ("global q\nq = 3\nreturn globals()['q']", 3),
            ("def g():\n    yield 1\nreturn [*g()]", [1]),
            (
                "from __future__ import annotations\ndef f(x: nope): pass\n"
                "return f.__annotations__",
                {"x": "nope"},
            ),
            ("'''text'''\nfrom __future__ import annotations, division\nreturn 1", 1),
            ("from __future__ import annotations", None),
            ("return __name__", "__main__"),
        ):
            with self.subTest(code):
                self.assertEqual(run_all(code).result, expected)

    def test_the_top_level_may_await(self) -> None:
        prelude = """\
import asyncio, contextlib
async def later(x):
    await asyncio.sleep(0.001)
    return x
async def count():
    for i in range(3): yield await later(i)
@contextlib.asynccontextmanager
async def around():
    yield await later(5)
"""
        for code, expected in (
            ("return await later(1)", 1),
            ("return await asyncio.gather(later(1), later(2))", [1, 2]),
            ("n = 0\nasync for i in count(): n += i\nreturn n", 3),
            ("async with around() as x: return x", 5),
            ("return [i async for i in count()]", [0, 1, 2]),
            ("return {i: await later(i) for i in range(2)}", {"0": 0, "1": 1}),
            ("await later(1)", None),
            ("x = await later(1)\ndef f():\n    global x\n    x += 1\nf()\nreturn x", 2),
            ("f = lambda: (yield)\nawait later(1)\nreturn next(f())", None),
            ("t = asyncio.create_task(later(7))\nawait asyncio.sleep(0)\nreturn await t", 7),
        ):
            with self.subTest(code):
                self.assertEqual(run_all(prelude + code).result, expected)
        reply = run_each(
            "import asyncio\nawait asyncio.sleep(0)\nreturn {'a': _item['json']}", [1, 2]
        )
        self.assertEqual([item["json"]["a"] for item in reply.result], [1, 2])

    def test_a_failure_in_awaited_code_shows_user_frames_only(self) -> None:
        error = run_all("import asyncio\nasync def f():\n    return 1 / 0\n\nawait f()").error
        self.assertEqual((error["message"], error["lineNumber"]), ("division by zero", 3))
        self.assertEqual(error["description"].count('File "'), 2)
        self.assertIn('  File "<code>", line 5, in <module>\n    await f()', error["description"])
        error = run_all("import asyncio, sys\nawait asyncio.sleep(0)\nsys.exit(3)").error
        self.assertIn("Process exited with code 3\nHint: Use `return`", error["message"])
        error = run_all("import asyncio\nawait asyncio.Event().wait()").error
        self.assertIn("deadlock", error["message"])

    def test_text_keeps_its_lines(self) -> None:
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
            ("x = 1\ndef f(): await x", "'await' outside async function (line 2)", 2),
            ("a = 1\nx = 1\0", "source code cannot contain null bytes (line 2)", 2),
            ("a = 1\nx = '\ud800'", "source code cannot contain lone surrogates (line 2)", 2),
        ):
            with self.subTest(code):
                reply = run_all(code)
                error = reply.error
                self.assertEqual((reply.message, error["lineNumber"]), (message, line))
                self.assertIn(f'File "<code>", line {line}\n', error["description"])

    def test_code_that_is_too_deep_ends_in_an_error(self) -> None:
        for code in (
            "(" * 5000,
            "return " + "-" * 50_000 + "1",
            "return " + "1+" * 20_000 + "1",
            "x" + ".a" * 20_000,
        ):
            with self.subTest(code[:20]):
                self.assertTrue(run_all(code).error["message"])

    def test_a_plain_program_has_its_input_and_no_names_of_n8n(self) -> None:
        self.assertEqual(run_program("return input['n'] + 1", input={"n": 1}).value, {"result": 2})
        self.assertIsNone(run_program("return input", input=None).result)
        self.assertEqual(run_program("return callable(input)").result, True)
        self.assertEqual(run_program("").result, None)
        for name in ("_items", "_item", "_json", "_input", "_helpers", "_workflow", "_query"):
            with self.subTest(name):
                reply = run_program(f"return {name}")
                self.assertEqual(reply.message, f"name '{name}' is not defined")
        printed = run_program("print('a', 1)\nraise ValueError('b')")
        self.assertEqual((printed.stdout, printed.printed), ("a 1\n", []))
        self.assertEqual((printed.error["message"], printed.error["lineNumber"]), ("b", 2))

    def test_bad_settings_are_named(self) -> None:
        for settings, message in (
            (
                {"nodeMode": "runOnceForAllItems", "items": []},
                "Missing field in task settings message: 'code'",
            ),
            ({"code": "", "items": []}, "Missing field in task settings message: 'nodeMode'"),
            (
                {"code": "", "nodeMode": "runOnceForAllItems"},
                "Missing field in task settings message: 'items'",
            ),
            ({"code": "", "nodeMode": "sometimes", "items": []}, "Unknown nodeMode: sometimes"),
            ([], "Invalid task settings: not an object"),
        ):
            with self.subTest(settings):
                self.assertEqual(run_settings(settings).error, {"message": message})
        self.assertTrue(run_settings("{").error["message"])


if __name__ == "__main__":
    unittest.main()
