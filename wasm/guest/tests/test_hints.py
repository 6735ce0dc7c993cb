"""Hints: the line after Python's own text."""

import unittest

from guest import run_all, run_each, run_program
from hinting import HintTest, hint_of, run_exec


class HintsTest(HintTest):
    def test_a_hint_follows_message_and_traceback(self) -> None:
        error = run_all("name = input('Name: ')").error
        own, _, hint = error["message"].partition("\nHint: ")
        self.assertEqual(own, "EOF when reading a line")
        self.assertIn("Nobody can answer", hint)
        self.assertTrue(error["description"].endswith(f"EOFError: {error['message']}"))

    def test_an_error_without_a_hint_is_unchanged(self) -> None:
        message = run_all("raise EOFError('the file ended')").error["message"]
        self.assertEqual(message, "the file ended")

    def test_hostile_types_get_no_hint(self) -> None:
        code = (
            "class M(type):\n"
            "    def __hash__(cls): raise KeyboardInterrupt\n"
            "    __mro__ = property(lambda cls: 1 / 0)\n"
            "class E(EOFError, metaclass=M):\n"
            "    args = property(lambda self: 1 / 0)\n"
            "raise E('EOF when reading a line')"
        )
        self.assertIn("EOF when reading a line", run_all(code).error["message"])

    def test_hostile_values_leave_the_error_as_it_is(self) -> None:
        for code in (
            "class D(dict):\n    def __contains__(self, k): 1 / 0\n    __iter__ = 0\nD()['x']",
            "class K:\n    __hash__ = lambda s: hash('x')\n    __eq__ = lambda s, o: 1 / 0\n"
            "d = {K(): 1}\nk = 'y'\nd[k]",
            "class O:\n    __class__ = property(lambda s: 1 / 0)\n"
            "    __getattr__ = lambda s, n: {}[n]\nO().json",
            "class R:\n    __repr__ = lambda s: 1 / 0\n    __hash__ = lambda s: 7\n{R(): 1}['x']",
            "raise AttributeError('no', name=[], obj=3)",
            "raise ImportError('no', name=3)",
            "e = ModuleNotFoundError('no')\ne.name = 'a' * 100000\nraise e",
            "e = SyntaxError('no')\ne.lineno = '1'\ne.filename = '<code>'\nraise e",
        ):
            with self.subTest(code):
                self.assertTrue(run_all(code).error["description"])

    def test_a_hint_of_the_cause_is_not_shown(self) -> None:
        code = "try:\n    {'a': 1}['b']\nexcept KeyError as e:\n    raise ValueError('bad') from e"
        self.assertEqual(hint_of(run_all(code)), "")


class AttributeHintsTest(HintTest):
    def test_keys_of_items_are_no_attributes(self) -> None:
        items = [{"json": {"name": "Ada", "data": {"two": None}}}]
        self.check(
            (
                ("for item in _items:\n    item.json.total = 7", ('item["json"]["total"]',)),
                ("return _items[0].json.name", ('_items[0]["json"]["name"]',)),
                ("row = _items[0].json.to_py()", ('_items[0]["json"]',)),
                ("return [{**_items[0].json, 'done': True}]", ('_items[0]["json"]',)),
                ("return {'x': _json.name}", ('_json["name"]',)),
                ("return {'x': _json.nmae}", ('_json["name"]',)),
                ("return _json.to_py()", ("belongs to Pyodide",)),
                ("return _json.status", ('_json["status"]', "no such key")),
                ("return _json.json", ('_json["json"]', "no such key")),
                ("return _items.json", ("_items is a list", '_items[0]["json"]')),
                ("return _items.all()", ("plain list: write _items.",)),
                ("return _items.first()", ("_items[0]",)),
                ("return len(_items['json'])", ("_items is a list",)),
                ("return _input.all[0]", ("_input.all is a function: call it, _input.all()",)),
            ),
            items,
        )

    def test_javascript_has_its_translation(self) -> None:
        self.check(
            (
                ("return 'a'.toUpperCase()", ("text.upper()",)),
                ("x = [1]\nx.push(2)", ("values.append",)),
                ("return [1].length", ("len(values)",)),
                ("return {'a': 1}.hasOwnProperty('a')", ("key in mapping",)),
                ("return (1.25).toFixed(1)", ("round(number, digits)",)),
                ("return JSON.stringify({})", ("json.dumps",)),
                ("x = null", ("In Python: None.",)),
                ("console.log(1)", ("print",)),
            )
        )

    def test_dates_of_luxon_have_their_translation(self) -> None:
        code = "from datetime import datetime\nnow = datetime(2024, 1, 1)\nreturn now."
        self.check(
            (
                (code + "plus({'days': 1})", ("now + timedelta(days=1)", "Luxon")),
                (code + "toISO()", ("now.isoformat()",)),
                (code + "toFormat('yyyy')", ("now.strftime",)),
                (code + "unknown", ()),
            )
        )

    def test_a_value_without_a_result_is_explained(self) -> None:
        self.check(
            (
                ("async def f(): return {}\nreturn f()['a']", ("await",)),
                ("async def f(): return {}\nreturn f().get('a')", ("(await f())",)),
                ("import re\nreturn re.match('a', 'b').group()", ("Test the result",)),
                ("d = {}\nreturn d.get('a').get('b')", ("'a' is missing or None",)),
            )
        )

    def test_a_response_is_the_body_itself(self) -> None:
        code = "r = {'a': 1}  # _helpers.http_request('…')\nreturn r."
        self.check(
            ((code + "json()", ("full_response=True",)), (code + "status_code", ("full_response",)))
        )

    def test_the_input_and_its_function_are_told_apart(self) -> None:
        self.check((("x = input['a']", ("The input is _items",)),))
        self.assertIn("given no input", hint_of(run_program("return input['a']")))
        self.check((("await micropip.install('x')", ("cannot install",)),))

    def test_other_attributes_have_no_hint(self) -> None:
        self.check(
            (
                ("class A: pass\nreturn A().json", ()),
                ("return (3).real_part", ()),
                ("raise AttributeError('mine')", ()),
            )
        )


