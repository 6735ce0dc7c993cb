"""Marks in a program: before each statement that begins a line, and at the end of loops."""

import ast
import unittest

from _serpentarium.measure import marks

_TOLD = "\0serpentarium.notify"


def _marked(code: str) -> list[str]:
    """The lines of the marked program: marks as `@line`."""
    tree = ast.parse(code)
    marks.mark(tree)
    prefix = f"{_TOLD!r}('line', '1"
    return [
        f"@{int(line.strip()[len(prefix) :].strip(chr(39) + ')'))}"
        if line.strip().startswith(prefix)
        else line.strip()
        for line in ast.unparse(tree).splitlines()
        if line.strip()
    ]


class MarksTest(unittest.TestCase):
    def test_each_statement_that_begins_a_line_has_a_mark(self) -> None:
        self.assertEqual(_marked("a; b\nc"), ["@1", "a", "b", "@2", "c"])
        self.assertEqual(_marked("if a: b\nelse: c"), ["@1", "if a:", "b", "else:", "@2", "c"])

    def test_a_loop_marks_its_head_again_unless_it_is_on_one_line(self) -> None:
        self.assertEqual(_marked("for a in b: c"), ["@1", "for a in b:", "c"])
        self.assertEqual(_marked("while a:\n  b"), ["@1", "while a:", "@2", "b", "@1"])
        self.assertEqual(
            _marked("while a:\n  if b: continue\n  break"),
            ["@1", "while a:", "@2", "if b:", "@1", "continue", "@3", "break"],
        )

    def test_docstrings_and_future_imports_stay_first(self) -> None:
        code = "'text'\nfrom __future__ import annotations\na"
        self.assertEqual(
            _marked(code), ['"""text"""', "from __future__ import annotations", "@3", "a"]
        )
        self.assertEqual(
            _marked("@d\ndef f():\n  'text'\n  global x")[:3], ["@1", "@d", "def f():"]
        )

    def test_a_marked_program_reports_its_lines_and_behaves_the_same(self) -> None:
        tree = ast.parse(
            "def f(n):\n  t = 0\n  for i in range(n):\n    t += i\n  return t\nr = f(2)"
        )
        marks.mark(tree)
        notified: list[str] = []

        def notify(name: str, number: str) -> None:
            notified.append(f"{name} {int(number) - 1_000_000}")

        namespace: dict[str, int] = {}
        exec(marks.connect(marks.quiet(lambda: compile(tree, "x", "exec")), notify), namespace)
        self.assertEqual(namespace["r"], 1)
        self.assertEqual(notified, [f"line {line}" for line in (1, 6, 2, 3, 4, 3, 4, 3, 5)])


if __name__ == "__main__":
    unittest.main()
