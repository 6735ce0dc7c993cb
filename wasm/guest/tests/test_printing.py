"""`print` and the standard streams."""

import unittest

from guest import run_all


class PrintingTest(unittest.TestCase):
    def test_printed_values_have_the_form_of_n8n(self) -> None:
        for code, statements in (
            ("print('a', 1, None, True, 2.5)", [["'a'", "1", "None", "True", "2.5"]]),
            ("print()", [[]]),
            ("print([1, 'é', {'a': (2,)}])", [['[1, "é", {"a": [2]}]']]),
            ("a = []\na.append(a)\nprint(a)", [["[Circular list]"]]),
            ("print({(1, 2): 3})", [['{"(1, 2)": 3}']]),
            ("print('a', sep='-', end='', flush=True)", [["'a'"]]),
            ("import sys\nsys.stdout.write('a\\nb')", [["a"], ["b"]]),
            ("import sys\nsys.stdout.write('a')\nprint('b')", [["a"], ["'b'"]]),
            ("import sys\nsys.stdout.buffer.write('é\\n'.encode())", [["é"]]),
        ):
            with self.subTest(code):
                self.assertEqual(run_all(code).printed, statements)

    def test_a_hundred_statements_are_sent_and_the_rest_is_counted(self) -> None:
        for ending in ("", "\n1 / 0", "\nraise SystemExit"):
            printed = run_all(f"for i in range(150): print(i){ending}").printed
            self.assertEqual(len(printed), 101)
            self.assertEqual(printed[100], ["[Output truncated - 50 more print statements]"])

    def test_plain_text_is_sent_as_it_is_written(self) -> None:
        code = (
            "import sys\nprint('a', 1, [2, 'b'], sep='-')\nprint('x', end='')\n"
            "sys.stdout.write('y')"
        )
        self.assertEqual(run_all(code, printMode="text").stdout, "a-1-[2, 'b']\nxy")
        reply = run_all("for i in range(50_000): print(i)", printMode="text")
        self.assertEqual(reply.stdout, "".join(f"{i}\n" for i in range(50_000)))
        self.assertLess(len(reply.notified), 25_000)

    def test_other_files_are_written_as_python_does(self) -> None:
        code = (
            "import io, contextlib\nout = io.StringIO()\n"
            "with contextlib.redirect_stdout(out): print('a', 'b')\n"
        )
        reply = run_all(f"{code}print('c', file=out)\nreturn out.getvalue()")
        self.assertEqual((reply.result, reply.notified), ("a b\nc\n", []))
        reply = run_all("import sys\nprint('x', file=sys.stderr)")
        self.assertEqual((reply.stderr, reply.notified), ("x\n", []))

    def test_standard_input_is_empty(self) -> None:
        code = "import sys\ntry: input()\nexcept EOFError: return sys.stdin.read()"
        self.assertEqual(run_all(code).result, "")


if __name__ == "__main__":
    unittest.main()
