"""Times programs with numpy and pandas on the data image, as multiples of the native time.

python3 benches/data --program FILE --image FILE --native PYTHON
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import geometric_mean

PROGRAMS = Path(__file__).resolve().parent / "programs"
GOAL = 2.5
# Products of matrices, which the native numpy leaves to OpenBLAS; the goal is of its own.
PRODUCT = """
import numpy as np
a = np.random.default_rng(1).normal(size=(200, 200))
b = a.T.copy()
def run():
    a @ b
"""
PRODUCT_GOAL = 5.0
TIMED = """
from time import perf_counter
names = {{"__name__": "program"}}
exec(compile({text!r}, "program", "exec"), names)
run = names["run"]
run()
best, end = float("inf"), perf_counter() + {seconds}
while perf_counter() < end:
    begin = perf_counter()
    run()
    best = min(best, perf_counter() - begin)
print(best)
"""
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


def timed(command: list[str], text: str, seconds: float) -> float:
    """Seconds of the fastest run of a program, in a process that repeats it for `seconds`."""
    with tempfile.NamedTemporaryFile("w", suffix=".py", encoding="utf-8") as file:
        file.write(TIMED.format(text=text, seconds=seconds))
        file.flush()
        done = subprocess.run([*command, file.name], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr}")
    return float(done.stdout)


def main() -> int:
    """Prints the times; returns 0."""
    parser = argparse.ArgumentParser(prog="bench-data", description=__doc__)
    for option in ("program", "image", "native"):
        parser.add_argument(f"--{option}", required=True)
    parser.add_argument("--rounds", type=int, default=3, help="starts of each program")
    parser.add_argument("--seconds", type=float, default=1, help="of each start")
    options = parser.parse_args()
    ours = [options.program, "exec", "--timeout", "10m", "--memory", "2GiB"]
    ours += ["--image", options.image]
    native = ["env", *(f"{name}={value}" for name, value in ONE_THREAD.items()), options.native]
    texts = {path.stem: path.read_text(encoding="utf-8") for path in sorted(PROGRAMS.glob("*.py"))}
    ratios: dict[str, float] = {}
    print("| program | native ms | sandbox ms | times native |\n|---|---|---|---|")
    for name, text in {**texts, "a @ b, 200 x 200": PRODUCT}.items():
        best = [float("inf")] * 2
        # In turns, so that other load affects both alike.
        for _ in range(options.rounds):
            for index, command in enumerate((native, ours)):
                best[index] = min(best[index], timed(command, text, options.seconds))
        ratios[name] = best[1] / best[0]
        times = f"{best[0] * 1000:.2f} | {best[1] * 1000:.2f}"
        print(f"| {name} | {times} | {ratios[name]:.2f} |", flush=True)
    mean = geometric_mean(ratios[name] for name in texts)
    print(f"\ngeometric mean of {len(texts)} programs: {mean:.2f} x native, goal {GOAL} x")
    print(f"the product of matrices has the goal {PRODUCT_GOAL} x, on one thread")
    return 0


if __name__ == "__main__":
    sys.exit(main())
