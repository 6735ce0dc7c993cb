"""Runs small tasks as the guest does: JSON in, compile, run, capture output, JSON out."""

import contextlib
import io
import json
import marshal
import traceback
from typing import Any

TASKS = [
    "return [{'json': {**item['json'], 'n': i}} for i, item in enumerate(_items)]",
    "total = 0\nfor item in _items:\n    total += item['json'].get('amount', 0)\n"
    "print('total', total)\nreturn {'total': total}",
    "import re, math\nfrom datetime import datetime, timedelta\n"
    "def area(r):\n    return math.pi * r ** 2\n"
    "class Box:\n    def __init__(self, w):\n        self.w = w\n"
    "return {'a': area(2), 'w': Box(3).w, 'm': re.sub(r'\\d+', '#', 'a1b22')}",
    "names = {i['json']['name'].strip().title() for i in _items if i['json'].get('active')}\n"
    "try:\n    names.remove('Nobody')\nexcept KeyError as error:\n    print(repr(error))\n"
    "return sorted(names, key=lambda n: (len(n), n))",
    "raise ValueError('no such thing: %s' % _items[0]['json']['name'])",
]
ITEMS = json.dumps(
    {
        "items": [
            {"json": {"name": f" ann {i}", "amount": i * 1.5, "active": i % 2 == 0}}
            for i in range(12)
        ]
    }
)


def run(body: str) -> str:
    """Runs one task."""
    items = json.loads(ITEMS)["items"]
    source = "def _task(_items):\n" + "\n".join("    " + line for line in body.splitlines())
    printed = io.StringIO()
    scope: dict[str, Any] = {"__name__": "__main__"}
    answer: dict[str, Any] = {}
    try:
        with contextlib.redirect_stdout(printed):
            exec(compile(source, "<task>", "exec"), scope)
            answer["result"] = scope["_task"](items)
    except Exception as error:
        answer["error"] = {"message": str(error), "trace": traceback.format_exc()}
    answer["printed"] = printed.getvalue().splitlines()
    return json.dumps(answer)


def main() -> None:
    """Runs one round."""
    for _ in range(12):
        for body in TASKS:
            run(body)
    with open(__file__, encoding="utf-8") as own:
        source = own.read()
    for _ in range(3):
        # As an import of a frozen module.
        code = compile(source, "<own>", "exec")
        exec(marshal.loads(marshal.dumps(code)), {"__name__": "again"})
