"""Hints: the line after Python's own text."""

import unittest

from guest import run_all


class HintsTest(unittest.TestCase):
    def test_a_hint_follows_message_and_traceback(self) -> None:
        error = run_all("name = input('Name: ')").error
        own, _, hint = error["message"].partition("\nHint: ")
        self.assertEqual(own, "EOF when reading a line")
        self.assertIn("Nobody can answer", hint)
        self.assertTrue(error["description"].endswith(f"EOFError: {error['message']}"))

    def test_an_error_without_a_hint_is_unchanged(self) -> None:
        self.assertEqual(
            run_all("raise EOFError('the file ended')").error["message"], "the file ended"
        )

    def test_hostile_types_get_no_hint(self) -> None:
        code = (
            "class M(type):\n"
            "    def __hash__(cls): raise KeyboardInterrupt\n"
            "    __mro__ = property(lambda cls: 1 / 0)\n"
            "class E(EOFError, metaclass=M):\n"
            "    args = property(lambda self: 1 / 0)\n"
            "raise E('EOF when reading a line')"
        )
        self.assertIn("EOF when reading a line", run_all(code).error["message"])


if __name__ == "__main__":
    unittest.main()