class KeyHintsTest(HintTest):
    def test_a_missing_key_shows_its_type_and_the_keys(self) -> None:
        reply = run_each("return {'v': _item['json']['missing']}", [{"id": 1, "name": "Ada"}])
        self.assertEqual(
            reply.error["message"],
            "KeyError: 'missing'\nHint: _item['json'] has the keys 'id', 'name'.",
        )

    def test_keys_are_found_without_running_code(self) -> None:
        items = [{"json": {"price": 1}}]
        self.check(
            (
                ("return _items[0]['json']['prise']", ("Did you mean 'price'?",)),
                ("return _input.first()['json']['cost']", ("has the key 'price'",)),
                (
                    "def f(row): return row['x']\nf({'a': 1, 'b': 2})",
                    ("row has the keys 'a', 'b'",),
                ),
                ("d = {}\nd.pop('x')", ("d is empty",)),
                ("d = {'a': 1}\ndel d['x']", ("d has the key 'a'",)),
                ("i = -1\nreturn _items[i]['name']", ("_items[i] has the key 'json'",)),
                ("def f(): return {'a': 1}\nreturn f()['x']", ()),
                ("return [i['json']['cost'] for i in _items]", ("has the key 'price'",)),
                ("r = [{'a': 1}, {'b': 2}]\nreturn {x['a'] for x in r}", ("has the key 'b'",)),
                ("return sorted(_items, key=lambda i: i['js'])", ("i has the key 'json'",)),
                ("raise KeyError('x')", ()),
                ("d = {'x': 1}\nd['y'] if 'y' in d else [][0]", ()),
            ),
            items,
        )

    def test_many_keys_are_cut(self) -> None:
        hint = hint_of(run_all("d = {f'key{i:03}': i for i in range(1000)}\nd['x']"))
        self.assertIn("and 988 more", hint)
        self.assertLess(len(hint), 300)
        hint = hint_of(run_all("d = {'k' * 10000: 1, 2: 3}\nd['x']"))
        self.assertLess(len(hint), 300)

    def test_a_large_container_is_not_searched_to_its_end(self) -> None:
        code = "r = [{'a': 1}] * 200_000 + [{}]\nreturn [x['a'] for x in r]"
        self.assertLess(len(hint_of(run_all(code))), 60)
        code = "d = {f'kez{i}': i for i in range(100_000)}\nreturn d['key99999']"
        self.assertIn("and 99988 more", hint_of(run_all(code)))

    def test_an_error_of_user_code_keeps_its_text(self) -> None:
        code = "class E(KeyError):\n    def __str__(self): return 'mine'\nraise E('x')"
        self.assertEqual(run_all(code).error["message"], "mine")
        self.assertEqual(run_all("raise KeyError").error["message"], "KeyError")

    def test_a_missing_index_shows_the_size(self) -> None:
        self.check(
            (
                ("return _items[1]", ("_items has 1 element: the last index is 0",)),
                ("x = []\nreturn x[0]", ("x is empty",)),
                ("return [1, 2].pop(7)", ()),
            ),
            [{"json": {}}],
        )

    def test_a_missing_environment_variable_names_the_setting(self) -> None:
        code = "import os\nreturn os.environ['MY_TOKEN_X']"
        self.assertIn("N8N_BLOCK_RUNNER_ENV_ACCESS", hint_of(run_all(code)))
        self.assertIn("--items", hint_of(run_exec(code)))
        self.assertEqual(hint_of(run_program(code)), "")


