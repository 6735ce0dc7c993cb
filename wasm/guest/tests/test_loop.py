"""asyncio without file descriptors."""

import unittest

from guest import run_all

_PRELUDE = "import asyncio\nasync def w(i):\n    await asyncio.sleep(0.001 * i)\n    return i\n"


class LoopTest(unittest.TestCase):
    def test_tasks_and_timers_work(self) -> None:
        for code, expected in (
            ("return asyncio.run(w(1))", 1),
            (
                "async def m(): return await asyncio.gather(w(2), w(1))\nreturn asyncio.run(m())",
                [2, 1],
            ),
            (
                "async def m(): return await asyncio.to_thread(sum, [1, 2])\n"
                "return asyncio.run(m())",
                3,
            ),
            (
                "async def m(): await asyncio.wait_for(asyncio.sleep(9), 0.01)\n"
                "try: asyncio.run(m())\nexcept TimeoutError: return 'late'",
                "late",
            ),
            (
                "loop = asyncio.new_event_loop()\n"
                "try: return loop.run_until_complete(w(2))\nfinally: loop.close()",
                2,
            ),
        ):
            with self.subTest(code):
                self.assertEqual(run_all(_PRELUDE + code).result, expected)

    def test_a_wait_without_an_end_is_an_error(self) -> None:
        error = run_all(
            "import asyncio\nasync def m(): await asyncio.Event().wait()\nasyncio.run(m())"
        ).error
        self.assertIn("deadlock", error["message"])


if __name__ == "__main__":
    unittest.main()
