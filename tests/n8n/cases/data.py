"""n8n's data besides the items: other nodes, the workflow, the execution, time."""

import re

import workflow
from case import Case
from stage import TIME_ZONE

NUMBERS = [{"n": 1}, {"n": 2}, {"n": 3}]
SET = workflow.fields("Set", '={{ { "tens": $json.n * 10 } }}')

CASES = [
    Case(
        name="another node's items can be read",
        items=NUMBERS,
        before=[SET],
        code="""
node = _node["Items"]
return {
    "first": node.first()["json"]["n"],
    "last": node.last()["json"]["n"],
    "all": [item["json"]["n"] for item in node.all()],
    "same": node.json["n"],
}""",
        answers=[[{"first": 1, "last": 3, "all": [1, 2, 3], "same": 1}]],
    ),
    Case(
        name="another node's item that belongs to this one can be read",
        items=NUMBERS,
        before=[SET],
        each=True,
        code="return {'n': _node['Items'].item['json']['n'], 'tens': _json['tens']}",
        answers=[[{"n": 1, "tens": 10}, {"n": 2, "tens": 20}, {"n": 3, "tens": 30}]],
    ),
    Case(
        name="members are also items and nodes are also lists",
        items=NUMBERS,
        before=[SET],
        code="""
node = _node["Items"]
return {
    "own": _node["Items"]["json"]["n"],
    "item": node["item"]["json"]["n"],
    "list": [node[-1]["json"]["n"], len(node), [item["json"]["n"] for item in node]],
    "input": [_input[0]["json"]["tens"], len(_input), _input.json["tens"]],
    "names": list(_node),
    "same": _execution["id"] == _execution.id and _workflow["name"] == _workflow.name,
}""",
        answers=[
            [
                {
                    "own": 1,
                    "item": 1,
                    "list": [3, 3, [1, 2, 3]],
                    "input": [10, 3, 10],
                    "names": ["Webhook", "Items", "Set", "Python"],
                    "same": True,
                }
            ]
        ],
    ),
    Case(
        name="a wrong name lists the right ones",
        code="_workflow.nme",
        error={"message": re.compile("_workflow has no 'nme'. It has active, id, name")},
    ),
    Case(
        name="another node's parameters can be read",
        code="return {'field': _node['Items'].params['fieldToSplitOut']}",
        answers=[[{"field": "body.items"}]],
    ),
    Case(
        name="a node of another branch is known not to have run",
        code="""
node = _node["Python"]
try:
    node.all()
except LookupError as error:
    return {"executed": node.is_executed, "text": str(error)}""",
        answers=[[{"executed": False, "text": re.compile("Node 'Python' hasn't been executed")}]],
    ),
    Case(
        name="a node that does not exist is an error",
        code="_node['Nowhere'].first()",
        error={"message": re.compile("Nowhere|doesn't exist"), "lineNumber": 1},
    ),
    Case(
        name="the input can be read as in JavaScript",
        items=NUMBERS,
        code="""
return {
    "all": [item["json"]["n"] for item in _input.all()],
    "first": _input.first()["json"]["n"],
    "last": _input.last()["json"]["n"],
    "params": _input.params["fieldToSplitOut"],
}""",
        answers=[[{"all": [1, 2, 3], "first": 1, "last": 3, "params": "body.items"}]],
    ),
    Case(
        name="the current item has an index, JSON and an input",
        items=NUMBERS,
        each=True,
        code="return {'index': _item_index, 'n': _json['n'], 'same': _input.item['json']['n']}",
        answers=[
            [
                {"index": 0, "n": 1, "same": 1},
                {"index": 1, "n": 2, "same": 2},
                {"index": 2, "n": 3, "same": 3},
            ]
        ],
    ),
    Case(
        name="the previous node is known",
        before=[SET],
        code="""
node = _prev_node
return {'name': node.name, 'run': node.run_index, 'output': node.output_index}""",
        answers=[[{"name": "Set", "run": 0, "output": 0}]],
    ),
    Case(
        name="the workflow is known",
        code="return {'id': _workflow.id, 'name': _workflow.name, 'active': _workflow.active}",
        answers=[
            [
                {
                    "id": re.compile("^[A-Za-z0-9]{16}$"),
                    "name": "the workflow is known",
                    "active": True,
                }
            ]
        ],
    ),
    Case(
        name="the execution is known",
        code="""
run = _execution
return {'id': run.id, 'mode': run.mode, 'url': run.resume_url, 'run': _run_index}""",
        answers=[
            [
                {
                    "id": re.compile(r"^\d+$"),
                    "mode": "production",
                    "run": 0,
                    "url": re.compile(r"^http://.*/webhook-waiting/\d+"),
                }
            ]
        ],
    ),
    Case(
        name="there are no variables without a licence",
        code="return {'region': _vars.get('region')}",
        answers=[[{"region": None}]],
    ),
    Case(
        name="n8n's environment is denied unless n8n allows it",
        code="""
try:
    return {"environment": _env["HOME"]}
except PermissionError as error:
    return {"error": str(error)}""",
        answers=[[{"error": re.compile("^access to env vars denied")}]],
    ),
    Case(
        name="now and today are in the workflow's time zone",
        settings={"timezone": "America/St_Johns"},
        code="""
return {
    "zone": str(_now.tzinfo),
    "half": _now.utcoffset().total_seconds() % 3600,
    "midnight": _today.hour == _today.minute == 0,
    "same": _now.date() == _today.date(),
}""",
        answers=[
            [{"zone": re.compile("St_Johns"), "half": 1800.0, "midnight": True, "same": True}]
        ],
    ),
    Case(
        name="now is in the operator's time zone where the workflow has none",
        code="return {'zone': str(_now.tzinfo), 'hours': _now.utcoffset().total_seconds() / 3600}",
        answers=[[{"zone": re.compile(TIME_ZONE), "hours": 9.0}]],
    ),
    Case(
        name="jmespath searches in data",
        items=[{"people": [{"name": "Ada", "age": 36}, {"name": "Bob", "age": 20}]}],
        code="return {'old': _jmespath(_items[0]['json'], 'people[?age > `30`].name')}",
        answers=[[{"old": ["Ada"]}]],
    ),
    Case(
        name="the names of the old Python node work",
        before=[SET],
        code="""
static = dict(_getWorkflowStaticData("global"))
return {"previous": _prevNode.name, "run": _runIndex, "static": static}""",
        answers=[[{"previous": "Set", "run": 0, "static": {}}]],
    ),
]
