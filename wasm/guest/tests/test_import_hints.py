"""Hints for failed imports and for the policy, and the texts of failed imports."""

import unittest
from typing import Any

from _serpentarium.core.hints import modules
from _serpentarium.core.hints.packages import ALTERNATIVES
from guest import run_all, run_program
from hinting import ImageTest, hint_of, missing, run_exec


class ReasonTest(ImageTest):
    def test_a_failed_import_says_why(self) -> None:
        for name, end in (
            ("cgi", ": Python 3.13 removed it from the standard library"),
            ("distutils.core", ": Python 3.12 removed it from the standard library"),
            ("multiprocessing.shared_memory", ": the package 'multiprocessing' has no such module"),
            ("winreg", ": this sandbox has no such operating system"),
            ("pandas", ": this image has no such package"),
            ("what_is_this", ": this image has no such package"),
            ("jsno", "; did you mean 'json'?"),
            ("urllib2", ": Python 3 calls it 'urllib.request'"),
            ("js", ": it belongs to Pyodide, which does not run this code"),
            ("email.nothing", ": the package 'email' has no such module"),
            ("_ssl", ": it is not in the image"),
        ):
            with self.subTest(name):
                self.assertEqual(modules.reason(name), end)

    def test_each_table_names_absent_modules_only(self) -> None:
        for name in {*modules.CANNOT_HAVE, *modules.REMOVED, *modules.PYODIDE, *ALTERNATIVES}:
            self.assertFalse(modules.is_here(name), name)
        for alternative in ALTERNATIVES.values():
            for name in alternative.modules:
                self.assertTrue(modules.is_here(name.partition(".")[0]), name)
        for new in modules.PYTHON_2.values():
            self.assertTrue(modules.is_here(new.partition(".")[0]), new)


class ImportHintsTest(ImageTest):
    def test_a_missing_package_has_a_replacement(self) -> None:
        self.check(
            (
                (missing("aiohttp"), ("_helpers.http_request(url)", "httpx", "requests")),
                (missing("pandas"), ("must be in the image", "csv, statistics, itertools")),
                (missing("bs4"), ("html.parser", "node HTML")),
                (missing("openai"), ("_helpers.http_request", "own node")),
                (missing("some_package_of_mine"), ("cannot install packages",)),
                (missing("micropip"), ("cannot install packages", "Delete")),
                (missing("js"), ("not Pyodide", "plain dicts")),
                (missing("urllib2"), ("urllib.request",)),
                (missing("distutils.core"), ("sysconfig",)),
            )
        )

    def test_a_misspelt_module_has_its_nearest_name(self) -> None:
        for wrong, right in (
            ("jsno", "json"),
            ("dattime", "datetime"),
            ("itertool", "itertools"),
            ("JSON", "json"),
            ("maths", "math"),
        ):
            with self.subTest(wrong):
                self.assertEqual(
                    hint_of(run_all(missing(wrong))), f"Correct the name: import {right}."
                )

    def test_a_package_is_not_taken_for_a_misspelt_module(self) -> None:
        for name in ("numpy", "ujson", "pytz", "regex", "yaml"):
            with self.subTest(name):
                self.assertNotIn("Correct the name", hint_of(run_all(missing(name))))

    def test_a_hint_speaks_of_the_place_where_the_code_runs(self) -> None:
        hint = hint_of(run_exec(missing("aiohttp")))
        self.assertIn("--allow-net", hint)
        hint = hint_of(run_program(missing("aiohttp")))
        self.assertIn("program that embeds it", hint)
        self.assertNotIn("_helpers", hint)
        for name in ("openai", "bs4", "psycopg2"):
            for run in (run_exec, run_program):
                self.assertNotIn("node", hint_of(run(missing(name))).replace("node of n8n", ""))

    def test_moved_names_have_their_new_place(self) -> None:
        self.check(
            (
                ("import collections\ncollections.Mapping", ("collections.abc.Mapping",)),
                ("import time\ntime.clock()", ("time.perf_counter",)),
            )
        )


class PolicyHintsTest(ImageTest):
    def run_under(self, policy: dict[str, Any], code: str, **more: Any) -> str:
        return hint_of(run_all(code, serpentarium={"policy": policy}, **more))

    def test_a_refused_import_names_the_setting(self) -> None:
        nothing: dict[str, Any] = {"stdlibAllow": [], "externalAllow": []}
        hint = self.run_under(nothing, "import email, json\nfrom io import BytesIO")
        self.assertIn("N8N_RUNNERS_STDLIB_ALLOW decides. To allow, add email,json,io to it", hint)
        self.assertNotIn("EXTERNAL", hint)
        hint = self.run_under(nothing, "import pandas, json")
        self.assertIn("add json to it", hint)
        self.assertIn("Allowing pandas would not help", hint)
        hint = self.run_under({"externalAllow": []}, "import jsno")
        self.assertIn("Did you mean json?", hint)
        hint = self.run_under(nothing, "import json", printMode="text")
        self.assertIn("stdlibAllow", hint)
        self.assertNotIn("N8N_", hint)

    def test_other_violations_name_the_settings(self) -> None:
        hint = self.run_under({"stdlibAllow": []}, "return ().__class__.__base__")
        self.assertIn("unless N8N_RUNNERS_STDLIB_ALLOW and N8N_RUNNERS_EXTERNAL_ALLOW", hint)

    def test_a_denied_built_in_names_the_setting(self) -> None:
        policy = {"builtinsDeny": ["open", "__build_class__"]}
        for code in ("open('x')", "class A:\n    x = 1"):
            hint = self.run_under(policy, code)
            self.assertIn("N8N_RUNNERS_BUILTINS_DENY decides", hint)
        self.assertEqual(self.run_under(policy, "opne('x')"), "")

    def test_hints_name_allowed_modules_only(self) -> None:
        policy = {"stdlibAllow": ["json"], "externalAllow": ["*"]}
        self.assertNotIn("csv", self.run_under(policy, missing("pandas")))
        hint = self.run_under({"stdlibAllow": ["csv"], "externalAllow": ["*"]}, missing("pandas"))
        self.assertIn("csv", hint)
        self.assertNotIn("statistics", hint)


if __name__ == "__main__":
    unittest.main()
