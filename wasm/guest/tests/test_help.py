"""The built-in `help`."""

import unittest
from typing import Any

from guest import run_all


class HelpTest(unittest.TestCase):
    def shown(self, code: str, **settings: Any) -> str:
        return run_all(code, printMode="text", **settings).stdout

    def test_a_text_is_looked_up(self) -> None:
        for name, text in (
            ("len", "Return the number of items in a container."),
            ("str.upper", "Return a copy of the string converted to uppercase."),
            ("json.dumps", "Help on function dumps in json:"),
            ("keywords", "Here is a list of the Python keywords."),
            ("topics", "Here is a list of available topics."),
            ("modules", "statistics"),
            ("for", 'The "for" statement'),
            ("True", "class bool(int)"),
            ("_input", "_input: the input items of this node."),
            ("nothing.here", "No Python documentation found for 'nothing.here'."),
            ("two words", "No Python documentation found for 'two words'."),
        ):
            with self.subTest(name):
                self.assertIn(text, self.shown(f"help({name!r})"))
        self.assertIn("uppercase", self.shown("help(str.upper)"))
        self.assertIn("what f does", self.shown('def f():\n    "what f does"\nhelp(f)'))

    def test_in_a_node_help_is_one_statement(self) -> None:
        reply = run_all("print('a')\nhelp('len')\nhelp(_input)")
        self.assertEqual(len(reply.printed), 3)
        self.assertIn("len(obj, /)\n    Return", reply.printed[1][0])
        code = "import contextlib, io\nout = io.StringIO()\n"
        code += (
            "with contextlib.redirect_stdout(out): help(len)\nreturn 'container' in out.getvalue()"
        )
        self.assertIs(run_all(code).result, True)

    def test_help_does_not_import_what_the_policy_refuses(self) -> None:
        policy = {"policy": {"stdlibAllow": ["json"], "externalAllow": []}}
        self.assertIn("is disallowed", self.shown("help('mailbox')", serpentarium=policy))
        self.assertIn("Return the number", self.shown("help('len')", serpentarium=policy))
        self.assertIn(
            "Help on function dumps", self.shown("help('json.dumps')", serpentarium=policy)
        )


if __name__ == "__main__":
    unittest.main()