class NameHintsTest(HintTest):
    def test_names_of_the_other_mode_are_explained(self) -> None:
        self.assertIn("list _items. The node's mode", hint_of(run_all("return _item")))
        self.assertIn("--each runs it", hint_of(run_exec("return item")))
        self.assertIn("which is _item.", hint_of(run_each("return _items", [1])))

    def test_a_local_name_without_a_value_has_no_hint(self) -> None:
        code = "def f():\n    item.x\n    item = 1\nf()"
        self.assertEqual(hint_of(run_all(code)), "")

    def test_a_plain_program_has_no_names_of_n8n(self) -> None:
        for name in ("_items", "_helpers", "_now"):
            self.assertIn("the name input", hint_of(run_program(f"return {name}")))
        self.assertIn("not Python's function", hint_of(run_program("input('?')", input={})))


class SyntaxHintsTest(HintTest):
    def test_text_of_javascript_and_n8n_is_named(self) -> None:
        self.check(
            (
                ("for item in $input.all():\n    pass", ("write _input for $input",)),
                ("x = $json.name", ("write _json for $json",)),
                ("x = $('Node').first()", ('_node["Name"]',)),
                ("x = {{ $json.name }}", ("expression of n8n", "_json")),
                ("x = {{ 1 }}", ("expression of n8n",)),
                ("const x = 1", ("JavaScript",)),
                ("if a && b:\n    pass", ("JavaScript",)),
                ("function f(a) {\n  return 1\n}", ("JavaScript",)),
                ("def f(a) {\n  return 1\n}", ("JavaScript",)),
                ("x = [1].map(v => v)", ("JavaScript",)),
                ("Text before\n```python\nx = 1\n```", ()),
                ("x = 1\n```\n", ("Markdown",)),
                ("x = (", ()),
                ("x = '$5' +", ()),
                ("x = 'a && b' +", ()),
                ('x = f"{{a}}" +', ()),
                ("x = {'a': $json['b'], 'c': '{{'}", ("write _json for $json",)),
            )
        )

    def test_odd_characters_are_named_and_placed(self) -> None:
        for code, parts in (
            (
                "x = 1\nreturn\u00a0x\u00a0+ 1",
                ("Line 2, column 7: no-break space", "has 2 of them"),
            ),
            ("def f():\n\u00a0\u00a0return 1", ("Line 2, column 1", "U+00A0", "Write a space")),
            ("x =\u200b 1", ("Line 1, column 4", "zero width space (U+200B)", "Delete it")),
            ("x = \u201ca\u201d", ("left double quotation mark", 'Write " instead')),
            ("x = 3 \u2212 1", ("minus sign", "Write - instead")),
            ("x = \u20ac", ("euro sign",)),
        ):
            with self.subTest(code):
                hint = hint_of(run_all(code))
                for part in parts:
                    self.assertIn(part, hint)

    def test_a_fence_around_the_code_is_taken_off(self) -> None:
        for code in (
            "```python\nx = 1\nreturn x\n```",
            "\n\n```\nx = 1\nreturn x\n```\n\n",
            "~~~py\nx = 1\nreturn x\n~~~",
            "  ```python\n  x = 1\n  return x\n  ```",
            "```python\r\nx = 1\r\nreturn x\r\n```\r\n",
            "```python\nimport asyncio\nx = 1\nawait asyncio.sleep(0)\nreturn x\n```",
        ):
            with self.subTest(code):
                self.assertEqual(run_all(code).result, 1)
        self.assertIsNone(run_all("```\n```").result)

    def test_lines_in_a_fence_keep_their_numbers(self) -> None:
        error = run_all("```python\nx = 1\n1 / 0\n```").error
        self.assertEqual(error["lineNumber"], 3)
        self.assertIn("    1 / 0\n", error["description"])
        error = run_all("```python\nx = 1\nif x\n```").error
        self.assertEqual(error["lineNumber"], 3)

    def test_a_fence_in_the_middle_is_an_error(self) -> None:
        self.assertIn("Markdown", hint_of(run_all("```\nx = 1\n```\nreturn x\n```\n1\n```")))


class OutsideHintsTest(HintTest):
    def test_files_and_threads_have_a_way_out(self) -> None:
        code = "raise FileNotFoundError(2, 'No such file or directory', 'x.csv')"
        self.assertIn("that it has written", hint_of(run_all(code)))
        self.assertIn("_helpers.get_binary_data", hint_of(run_all(code)))
        self.assertNotIn("_helpers", hint_of(run_program(code)))
        code = "raise RuntimeError('deadlock: the main thread waits')"
        self.assertIn("one after another", hint_of(run_all(code)))

    def test_an_event_loop_that_runs_is_explained(self) -> None:
        code = (
            "import asyncio\nasync def f(n): return n\nawait f(1)\nb = asyncio.run(f(2))\nreturn b"
        )
        self.assertIn("Write await f(2) instead", hint_of(run_all(code)))

    def test_sets_in_json_have_a_way_out(self) -> None:
        self.check((("import json\nreturn json.dumps({'a': {1}})", ("default=str",)),))


if __name__ == "__main__":
    unittest.main()
