"""Errors: the node's error in the data of the execution."""

import re

from case import Case
from stage import TASK_TIMEOUT

CASES = [
    Case(
        name="an exception shows its message, line and traceback",
        code="def check(value):\n    raise ValueError(f'bad {value}')\n\ncheck(1)",
        error={
            "message": "bad 1",
            "lineNumber": 2,
            "description": re.compile(
                r"(?s)line 4, in <module>\n +check\(1\).*line 2, in check\n.*ValueError: bad 1"
            ),
        },
    ),
    Case(
        name="an exception for one item names the item",
        items=[{"n": 1}, {"n": 0}],
        each=True,
        code="return {'n': 1 / _item['json']['n']}",
        error={"message": "division by zero", "lineNumber": 1, "context": {"itemIndex": 1}},
    ),
    Case(
        name="an exception without a text shows its type",
        code="raise KeyboardInterrupt()",
        error={"message": re.compile("KeyboardInterrupt"), "lineNumber": 1},
    ),
    Case(
        name="a missing key is named",
        code="return {'x': _items[0]['json']['missing']}",
        error={
            "message": re.compile(r"KeyError: 'missing'\nHint: _items\[0\]\['json'\] "),
            "lineNumber": 1,
        },
    ),
    Case(
        name="an unknown name is named",
        code="x = 1\nreturn y",
        error={"message": "name 'y' is not defined", "lineNumber": 2},
    ),
    Case(
        name="a syntax error names the line",
        code="x = 1\nif x\n    return []",
        error={"message": re.compile("expected ':'"), "lineNumber": 2},
    ),
    Case(
        name="sys.exit is an error",
        code="import sys\nsys.exit(3)",
        error={"message": re.compile(r"Process exited with code 3\nHint: Use `return`")},
    ),
    Case(
        name="a missing package is named",
        code="import pandas",
        error={"message": re.compile("pandas.*\nHint: "), "lineNumber": 1},
    ),
    Case(
        name="an attribute for a key has a hint",
        code="return [{'n': item.json.n} for item in _items]",
        items=[{"n": 1}],
        error={"message": re.compile(r'item\["json"\]\["n"\]'), "lineNumber": 1},
    ),
    Case(
        name="a fence of Markdown is taken off",
        code="```python\nreturn {'n': 1}\n```",
        answers=[[{"n": 1}]],
    ),
    Case(
        name="files do not exist",
        code="return {'text': open('/etc/passwd').read()}",
        error={"message": re.compile("No such file"), "lineNumber": 1},
    ),
    Case(
        name="the environment is empty",
        code="import os\nreturn {'environment': dict(os.environ)}",
        answers=[[{"environment": {}}]],
    ),
    Case(
        name="endless recursion is an error",
        code="def again():\n    return again()\nreturn again()",
        error={"message": re.compile("maximum recursion depth exceeded"), "lineNumber": 2},
    ),
    Case(
        name="too much memory is an error",
        code="blocks = []\nwhile True:\n    blocks.append(bytes(10_000_000))",
        error={"message": re.compile("MemoryError\nHint: .*raise SERPENTARIUM_MEMORY")},
    ),
    Case(
        name="endless code ends at the timeout",
        code="while True:\n    pass",
        error={
            "message": f"Task execution timed out after {TASK_TIMEOUT} seconds",
            "description": str,
        },
    ),
    Case(
        name="a circular result is an error",
        code="x = {}\nx['x'] = x\nreturn [{'json': x}]",
        error={"message": re.compile("circular")},
    ),
    Case(
        name="n8n explains a result that is no item",
        code="return 'text'",
        error={
            "message": "Code doesn't return items properly",
            "description": re.compile("array of dictionaries"),
        },
    ),
    Case(
        name="n8n explains a list of numbers",
        code="return [1, 2]",
        error={"message": "Code doesn't return items properly"},
    ),
    Case(
        name="n8n explains an item with unknown keys",
        code="return [{'json': {}, 'extra': 1}]",
        error={"message": re.compile("^Invalid output format")},
    ),
    Case(
        name="n8n explains a text per item",
        each=True,
        code="return 'text'",
        error={
            "message": re.compile(
                "A 'json' property isn't a dictionary|Code doesn't return a dictionary"
            )
        },
    ),
    Case(
        name="a node that continues on errors outputs the error as an item",
        code="raise ValueError('passed on')",
        on_error="continueRegularOutput",
        answers=[[{"error": "passed on"}]],
    ),
    Case(
        name="a node that continues on errors does so after a syntax error",
        code="return (",
        on_error="continueRegularOutput",
        answers=[[{"error": re.compile("was never closed")}]],
    ),
    Case(
        name="a node that continues on errors does so after a timeout",
        code="while True:\n    pass",
        on_error="continueRegularOutput",
        answers=[[{"error": f"Task execution timed out after {TASK_TIMEOUT} seconds"}]],
    ),
]
