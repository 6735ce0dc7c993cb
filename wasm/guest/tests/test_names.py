"""The names that n8n offers to code, and their requests."""

import unittest
from typing import Any

from guest import HOST, Reply, run_all, run_each

ITEMS = [
    {"json": {"n": 1}, "pairedItem": {"item": 1}},
    {"json": {"n": 2}, "pairedItem": {"item": 0}},
]
STARTED = [{"json": {"s": "a"}}, {"json": {"s": "b"}}]
SET = [{"json": {"t": i}, "pairedItem": {"item": i}} for i in range(2)]

DATA: dict[str, Any] = {
    "workflow": {
        "id": "wf",
        "name": "Orders",
        "active": True,
        "nodes": [
            {"name": "Start", "parameters": {"path": "x"}},
            {"name": "If", "parameters": {"of": "={{ $json.n }}"}},
            {"name": "Set", "parameters": {}},
            {"name": "Python", "parameters": {}},
            {"name": "Never", "parameters": {}},
        ],
        "connections": {
            "Start": {"main": [[{"node": "If", "type": "main", "index": 0}]]},
            "If": {"main": [None, [{"node": "Set", "type": "main", "index": 0}]]},
            "Set": {"main": [[{"node": "Python", "type": "main", "index": 0}]]},
        },
        "settings": {"timezone": "Asia/Tokyo"},
        "staticData": {"global": {"count": 4}},
    },
    "activeNodeName": "Python",
    "mode": "webhook",
    "runIndex": 2,
    "connectionInputSource": {"main": [{"previousNode": "Set"}]},
    "runExecutionData": {
        "resultData": {
            "runData": {
                "Start": [{"data": {"main": [STARTED]}, "source": []}],
                "If": [{"data": {"main": [[], SET]}, "source": [{"previousNode": "Start"}]}],
                "Set": [
                    {"data": {"main": [[{"json": {"run": 0}}]]}, "source": []},
                    {
                        "data": {"main": [SET]},
                        "source": [{"previousNode": "If", "previousNodeOutput": 1}],
                    },
                ],
            },
            "metadata": {"earlier": "yes"},
        },
        "executionData": {"contextData": {"node:Set": {"noItemsLeft": True}}},
        "resumeToken": "t k",
    },
    "additionalData": {
        "executionId": "12",
        "variables": {"region": "eu"},
        "webhookWaitingBaseUrl": "http://n8n.local/webhook-waiting",
        "formWaitingBaseUrl": "http://n8n.local/form-waiting",
    },
    "envProviderState": {"isProcessAvailable": True, "isEnvAccessBlocked": True, "env": {}},
}


def answer(**changes: Any) -> None:
    HOST.answers = {"taskData": {**DATA, **changes}}


def wanted() -> dict[str, Any]:
    """The parameters of the data request."""
    params: dict[str, Any]
    [(name, [params])] = HOST.called
    assert name == "taskData", name
    assert params.pop("input") == {"include": False} and params.pop("prevNode") is False
    return params


