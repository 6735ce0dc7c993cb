"""Data that outlasts a task: static data of the workflow, custom data of the execution."""

import re

import workflow
from case import Case

CASES = [
    Case(
        name="static data of the workflow last from execution to execution",
        code="""
static = _get_workflow_static_data("global")
static["calls"] = static.get("calls", 0) + 1
return {"calls": static["calls"]}""",
        answers=[[{"calls": 1}], [{"calls": 2}], [{"calls": 3}]],
    ),
    Case(
        name="static data of the node last, nested and changed in place",
        code="""
static = _get_workflow_static_data("node")
static.setdefault("seen", []).append(len(static.get("seen", [])))
return {"seen": static["seen"]}""",
        answers=[[{"seen": [0]}], [{"seen": [0, 1]}]],
    ),
    Case(
        name="static data last when the code runs for each item",
        items=[{"n": 1}, {"n": 2}],
        each=True,
        code="""
static = _get_workflow_static_data("global")
static["sum"] = static.get("sum", 0) + _item["json"]["n"]
return {"sum": static["sum"]}""",
        answers=[[{"sum": 1}, {"sum": 3}], [{"sum": 4}, {"sum": 6}]],
    ),
    Case(
        name="static data of two nodes do not meet",
        before=[
            workflow.python("First", "_get_workflow_static_data('node')['mine'] = 1\nreturn [{}]")
        ],
        code="return {'static': dict(_get_workflow_static_data('node'))}",
        answers=[[{"static": {}}]],
    ),
    Case(
        name="custom data of the execution are saved",
        code="""
_execution.custom_data.set("customer", "Ada")
_execution.custom_data.set("number", 7)
return {"customer": _execution.custom_data.get("customer")}""",
        answers=[[{"customer": "Ada"}]],
        custom_data={"customer": "Ada", "number": "7"},
    ),
    Case(
        name="custom data of an earlier node can be read",
        before=[
            workflow.python("First", "_execution.custom_data.set('early', 'yes')\nreturn [{}]")
        ],
        code="return {'early': _execution.custom_data.get('early')}",
        answers=[[{"early": "yes"}]],
    ),
    Case(
        name="an unknown kind of static data is an error",
        code="_get_workflow_static_data('planet')",
        error={"message": re.compile("planet|global"), "lineNumber": 1},
    ),
]
