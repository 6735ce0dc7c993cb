"""Runs in the sandbox: the tests of one file with pytest. It prints a line for each test."""

import fnmatch
import importlib
import os
import sys
import warnings
from types import ModuleType

import pytest

SITE = "/usr/lib/python3.13/site-packages"
# Extension modules of C that the tests alone use. The image lacks them.
HELPERS = """
    numpy._core._multiarray_tests numpy._core._umath_tests numpy._core._rational_tests
    numpy._core._operand_flag_tests numpy._core._struct_ufunc_tests
""".split()


class Rational:
    """Stands for a type of numbers that the tests define in C."""

    def __new__(cls, *_args: object) -> "Rational":
        if "PYTEST_CURRENT_TEST" in os.environ:
            pytest.skip("the type rational is not in the image")
        # A parameter of tests.
        return super().__new__(cls)


class Helper(ModuleType):
    """Skips the tests that call it."""

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        # WebAssembly has one mode of floating-point numbers.
        known = {"rational": Rational, "get_fpu_mode": lambda: 0}
        return known.get(name) or skipping(f"{self.__name__} is not in the image")


def skipping(reason: str) -> object:
    """Returns a function that skips the test that calls it."""

    def function(*_args: object, **_options: object) -> None:
        pytest.skip(reason, allow_module_level=True)

    return function


class Reporter:
    """Prints the name of each test before it starts, and its outcome."""

    def __init__(self, known: list[str], ending: list[str]) -> None:
        self.known = set(known)
        self.ending = ending

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        print(f"start {nodeid}")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.outcome != "passed":
            outcome = report.outcome
            if hasattr(report, "wasxfail"):
                outcome = "skipped" if report.skipped else "passed"
            crash = getattr(report.longrepr, "reprcrash", None)
            text = str(crash.message if crash else report.longrepr or "")
            lines = [line for line in text.splitlines() if line.strip()]
            print(f"{outcome} {report.nodeid}\t{' | '.join(lines)[:300]}")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.outcome != "passed":
            lines = [line for line in str(report.longrepr or "").splitlines() if line.strip()]
            outcome = "skipped" if report.skipped else "failed"
            print(f"{outcome} {report.nodeid}\t{' | '.join(lines[-3:])[:300]}")

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        rest = [item for item in items if item.nodeid not in self.known]
        for item in rest:
            if any(fnmatch.fnmatchcase(item.nodeid, pattern) for pattern in self.ending):
                self.known.add(item.nodeid)
                print(f"ended {item.nodeid}\tit is known to end its task, and was not run")
        items[:] = [item for item in rest if item.nodeid not in self.known]


def main(arguments: list[str], known: list[str], ending: list[str]) -> int:
    """Runs the tests but those that are `known` or match one of `ending`."""
    for name in HELPERS:
        sys.modules[name] = Helper(name)
    # Only tests call it. Its C function has another type than its declaration: it would trap.
    private = vars(importlib.import_module("numpy._core._multiarray_umath"))
    private["_get_castingimpl"] = skipping("_get_castingimpl cannot be called in WebAssembly")
    os.chdir(SITE)
    warnings.simplefilter("default")
    options = ["-q", "--capture=sys", "-p", "no:cacheprovider"]
    options += ["-p", "no:faulthandler", "-p", "no:terminalreporter", "-o", "xfail_strict=false"]
    return int(pytest.main([*options, *arguments], plugins=[Reporter(known, ending)]))
