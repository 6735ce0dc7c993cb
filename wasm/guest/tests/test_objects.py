"""n8n's objects as people write them: items, lengths, loops, and errors that name the members."""

import unittest
from typing import Any

from guest import HOST, run_all, run_each
from test_names import DATA, ITEMS, SET, answer


class ObjectsTest(unittest.TestCase):
    def setUp(self) -> None:
        answer(connectionInputSource={"main": [{"previousNode": "Set", "previousNodeRun": 1}]})

    def test_the_input_is_also_a_list(self) -> None:
        for code, expected in (
            ("[_input[0], _input[-1], _input[0:1]]", [ITEMS[0], ITEMS[1], ITEMS[:1]]),
            ("[len(_input), bool(_input), [i['json']['n'] for i in _input]]", [2, True, [1, 2]]),
            ("[_input.json, _input['json']['n'], _input.item['json']]", [{"n": 1}, 1, {"n": 1}]),
            ("[_input.binary, _input['first'](), _items[1] in _input]", [{}, ITEMS[0], True]),
            ("['json' in _input, 'nothing' in _input]", [True, False]),
            ("sorted(_input, key=lambda item: -item['json']['n'])[0]", ITEMS[1]),
        ):
            with self.subTest(code):
                self.assertEqual(run_all(f"return {code}", ITEMS).result, expected)
        self.assertEqual(
            run_all("return [len(_input), bool(_input), list(_input), _input.json]").result,
            [0, False, [], None],
        )
        values = [item["json"] for item in run_each("return {'json': _input.json}", [1, 2]).result]
        self.assertEqual(values, [1, 2])
        self.assertEqual(HOST.called, [])

    def test_members_are_also_items(self) -> None:
        for code, expected in (
            ("_node['Start']['json']['s']", "a"),
            ("_node('Start')['item']", {"json": {"s": "b"}}),
            ("[_node['Set'][1], len(_node['Set']), list(_node['Set'])]", [SET[1], 2, SET]),
            ("[_node['Set']['first'](), _node['Set'][-1:]]", [SET[0], SET[1:]]),
            ("[_node['Start']['params'], _node['Never']['isExecuted']]", [{"path": "x"}, False]),
            (
                "[_execution['id'], _execution['mode'], _workflow['name']]",
                ["12", "production", "Orders"],
            ),
            ("[_prev_node['name'], _prevNode['outputIndex']]", ["Set", 0]),
            ("[bool(_node), bool(_node['Never'])]", [True, True]),
            (
                "[list(_node)[0], len(_node), 'If' in _node, 'No' in _node]",
                ["Start", 5, True, False],
            ),
        ):
            with self.subTest(code):
                self.assertEqual(run_all(f"return {code}", ITEMS).result, expected)

    def test_each_item_has_its_own_members(self) -> None:
        code = "return {'json': [_input['json'], _node['Set']['json'], _input.item['json']]}"
        results = [item["json"] for item in run_each(code, [{"a": 1}, {"a": 2}]).result]
        self.assertEqual(results, [[{"a": 1}, {"t": 0}, {"a": 1}], [{"a": 2}, {"t": 1}, {"a": 2}]])

    def test_custom_data_is_also_a_dict(self) -> None:
        reply = run_all(
            "c = _execution['custom_data']\nc['a'] = 1\n"
            "return [c['a'], c['earlier'], 'a' in c, 'b' in c, sorted(c), c['a']]"
        )
        expected = ["1", "yes", True, False, ["a", "earlier"], "1"]
        self.assertEqual(reply.value, {"result": expected, "effects": {"customData": {"a": "1"}}})

    def test_an_error_names_what_the_object_has(self) -> None:
        of_input = "all(), binary, context, first(), item, json, last(), params"
        for code, message in (
            ("_input.items", f"_input has no 'items'. It has {of_input}"),
            ("_input['x']", f"KeyError: \"_input has no 'x'. It has {of_input}\""),
            ("_input[2]", "_input has 2 items, but item 2 was asked for"),
            ("_node['Set'][-3]", "_node['Set'] has 2 items, but item -3 was asked for"),
            ("_input[1.5]", "an item's index must be an int, not float"),
            ("_workflow[0]", "_workflow is no list. It has active, id, name"),
            ("_workflow.nme", "_workflow has no 'nme'. It has active, id, name"),
            (
                "_prev_node['x']",
                "KeyError: \"_prev_node has no 'x'. It has name, output_index, run_index\"",
            ),
            (
                "_node.Webhook",
                "_node has no 'Webhook': write _node['Webhook'] for the node of that name",
            ),
            ("_vars.nope", "_vars has no 'nope'. It has region"),
            ("for x in _workflow: pass", "_workflow is no list. It has active, id, name"),
        ):
            with self.subTest(code):
                self.assertEqual(run_all(code, ITEMS).error["message"].split("\n")[0], message)
        for code in (
            "_node['Set'].jsn",
            "_helpers.http_get",
            "_execution.custom_data.put",
            "_get_workflow_static_data.x",
            "_jmespath.search",
        ):
            with self.subTest(code):
                message = run_all(code, ITEMS).error["message"]
                self.assertRegex(message, r"has no '\w+'\. It has ?")

    def test_other_protocols_do_not_find_members(self) -> None:
        code = """
import copy
found = [hasattr(o, '__len__') for o in (_input, _execution)]
same = copy.copy(_execution)
return [*found, same.id, getattr(_input, 'nothing', 7), hasattr(_workflow, '__deepcopy__')]"""
        self.assertEqual(run_all(code, ITEMS).result, [True, False, "12", 7, False])

    def test_swapped_arguments_of_jmespath_are_explained(self) -> None:
        for code, message in (
            (
                "_jmespath('[0].json', _items)",
                "the arguments are swapped: write _jmespath(data, '[0].json')",
            ),
            ("_jmespath(_items, 1)", "the expression must be a str, not int"),
        ):
            self.assertEqual(run_all(code, ITEMS).error["message"], message)

    def test_a_stored_file_is_not_decoded_as_base64(self) -> None:
        stored = {"mimeType": "text/csv", "data": "database", "id": "database:x"}
        plain = {"mimeType": "text/csv", "data": "YTtiCg=="}
        read = "base64.b64decode(_items[1]['binary']['f']['data'])"
        items: list[dict[str, Any]] = [{"json": {}}, {"json": {}, "binary": {"f": stored}}]
        why = (
            "'database' is not base64: n8n stores the file 'f' of item 1, and its data is only "
            "this word. _helpers.get_binary_data(1, 'f') returns the bytes"
        )
        for code in (
            f"import base64\nreturn {read}",
            "from base64 import b64decode as d\nreturn d(b'database')",
            f"import base64\ndef f(): return {read}.decode()\nreturn f()",
        ):
            self.assertEqual(run_all(code, items).error["message"], why)
        code = "import binascii\nreturn binascii.a2b_base64('database').decode('ascii')"
        message = run_all(code, items).error["message"]
        self.assertTrue(message.endswith(f"\nHint: {why}."), message)
        code = "import base64\nreturn base64.b64decode('aGk=', validate=True).decode()"
        self.assertEqual(run_all(code, items).result, "hi")
        items[1]["binary"]["f"] = plain
        self.assertEqual(run_all(f"import base64\nreturn {read}.decode()", items).result, "a;b\n")
        code = "import base64\nreturn base64.b64decode('database').hex()"
        self.assertEqual(run_all(code, items).result, "75ab5a6dab1e")


