"""The rehearsals before the snapshot, in a separate interpreter."""

import subprocess
import sys
import unittest
from pathlib import Path

_SCRIPT = """
from guest import GUEST, HOST
import os
out = os.fdopen(1, "w")
GUEST.warm()
import builtins, sys
from _serpentarium.core import printing
from _serpentarium.core.log import log
assert (HOST.output, HOST.notified) == ([], []), "the rehearsal stays inside"
assert (log.statements, log.partial, log.as_text) == (0, [], False)
assert builtins.print is printing.print and sys.getrecursionlimit() == 1000
assert type(sys.modules["random"]) is not type(sys), "random is seeded before it is used"
HOST.input = '{"code":"import random\\\\nreturn random.random()"}'
GUEST.run()
GUEST.run()
assert HOST.output[0] != HOST.output[1] and HOST.output[0].startswith('{"result":0.')
out.write("done")
"""


class WarmupTest(unittest.TestCase):
    def test_warm_up_leaves_no_state_behind(self) -> None:
        here = Path(__file__).resolve().parent
        ran = subprocess.run(
            [sys.executable, "-c", _SCRIPT], cwd=here, capture_output=True, text=True, check=False
        )
        self.assertEqual(ran.stdout, "done", ran.stderr)


if __name__ == "__main__":
    unittest.main()
