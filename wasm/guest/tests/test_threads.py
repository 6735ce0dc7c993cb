"""Threads that run one after another: the schedule and its locks."""

import sys
import time
import unittest
from collections.abc import Callable
from unittest.mock import patch

from _serpentarium.core.threads import schedule
from _serpentarium.core.threads.locks import Lock, RLock
from _serpentarium.policy import dynamic_code
from guest import run_program


class ThreadsTest(unittest.TestCase):
    def setUp(self) -> None:
        schedule.reset()
        self.addCleanup(schedule.reset)
        self.seen: list[object] = []

    def add(self, value: object) -> Callable[[], None]:
        return lambda: self.seen.append(value)

    def test_threads_begin_in_their_order_when_one_waits(self) -> None:
        for number in range(3):
            schedule.start(self.add(number))
        self.assertEqual(self.seen, [])
        schedule.wait(lambda: len(self.seen) == 2)
        self.assertEqual(self.seen, [0, 1])
        schedule.finish()
        self.assertEqual(self.seen, [0, 1, 2])

    def test_a_waiting_thread_lets_others_run_on_top_of_it(self) -> None:
        lock = Lock()
        lock.acquire()

        def first() -> None:
            lock.acquire()
            self.seen.append("first")

        def second() -> None:
            self.seen.append("second")
            lock.release()

        schedule.start(first)
        schedule.start(second)
        schedule.finish()
        self.assertEqual(self.seen, ["second", "first"])

    def test_a_wait_without_an_end_is_an_error(self) -> None:
        lock = Lock()
        lock.acquire()
        with self.assertRaisesRegex(RuntimeError, "deadlock: the main thread waits"):
            lock.acquire()
        strand = schedule.start(lock.acquire)
        with self.assertRaisesRegex(RuntimeError, "so does thread"):
            schedule.wait(lambda: strand.done)
        with self.assertRaisesRegex(RuntimeError, "deadlock: thread"):
            schedule.finish()

    def test_a_daemon_that_waits_for_ever_is_stopped(self) -> None:
        lock = Lock()
        lock.acquire()
        schedule.start(lock.acquire, daemon=True)
        schedule.wait(lambda: False, 0.01)
        schedule.finish()

    def test_a_wait_with_a_limit_ends(self) -> None:
        lock = Lock()
        self.assertTrue(lock.acquire(timeout=1))
        begin = time.monotonic()
        self.assertFalse(lock.acquire(timeout=0.02))
        self.assertGreaterEqual(time.monotonic() - begin, 0.02)
        self.assertFalse(lock.acquire(blocking=False))
        for blocking, seconds in ((False, 1), (True, -2)):
            with self.assertRaises(ValueError):
                lock.acquire(blocking, seconds)

    def test_a_thread_that_polls_in_vain_is_stopped(self) -> None:
        flag: list[object] = []

        def poll() -> None:
            while not flag:
                schedule.wait(lambda: bool(flag), 0.001)

        with patch.object(schedule, "MAX_VAIN_SECONDS", 0.005):
            strand = schedule.start(poll)
            schedule.wait(lambda: False, 0.001)
        self.assertTrue(strand.stopped)

    def test_a_thread_that_sleeps_in_vain_is_stopped(self) -> None:
        flag: list[object] = []

        def poll() -> None:
            while not flag:
                schedule.sleep(0.001)

        for others in (0, 20):
            with self.subTest(others), patch.object(schedule, "MAX_VAIN_SLEEP", 0.02):
                strand = schedule.start(poll)
                for _ in range(others):
                    schedule.start(poll)
                schedule.sleep(0.001)
                self.assertTrue(strand.stopped)
                schedule.reset()

    def test_a_thread_that_sleeps_for_a_while_ends(self) -> None:
        def nap() -> None:
            for _ in range(50):
                schedule.sleep(0.001)
            self.seen.append(1)

        schedule.start(nap)
        schedule.sleep(0.001)
        self.assertEqual(self.seen, [1])

    def test_only_the_owner_of_a_lock_acquires_it_again(self) -> None:
        lock = RLock()
        with lock, lock:
            schedule.start(lambda: self.seen.append(lock.acquire(blocking=False)))
            schedule.wait(lambda: bool(self.seen))
        self.assertEqual(self.seen, [False])
        self.assertIn("unlocked", repr(lock))
        with self.assertRaises(RuntimeError):
            lock.release()

    def test_a_timer_begins_when_its_time_has_come(self) -> None:
        late = schedule.start(self.add("late"))
        late.due = time.monotonic() + 0.03
        schedule.start(self.add("now"))
        schedule.wait(lambda: False, 0.005)
        self.assertEqual(self.seen, ["now"])
        schedule.finish()
        self.assertEqual(self.seen, ["now", "late"])

    def test_sleeping_threads_keep_their_order(self) -> None:
        def body(number: int) -> Callable[[], None]:
            def sleep_first() -> None:
                schedule.sleep(0.001)
                self.seen.append(number)

            return sleep_first

        for number in range(3):
            schedule.start(body(number))
        schedule.sleep(0.1)
        self.assertEqual(self.seen, [0, 1, 2])

    def test_each_thread_has_its_own_recursion_limit(self) -> None:
        limit = sys.getrecursionlimit()
        schedule.start(lambda: self.seen.append(sys.getrecursionlimit() - limit))
        schedule.finish()
        self.assertEqual(self.seen, [1000])
        self.assertEqual(sys.getrecursionlimit(), limit)

    def test_too_many_waiting_threads_are_an_error(self) -> None:
        def nest() -> None:
            self.seen.append(None)
            if len(self.seen) < 20:
                strand = schedule.start(nest)
                schedule.wait(lambda: strand.done)

        with patch.object(schedule, "MAX_DEPTH", 5):
            strand = schedule.start(nest)
            with self.assertRaisesRegex(RuntimeError, "more than 5 threads .* and [0-9]+ more"):
                schedule.wait(lambda: strand.done)

    def test_locks_cannot_be_copied(self) -> None:
        for lock in (Lock(), RLock()):
            with self.assertRaisesRegex(TypeError, "cannot pickle"):
                lock.__reduce__()

    def test_code_called_by_the_library_has_the_globals_of_the_program(self) -> None:
        self.assertTrue(dynamic_code._belong_to_library(vars(time)))
        code = "import asyncio\nreturn (await asyncio.to_thread(globals))['__name__']"
        self.assertEqual(run_program(code).result, "__main__")


if __name__ == "__main__":
    unittest.main()