class AloneTest(unittest.TestCase):
    """Tasks that run without n8n."""

    def setUp(self) -> None:
        HOST.answers = {}

    def test_a_call_says_that_it_needs_n8n(self) -> None:
        why = (
            " needs n8n, and `serpentarium exec` runs the code without it. Run the code in n8n, "
            "or with `serpentarium broker`, which answers in n8n's place"
        )
        for code, name in (
            ("_execution.id", "_execution"),
            ("x = _node['Set'].all() + [_workflow.active]", "_node or _workflow"),
            ("_getWorkflowStaticData('global')", "_getWorkflowStaticData"),
            ("_input.first()\n_input.params", "_input"),
            ("_vars['a']", "_vars"),
            ("_workflow.name", "_workflow"),
            ("_helpers.http_request('http://x')", "_helpers.http_request"),
            ("_helpers.getBinaryDataBuffer(0)", "_helpers.get_binary_data"),
        ):
            with self.subTest(code):
                error = run_all(code, printMode="text", workflowName="Unknown").error
                self.assertEqual(error["message"], name + why)
                self.assertNotIn("_serpentarium", error["description"])
        message = run_all("_workflow.active").error["message"]
        self.assertEqual(
            message,
            "_workflow needs n8n, and nothing answers in n8n's place here (Method not allowed)",
        )

    def test_time_and_run_have_a_local_meaning(self) -> None:
        self.assertEqual(run_all("return [_run_index, _runIndex]").result, [0, 0])
        code = """
from datetime import datetime, timedelta
here = datetime.now().astimezone()
assert abs(_now - here) < timedelta(seconds=9), _now
assert _now.utcoffset() == here.utcoffset() and _today <= _now
return [_today.hour, str(_now.tzinfo) if _now.utcoffset() else 'UTC']"""
        self.assertEqual(run_all(code).result[0], 0)
        reply = run_all("return str(_now.tzinfo)", serpentarium={"timezone": "Asia/Tokyo"})
        self.assertEqual(reply.result, "Asia/Tokyo")

    def test_other_failures_of_n8n_are_not_hidden(self) -> None:
        HOST.answers = {"taskData": HOST.CallError("gone away")}
        self.assertEqual(run_all("return str(_now)").error["message"], "gone away")
        self.assertNotIn("workflow", DATA["workflow"]["name"])


if __name__ == "__main__":
    unittest.main()
