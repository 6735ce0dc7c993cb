"""Runs each training program for the same time, so that all weigh the same in the profile.

python run.py [SECONDS FOR EACH]
"""

import sys
import time

import data
import items
import numbers_
import programs
import task_path
import text

PROGRAMS = [items, text, data, numbers_, programs, task_path]


def main(seconds: float) -> None:
    """Trains with every program."""
    for program in PROGRAMS:
        rounds, end = 0, time.monotonic() + seconds
        while time.monotonic() < end or rounds < 2:
            program.main()
            rounds += 1
        print(f"{program.__name__}: {rounds} rounds", flush=True)


main(float(sys.argv[1]) if len(sys.argv) > 1 else 10.0)
