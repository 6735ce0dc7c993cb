"""Compares expressions in the data image with the same ones in the native packages.

python3 tests/data --program FILE --image FILE --native PYTHON
"""

import argparse
import json
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent
# Expressions of one task: a task has a time limit.
_TASK = 60


def expressions() -> list[str]:
    """The expressions of `expressions.txt`."""
    lines = (HERE / "expressions.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def program(some: list[str], ending: str) -> str:
    """The text of a program that evaluates expressions."""
    values = (HERE / "values.py").read_text(encoding="utf-8")
    return (
        f"{values}\nimport warnings\nwarnings.simplefilter('ignore')\nTEXTS = {some!r}\n{ending}\n"
    )


def native(python: str, some: list[str]) -> list[object]:
    """The values in the native packages."""
    text = program(some, "import json\nprint(json.dumps([evaluated(text) for text in TEXTS]))")
    done = subprocess.run([python, "-c", text], capture_output=True, text=True, check=True)
    values: list[object] = json.loads(done.stdout.splitlines()[-1])
    return values


def sandboxed(executable: str, image: str, some: list[str]) -> list[object]:
    """The values in the image."""
    with tempfile.NamedTemporaryFile("w", suffix=".py") as file:
        file.write(program(some, "return [evaluated(text) for text in TEXTS]"))
        file.flush()
        command = [executable, "exec", "--image", image, file.name]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        if len(some) == 1:
            return [f"the task failed: {done.stderr.strip()[-300:]}"]
        half = len(some) // 2
        return sandboxed(executable, image, some[:half]) + sandboxed(executable, image, some[half:])
    values: list[object] = json.loads(done.stdout)
    return values


def main() -> int:
    """Prints the differences; returns 1 if one has no reason, or a reason has no difference."""
    parser = argparse.ArgumentParser(prog="test-data", description=__doc__)
    for option in ("program", "image", "native"):
        parser.add_argument(f"--{option}", required=True)
    options = parser.parse_args()
    reasons = tomllib.loads((HERE / "differences.toml").read_text(encoding="utf-8"))["difference"]
    known = {entry["expression"]: entry["reason"] for entry in reasons}
    texts = expressions()
    wanted = native(options.native, texts)
    got: list[object] = []
    for begin in range(0, len(texts), _TASK):
        got += sandboxed(options.program, options.image, texts[begin : begin + _TASK])
    different = [
        (text, one, other)
        for text, one, other in zip(texts, wanted, got, strict=True)
        if one != other
    ]
    new = [entry for entry in different if entry[0] not in known]
    for text, one, other in new:
        print(f"{text}\n    native  {str(one)[:600]}\n    sandbox {str(other)[:600]}")
    gone = sorted(known.keys() - {text for text, _, _ in different})
    for text in gone:
        print(f"{text}\n    equal now: remove it from differences.toml")
    print(f"{len(texts)} expressions, {len(different)} differences, {len(new)} without a reason")
    return 1 if new or gone else 0


if __name__ == "__main__":
    sys.exit(main())