class NamesTest(unittest.TestCase):
    def setUp(self) -> None:
        # The run of Set that the items come from is its second one.
        answer(connectionInputSource={"main": [{"previousNode": "Set", "previousNodeRun": 1}]})

    def returns(self, code: str, expected: Any) -> Reply:
        reply = run_all(code, ITEMS)
        self.assertEqual(reply.result, expected, code)
        return reply

    def test_data_of_the_task_itself_needs_no_call(self) -> None:
        for code, expected in (
            ("return _input.all()", ITEMS),
            ("return _input.all() is _items", True),
            ("return [_input.first(), _input.last(), _input.item]", [ITEMS[0], ITEMS[1], ITEMS[0]]),
            ("return [_json, _item_index, _itemIndex]", [{"n": 1}, 0, 0]),
            (
                "class A:\n    _run_index = 1\n    def f(self): return self._run_index, self._now\n"
                "A._now = 2\nreturn A().f()",
                [1, 2],
            ),
            ("_now = 3\nreturn 4", 4),
            ("def f(_node): return _node\nreturn f(4)", 4),
            (
                "return [repr(_node), _node['Set'].name, repr(_node['Set'])]",
                ["<_node: the nodes of the workflow>", "Set", "<node 'Set'>"],
            ),
        ):
            with self.subTest(code):
                self.returns(code, expected)
                self.assertEqual(HOST.called, [])
        self.assertEqual(
            run_all(
                "return [_input.all(), _input.first(), _input.last(), _input.item, _json]"
            ).result,
            [[], None, None, None, None],
        )

    def test_each_item_has_its_own_values(self) -> None:
        code = (
            "def f(): return _json['a']\n"
            "return {'json': [_item_index, f(), _input.item['json'], _node['Set'].json]}"
        )
        results = [item["json"] for item in run_each(code, [{"a": 1}, {"a": 2}]).result]
        self.assertEqual(results, [[0, 1, {"a": 1}, {"t": 0}], [1, 2, {"a": 2}, {"t": 1}]])
        self.assertEqual(len(HOST.called), 1)

    def test_only_mentioned_data_is_requested(self) -> None:
        for code, nodes in (
            ("_node['Set'].all()", ["Set"]),
            ("_node('Set').first(); _node['If'].last()", ["If", "Set"]),
            ("_('Set').all()", ["Set"]),
            ("n = _node['Set']\nn.all()\nx = [_ for _ in n.all()]", ["Set"]),
            ("def f():\n    return _node['Set'].json\nf()\n_input.item", ["Set"]),
            ("_workflow.active", []),
            ("_prev_node.name", []),
            ("x = _run_index, str(_now)", []),
            ("_node['Set'].item", "all"),
            ("n = _node['Set']\nn.item", "all"),
            ("for name in ['Set', 'If']: _node[name].all()", "all"),
            ("nodes = _node\nnodes['Set'].all()", "all"),
            ("eval('_node[\"Set\"]').all()", "all"),
            ("  _node['Set'].all()\n  _node['If'].all()", ["If", "Set"]),
            ("_node['Set']['json']\nx = {}.get('item')", ["Set"]),
            ("n = _node['Set']\nn['json']\nn[0]", ["Set"]),
            ("_node['Set'][0]\nlen(_node['If'])\n_input['item']", ["If", "Set"]),
            ("_node['Set']['item']", "all"),
            ("n = _node['Set']\nn['item']", "all"),
        ):
            with self.subTest(code):
                self.assertEqual(run_all(code, ITEMS).result, None)
                self.assertEqual(wanted(), {"dataOfNodes": nodes, "env": False})

    def test_other_nodes_have_items_parameters_and_context(self) -> None:
        for code, expected in (
            ("return _node['Set'].all()", SET),
            ("return _node['Set'].all(0, 0)", [{"json": {"run": 0}}]),
            ("return [_node['If'].first(), _node['If'].all(0)]", [SET[0], []]),
            ("return [_node['Start'].last(), _node['Start'].json]", [STARTED[1], {"s": "a"}]),
            ("return _node['If'].params", {"of": "={{ $json.n }}"}),
            ("return [_node['Set'].is_executed, _node['Never'].isExecuted]", [True, False]),
            ("return _node['Set'].context", {"noItemsLeft": True}),
            ("return [_input.params, _input.context]", [{}, {"noItemsLeft": True}]),
            (
                "return [_prev_node.name, _prevNode.outputIndex, _prev_node.run_index]",
                ["Set", 0, 1],
            ),
        ):
            with self.subTest(code):
                self.returns(code, expected)

    def test_paired_items_are_followed_back(self) -> None:
        for code, expected in (
            ("return _node['Start'].item", STARTED[1]),
            ("return _node['Start'].item_matching(1)", STARTED[0]),
            ("return _node['Set'].pairedItem(1)", SET[0]),
        ):
            with self.subTest(code):
                self.returns(code, expected)

    def test_missing_data_is_an_error(self) -> None:
        for code, message in (
            ("_node['Nowhere'].all()", "Referenced node doesn't exist: 'Nowhere'"),
            ("_node['Nowhere'].params", "Referenced node doesn't exist: 'Nowhere'"),
            ("_node['Never'].first()", "Node 'Never' hasn't been executed"),
            ("_node['Set'].all(3)", "Node 'Set' has no branch with index 3"),
            ("_node['Set'].all(0, 5)", "Run 5 of node 'Set' not found"),
            (
                "_node['Set'].item_matching(5)",
                "This node has 2 input item(s), but item 5 was asked for",
            ),
            ("_node['Never'].item", "No path leads from node 'Never' to this one"),
            ("_node[1]", "a node's name must be a str, not int"),
            (
                "_env['HOME']",
                "access to env vars denied: n8n needs N8N_BLOCK_ENV_ACCESS_IN_NODE=false",
            ),
            ("_vars['nope']", "KeyError: \"_vars has no 'nope'. It has region\""),
        ):
            with self.subTest(code):
                self.assertEqual(run_all(code, ITEMS).message, message)
        answer(connectionInputSource=None)
        self.returns("return [_prev_node.name, _prev_node.output_index]", [None, None])
        error = run_all("\n_input.params", ITEMS).error
        self.assertEqual(
            (error["message"], error["lineNumber"]),
            ("The items of this node come from no other node", 2),
        )

    def test_workflow_and_execution_have_their_data(self) -> None:
        signed = "signature=t+k"
        for code, expected in (
            ("return [_workflow.id, _workflow.name, _workflow.active]", ["wf", "Orders", True]),
            ("return [_execution.id, _execution.mode]", ["12", "production"]),
            ("return _execution.resume_url", f"http://n8n.local/webhook-waiting/12?{signed}"),
            ("return _execution.resumeFormUrl", f"http://n8n.local/form-waiting/12?{signed}"),
            (
                "return [_vars['region'], _vars.region, _vars.get('x'), dict(_vars), 'x' in _vars]",
                ["eu", "eu", None, {"region": "eu"}, False],
            ),
            ("return _run_index", 2),
            ("return _runIndex", 2),
            ("return str(_now.tzinfo)", "Asia/Tokyo"),
            (
                "return [_today.hour, _today.minute, _today <= _now, _now.utcoffset().seconds]",
                [0, 0, True, 32400],
            ),
            ("return eval('_run_index')", 2),
            ("return globals()['_run_index'] + len(globals()['_input'].all())", 4),
        ):
            with self.subTest(code):
                self.returns(code, expected)
                self.assertEqual(len(HOST.called), 1)
        reply = run_all(
            "return [_workflow.id, _workflow.name, _execution.mode]",
            workflowId="1",
            workflowName="W",
            workflowMode="manual",
        )
        self.assertEqual((reply.result, HOST.called), (["1", "W", "test"], []))
        answer(workflow={})
        self.returns("return [_workflow.id, _workflow.name]", [None, None])

    def test_the_environment_is_requested_only_if_mentioned(self) -> None:
        answer(
            envProviderState={
                "isProcessAvailable": True,
                "isEnvAccessBlocked": False,
                "env": {"HOME": "/home"},
            }
        )
        self.returns("return [_env['HOME'], _env.HOME, _env.get('X')]", ["/home", "/home", None])
        self.assertEqual(wanted(), {"dataOfNodes": [], "env": True})

    def test_values_are_requested_only_for_global_names_that_are_read(self) -> None:
        for code, asked in (
            ("def f(_now): return _now\nreturn f(1)", 0),
            ("def f():\n    _today = 1\n    return lambda: _today\nreturn f()()", 0),
            ("global _now\n_now = 1", 0),
            ("return [_run_index for _run_index in [1]]", 0),
            ("def f(_now=1):\n    class A: x = [_run_index]\n    return A.x", 1),
            ("f = lambda: [str(_today) for _ in [1]]", 1),
            ("return eval('_run_index')", 1),
        ):
            with self.subTest(code):
                answer()
                self.assertIn("result", run_all(code).value)
                self.assertEqual(len(HOST.called), asked)

    def test_a_failed_request_is_not_repeated(self) -> None:
        HOST.answers = {"taskData": HOST.CallError("no")}
        code = """
answers = []
for _ in range(3):
    try: _workflow.active
    except _helpers.CallError as error: answers.append(str(error))
return answers"""
        self.assertEqual(run_all(code).result, ["no", "no", "no"])
        self.assertEqual(len(HOST.called), 1)

    def test_an_unknown_time_zone_is_named(self) -> None:
        for zone in ("Nope/X", "../x", "Europe"):
            answer(workflow={**DATA["workflow"], "settings": {"timezone": zone}})
            message = (
                f"Unknown time zone '{zone}': set the workflow's time zone, or GENERIC_TIMEZONE"
            )
            self.assertEqual(run_all("return str(_now)").error["message"], message)
        answer(workflow={**DATA["workflow"], "settings": {"timezone": "DEFAULT"}})
        reply = run_all("return str(_now.tzinfo)", serpentarium={"timezone": "Europe/Oslo"})
        self.assertEqual(reply.result, "Europe/Oslo")
        self.returns("return str(_now.tzinfo)", "America/New_York")

    def test_the_default_time_zone_is_the_installations(self) -> None:
        answer(workflow={})
        self.returns("return str(_now.tzinfo)", "America/New_York")
        reply = run_all("return str(_now.tzinfo)", serpentarium={"timezone": "Europe/Oslo"})
        self.assertEqual(reply.result, "Europe/Oslo")

    def test_pinned_items_replace_a_run_in_a_manual_execution(self) -> None:
        pinned = {**DATA["workflow"], "pinData": {"Never": [{"json": {"p": 1}}]}}
        answer(workflow=pinned, mode="manual")
        self.returns("return _node['Never'].all()", [{"json": {"p": 1}}])
        answer(workflow=pinned)
        self.assertEqual(
            run_all("_node['Never'].all()").error["message"], "Node 'Never' hasn't been executed"
        )

    def test_changed_static_data_is_an_effect(self) -> None:
        before = DATA["workflow"]["staticData"]
        for code, after in (
            ("_get_workflow_static_data('global')", None),
            ("_getWorkflowStaticData('node')", None),
            ("d = _get_workflow_static_data('global')\nd['count'] += 1\nd['count'] -= 1", None),
            ("_get_workflow_static_data('global')['count'] += 1", {"global": {"count": 5}}),
            ("_get_workflow_static_data('node')['a'] = [1]", {**before, "node:Python": {"a": [1]}}),
            ("del _get_workflow_static_data('global')['count']", {"global": {}}),
            (
                "_get_workflow_static_data('global')['count'] = float('nan')",
                {"global": {"count": None}},
            ),
            (
                "_get_workflow_static_data('global')['count'] = '\\ud800'",
                {"global": {"count": "?"}},
            ),
        ):
            with self.subTest(code):
                answer(workflow={**DATA["workflow"], "staticData": {"global": {"count": 4}}})
                self.assertEqual(run_all(code).effects.get("staticData"), after)
        missing: dict[str, Any] | None
        for missing in ({}, None):
            answer(workflow={"staticData": missing})
            reply = run_all("_get_workflow_static_data('global')['first'] = 1\nreturn 2")
            self.assertEqual(
                reply.value, {"result": 2, "effects": {"staticData": {"global": {"first": 1}}}}
            )
        error = run_all("_get_workflow_static_data('x')").error
        self.assertEqual(error["message"], "static data is 'global' or 'node', not 'x'")
        error = run_all("d = _get_workflow_static_data('global')\nd['d'] = d").error
        self.assertEqual(error["message"], "Static data contains a circular reference")
        error = run_all(
            "d = _get_workflow_static_data('global')\nfor _ in range(9000): d['d'] = d = {}"
        ).error
        self.assertEqual(error["message"], "Static data is nested too deeply")

    def test_custom_data_is_an_effect(self) -> None:
        reply = run_all(
            "c = _execution.custom_data\nc.set('a', 1)\nc.set('b', 'x' * 600)\nreturn c.get('a')"
        )
        self.assertEqual(
            reply.value, {"result": "1", "effects": {"customData": {"a": "1", "b": "x" * 512}}}
        )
        self.assertEqual(HOST.called, [])
        reply = run_all(
            "c = _execution.customData\nc.setAll({'é_1': 2.5})\n"
            "return [c.get('earlier'), c.getAll(), c.get('no')]"
        )
        self.assertEqual(reply.result, ["yes", {"earlier": "yes", "é_1": "2.5"}, None])
        reply = run_all("for i in range(12): _execution.custom_data.set(f'k{i}', i)")
        self.assertEqual(len(reply.effects["customData"]), 10)
        for call, message in (
            (
                "set('a-b', 1)",
                "Custom data key can only contain letters, numbers, and underscores (key 'a-b')",
            ),
            ("set(1, 1)", "a custom data key must be a str, not int"),
            (
                "set('a', True)",
                "a custom data value must be a str, int or float, not bool (key 'a')",
            ),
        ):
            with self.subTest(call):
                self.assertEqual(
                    run_all(f"_execution.custom_data.{call}").error["message"], message
                )

    def test_help_describes_each_object(self) -> None:
        reply = run_all(
            "help(_helpers, _node['a'], _input, _get_workflow_static_data)\nhelp()",
            printMode="text",
        )
        for text in (
            "_helpers: HTTP requests and binary data",
            ".http_request(url: str | Mapping[str, Any], *, method: str | None = None",
            "Makes an HTTP request",
            ".http_request_async(",
            "Awaitable. Makes an HTTP request",
            ".item\n    The node's item that the current",
            ".all(branch_index: int | None = None",
            "(kind: str)",
            "help(_helpers)",
        ):
            self.assertIn(text, reply.stdout)
        self.assertNotIn("httpRequest", reply.stdout)
        code = "return [dir(o) for o in (_input, _prev_node, _execution)]"
        names = run_all(code).result
        self.assertEqual(
            names[0], ["all", "binary", "context", "first", "item", "json", "last", "params"]
        )
        self.assertEqual(names[1], ["name", "output_index", "run_index"])
        self.assertEqual(names[2], ["custom_data", "id", "mode", "resume_form_url", "resume_url"])
        reprs = run_all(
            "return [repr(o) for o in (_helpers, _input, _node, _prev_node, _workflow, "
            "_execution, _execution.custom_data, _vars, _env, _get_workflow_static_data, "
            "_jmespath)]"
        ).result
        self.assertTrue(all(len(text) < 80 and "object at" not in text for text in reprs), reprs)


if __name__ == "__main__":
    unittest.main()
