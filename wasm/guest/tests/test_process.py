"""Functions that end or signal a process."""

import os
import unittest

from _serpentarium.core import process
from guest import run_program


class ProcessTest(unittest.TestCase):
    def setUp(self) -> None:
        names = ("_exit", "abort", "kill", "killpg")
        before = {name: vars(os)[name] for name in names}
        self.addCleanup(vars(os).update, before)
        process.install()

    def test_ending_the_process_is_an_error_that_says_what_to_do(self) -> None:
        for call in ("_exit(0)", "_exit(3)", "_exit()", "abort()"):
            with self.subTest(call):
                error = run_program(f"import os\nos.{call}").error
                self.assertEqual(error["lineNumber"], 2)
                self.assertIn(f"os.{call.split('(')[0]}() is not available", error["message"])
                self.assertIn("Use `return`", error["message"])

    def test_a_signal_is_an_error_that_code_can_catch(self) -> None:
        code = "import os\ntry: os.kill(os.getpid(), 9)\nexcept OSError as e: return str(e)"
        self.assertEqual(
            run_program(code).result,
            "os.kill() is not available: a task has no process of its own. "
            "There are no other processes to signal.",
        )
        self.assertIn("killpg", run_program("import os\nos.killpg(1, 9)").error["message"])

    def test_the_functions_look_like_those_of_os(self) -> None:
        code = "import os\nreturn [os.kill.__name__, os._exit.__module__]"
        self.assertEqual(run_program(code).result, ["kill", "os"])


if __name__ == "__main__":
    unittest.main()
