"""Encoding of results, in both of n8n's modes."""

import unittest

from guest import HOST, run_all, run_each


class ResultTest(unittest.TestCase):
    def test_values_become_json(self) -> None:
        for code, expected in (
            ("return (1, (2, 3))", [1, [2, 3]]),
            ("return 'ü \\0 \\u2028'", "ü \0 \u2028"),
            ("import decimal\nreturn decimal.Decimal('1.10')", "1.10"),
            ("return {1}", [1]),
            ("import enum\nclass I(enum.IntEnum): R = 1\nreturn I.R", 1),
            ("return [float('inf'), {'a': -float('inf')}, 1.5]", [None, {"a": None}, 1.5]),
            ("return {float('nan'): 1, 'b': float('nan')}", {"NaN": 1, "b": None}),
            (
                "return {(1, 2): 'a', 2.5: 'c', None: 'd'}",
                {"(1, 2)": "a", "2.5": "c", "null": "d"},
            ),
            ("return '\\ud800'", "\ud800"),
            ("a = [1]\nreturn [a, a, float('nan')]", [[1], [1], None]),
        ):
            with self.subTest(code):
                self.assertEqual(run_all(code).result, expected)

    def test_a_value_that_cannot_be_encoded_is_an_error(self) -> None:
        for code, message in (
            ("a = []\na.append(a)\nreturn a", "Result contains a circular reference"),
            (
                "d = {(1, 2): float('nan')}\nd['d'] = d\nreturn d",
                "Result contains a circular reference",
            ),
            ("a = []\nfor i in range(300_000): a = [a]\nreturn a", "Result is nested too deeply"),
        ):
            with self.subTest(code):
                self.assertEqual(run_all(code).error, {"message": message})

    def test_each_item_gives_at_most_one_output_item(self) -> None:
        for code, expected in (
            ("return _item", {"json": 5}),
            ("return None", None),
            ("return {'x': 1, 'binary': {'f': 1}}", {"json": {"x": 1}, "binary": {"f": 1}}),
            (
                "return {'json': {'x': 1}, 'binary': {'f': 1}, 'other': 2}",
                {"json": {"x": 1}, "binary": {"f": 1}},
            ),
            ("return {'x': 1, 'binary': None}", {"json": {"x": 1}}),
            ("return [1]", {"json": [1]}),
        ):
            with self.subTest(code):
                paired = [] if expected is None else [{**expected, "pairedItem": {"item": 0}}]
                self.assertEqual(run_each(code, [5]).result, paired)

    def test_a_failure_names_its_item(self) -> None:
        for code in (
            "return 1 / _item['json']",
            "import sys\nif not _item['json']: sys.exit(3)",
            "a = []\na.append(a)\nif not _item['json']: return a",
        ):
            with self.subTest(code):
                self.assertEqual(run_each(code, [1, 2, 0, 0]).error["context"], {"itemIndex": 2})

    def test_a_reply_that_does_not_fit_in_memory_is_replaced(self) -> None:
        HOST.before_write.append(MemoryError())
        error = {"message": "MemoryError", "limit": "memory"}
        self.assertEqual(run_all("return 1").error, error)


if __name__ == "__main__":
    unittest.main()
