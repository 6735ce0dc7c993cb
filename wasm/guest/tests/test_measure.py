"""Benchmarks and spans."""

import unittest
from typing import Any

from guest import Reply, run_all

_FILE = """
def setup_sum(n): return [*range(n)]
def bench_sum(data): return sum(data)
bench_sum.params = (1, 2.5, "x", True)
def bench_plain(): raise KeyError(len(_items))
"""


def _measure(code: str, wish: dict[str, Any], items: Any = ()) -> Reply:
    return run_all(code, items, serpentarium={"measure": wish})


def _bench(code: str, name: str, param: int | None = None, empty: bool = False) -> Reply:
    return _measure(code, {"kind": "bench", "name": name, "param": param, "empty": empty}, [{}, {}])


class MeasureTest(unittest.TestCase):
    def test_a_plan_lists_benchmarks_and_parameters(self) -> None:
        plan = {"kind": "plan"}
        params = [("1", 1), ("2.5", 2.5), ("'x'", None), ("True", None)]
        expected = [
            {
                "name": "bench_sum",
                "params": [{"label": label, "number": number} for label, number in params],
            },
            {"name": "bench_plain", "params": None},
        ]
        self.assertEqual(_measure(_FILE, plan).result, expected)
        self.assertEqual(_measure("return 'def bench_x(): pass'", plan).result, None)

    def test_a_benchmark_and_its_empty_function_run_in_a_span(self) -> None:
        for empty in (False, True):
            self.assertEqual(
                [name for name, _ in _bench(_FILE, "bench_sum", 0, empty).notified],
                ["begin", "end"],
            )
        failed = _bench(_FILE, "bench_plain")
        self.assertEqual((failed.message, failed.notified), ("KeyError: 2", [("begin", 0)]))

    def test_a_function_that_cannot_be_measured_is_an_error(self) -> None:
        for code, message in (
            (
                "async def bench_x(): pass",
                "bench_x must be a plain function: call asyncio.run or consume",
            ),
            (
                "def bench_x(): yield",
                "bench_x must be a plain function: call asyncio.run or consume",
            ),
            (
                "def bench_x(a, b): pass",
                "bench_x takes 2 arguments: a benchmark takes one, or none",
            ),
            ("def bench_x(): pass\nbench_x = 3", "bench_x must be a plain function, not a int"),
            ("def bench_x(a): pass", "bench_x takes an argument, and there is none"),
            ("def bench_x(): pass\nsetup_x = 3", "setup_x must be a plain function, not a int"),
            (
                "def bench_x(): pass\nreturn",
                "'return' outside function (line 2): a file with functions bench_",
            ),
            (
                "def bench_x(n): pass\nbench_x.params = []",
                "bench_x.params must be a list of parameters",
            ),
        ):
            with self.subTest(code):
                self.assertIn(message, _measure(code, {"kind": "plan"}).error["message"])

    def test_a_program_behaves_the_same_in_a_span(self) -> None:
        reply = _measure("print('hi')\nreturn len(_items)", {"kind": "span"}, [1, 2])
        self.assertEqual(reply.result, 2)
        self.assertEqual([name for name, _ in reply.notified], ["begin", "logNodeOutput", "end"])


if __name__ == "__main__":
    unittest.main()
