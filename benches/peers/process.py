"""A process for each task: python3 is started anew."""

import subprocess
import sys

from serve import serve


def run(code: str) -> str:
    """What the code prints."""
    command = [sys.argv[1], "-B", "-c", code]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


if __name__ == "__main__":
    serve(lambda: int(run("print(1 + 2)")), run)
