"""Prepares the interpreter for the snapshot: loads modules, replaces streams, rehearses tasks.

Rehearsals specialise the bytecode (PEP 659) and fill caches. Everything else that they change is
restored.
"""

import atexit
import gc
import importlib
import io
import json
import linecache
import operator
import sys
from typing import Any

from _serpentarium.abi import ALL_ITEMS, CODE, EACH_ITEM, INPUT
from _serpentarium.core import (
    exits,
    lacking,
    loop,
    packages,
    platform,
    process,
    seeding,
    source,
    streams,
    threads,
    wire,
    zone,
)
from _serpentarium.core.current import task
from _serpentarium.core.forms import failed
from _serpentarium.core.hints import modules
from _serpentarium.core.log import log
from _serpentarium.core.task import run
from _serpentarium.core.threads import schedule
from _serpentarium.http import opener, sockets, transport
from _serpentarium.n8n import help as help_
from _serpentarium.n8n import input_files, stored
from _serpentarium.n8n.running import running
from _serpentarium.policy import guards

# Modules that Code nodes import. An import in a task then is a look-up in `sys.modules`.
_MODULES = """
    abc argparse array ast asyncio base64 binascii bisect calendar cmath codecs collections
    collections.abc colorsys concurrent.futures configparser contextlib contextvars copy copyreg csv
    dataclasses datetime decimal difflib dis email email.message email.mime.multipart
    email.mime.text email.parser email.policy email.utils enum errno fnmatch fractions functools gc
    gettext glob graphlib gzip hashlib heapq hmac html html.entities html.parser http http.client
    http.cookiejar http.cookies inspect io ipaddress itertools json keyword linecache locale logging
    math mimetypes numbers operator os os.path pathlib pickle platform plistlib pprint queue quopri
    random re reprlib sched secrets select shlex shutil signal socket sqlite3 stat statistics string
    stringprep struct subprocess sys tempfile textwrap threading time timeit tokenize token
    traceback types typing unicodedata urllib urllib.error urllib.parse urllib.request uuid warnings
    weakref xml.dom.minidom xml.etree.ElementTree zipfile zlib zoneinfo _strptime
""".split()

# Packages of the image.
_PACKAGES = "jmespath requests httpx httpcore certifi".split()

# Rounds after which all code on the path of a task is specialised, with a margin.
_ROUNDS = 60

_ITEMS: list[dict[str, Any]] = [
    {
        "json": {
            "id": 1,
            "name": "Ada Löve",
            "price": 12.5,
            "tags": ["a", "b"],
            "ok": True,
            "nothing": None,
        }
    },
    {
        "json": {"id": 2, "name": "Grace", "price": 7, "address": {"city": "Oslo"}},
        "pairedItem": {"item": 0},
    },
]

_ALL_ITEMS = (
    "return [{'json': {'a': 1}}]",
    "return _items",
    "x = 1\ny = x + 2\nreturn {'sum': y}\n",
    "print('hello', 1, None, [1, {'a': 2}])\nreturn []",
    "import sys\nsys.stdout.write('one line\\n')\n"
    "print('x', file=sys.stderr) if False else None\nreturn None",
    """\
import json, re, math
from datetime import datetime, timedelta

def clean(text):
    return re.sub(r"[^a-z]+", "-", text.lower()).strip("-")

class Row:
    def __init__(self, item):
        self.data = item["json"]

    @property
    def total(self):
        return round(self.data["price"] * 1.2, 2)

out = []
for i, item in enumerate(_items):
    row = Row(item)
    data = {**item["json"], "slug": clean(item["json"]["name"]), "total": row.total}
    data["when"] = (datetime(2024, 1, 31) + timedelta(days=i)).isoformat()
    data["day"] = datetime.strptime("2024-05-06", "%Y-%m-%d")
    out.append({"json": data})
totals = [o["json"]["total"] for o in out if o["json"].get("total")]
return sorted(out, key=lambda o: o["json"]["name"]) + [\
{"json": {"n": sum(totals), "t": json.dumps(totals)}}]
""",
    "return {'odd': float('nan'), (1, 2): {3}}",
    "a = []\na.append(a)\nreturn a",
    "def f():\n    return {}['missing']\nf()",
    "try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    raise ValueError('again') from e",
    "x = nmae",
    "return (",
    "yield 1",
    "raise SystemExit(3)",
    "import asyncio\nasync def f(x):\n    await asyncio.sleep(0)\n    return x\n"
    "async def main():\n    return await asyncio.gather(f(1), f(2))\nreturn asyncio.run(main())",
    "# only a comment",
    "return _helpers.http_request('http://localhost', params={'a': 1}, json={'b': 2})",
    "return [_node['Webhook'].all(), _input.first(), _workflow.name, _execution.id, "
    "_prev_node.name, str(_now)]",
    "data = _get_workflow_static_data('global')\ndata['n'] = 1\n"
    "_execution.custom_data.set('n', 1)\nreturn []",
    "import asyncio\n"
    "return await asyncio.gather(*[_helpers.http_request_async(str(i)) for i in range(3)])",
)

_PROGRAMS = (
    "def check(value):\n    raise TypeError(f'no number: {value}')\ncheck(input)",
    "import json, re\nre.purge()\nreturn re.sub('[0-9]+', '', json.dumps(input))",
    "print(input)",
    "return input",
)

_EACH_ITEM = (
    "return _item",
    "_item['json']['seen'] = True\nreturn {'json': _item['json']}",
    "return {'a': _item['json']['id'], 'binary': None}",
    "print(_item)\nreturn None",
    "return _item['json']['address']",
    "return {**_json, 'index': _item_index}",
)

# Answers of the host in the rehearsals.
_DATA = {
    "workflow": {
        "id": "1",
        "name": "Rehearsal",
        "nodes": [{"name": "Webhook", "parameters": {}}, {"name": "Code", "parameters": {}}],
        "connections": {"Webhook": {"main": [[{"node": "Code", "type": "main", "index": 0}]]}},
        "settings": {"timezone": "Europe/Berlin"},
        "staticData": {},
    },
    "activeNodeName": "Code",
    "connectionInputSource": {"main": [{"previousNode": "Webhook"}]},
    "runExecutionData": {
        "resultData": {"runData": {"Webhook": [{"data": {"main": [_ITEMS]}, "source": []}]}}
    },
    "additionalData": {"executionId": "7"},
}
_ANSWERS = {
    "taskData": json.dumps(_DATA),
    "helpers.httpRequest": '{"statusCode":200,"headers":{},"body":{"a":[1,2]}}',
}

_UNDER_POLICY = {
    "policy": {
        "stdlibAllow": ["asyncio", "datetime", "json", "math", "re", "sys"],
        "builtinsDeny": ["eval", "open"],
    }
}


def warm() -> None:
    """Prepares the interpreter for the snapshot."""
    packages.install()
    lacking.install()
    sockets.install(transport.send)
    _load(_MODULES)
    opener.install()
    modules.install()
    exits.install()
    platform.install()
    zone.install()
    streams.install()
    process.install()
    loop.install()
    threads.install()
    help_.install()
    input_files.install()
    _load_packages()
    _rehearse()
    _forget()


def _names_of_packages() -> list[str]:
    """Returns the modules that this image imports beside its own (`serpentarium image build`)."""
    try:
        names: list[str] = importlib.import_module("_serpentarium_packages").NAMES
    except ModuleNotFoundError:
        return []
    return names


def _load(names: list[str]) -> None:
    """Imports modules. Tests run this with the machine's own Python, which lacks some."""
    for name in names:
        try:
            importlib.import_module(name)
        except ImportError as error:
            sys.stderr.write(f"warm-up: no {name}: {error}\n")


def _load_packages() -> None:
    """Imports packages last: they bind members of the library, which must be the replaced ones."""
    _load(_PACKAGES)
    for name in _names_of_packages():
        importlib.import_module(name)


class _PendingCalls:
    """The pending calls of the rehearsals."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.answered = 0

    def start(self, name: str, _params: str) -> int:
        self.names.append(name)
        return len(self.names)

    def wait(self, _seconds: float) -> tuple[int, bool, str] | None:
        if self.answered == len(self.names):
            return None
        self.answered += 1
        return self.answered, True, _ANSWERS[self.names[self.answered - 1]]


def _rehearse() -> None:
    """Runs tasks of each kind on the path of real tasks, with the host replaced."""
    settings = [_settings(ALL_ITEMS, code, serpentarium=_UNDER_POLICY) for code in _ALL_ITEMS]
    settings += [_settings(ALL_ITEMS, code) for code in _ALL_ITEMS]
    settings += [_settings(EACH_ITEM, code) for code in _EACH_ITEM]
    settings += [_settings(ALL_ITEMS, "print('hello')", printMode="text")]
    settings += [_settings(ALL_ITEMS, "return 1", serpentarium={"localTimezone": "Europe/Berlin"})]
    # Ordinary tasks are last: of two colliding entries, the method cache keeps the latest.
    settings += [json.dumps({CODE: code, INPUT: _ITEMS}) for code in _PROGRAMS]
    replies: list[wire.Reply] = []
    pending = _PendingCalls()
    members = vars(wire)
    replaced: dict[str, object] = {
        # C functions with the calling conventions of the host's, so that calls specialise for them.
        "write_output": replies.append,
        "notify_host": operator.is_,
        "call_host": _ANSWERS.get,
        "start_call": pending.start,
        "wait_for_answer": pending.wait,
        "read_input": None,
    }
    real = {name: members[name] for name in replaced}
    members |= replaced
    try:
        for _ in range(_ROUNDS):
            for text in settings:
                members["read_input"] = io.BytesIO(text.encode()).getvalue
                run()
                reset()
    finally:
        members |= real
    if len(replies) < _ROUNDS or "result" not in json.loads(replies[0]):
        raise RuntimeError(f"the rehearsal failed: {replies[:1]}")


def reset() -> None:
    """Forgets the current task."""
    task.reset()
    log.reset()
    running.reset()
    stored.reset()
    schedule.reset()
    guards.restore()
    failed.reset()
    transport.reset()
    zone.install()


def _settings(mode: str, code: str, **more: object) -> str:
    fields = {
        "code": code,
        "nodeMode": mode,
        "items": _ITEMS,
        "continueOnFail": False,
        "nodeName": "Code",
    }
    return json.dumps(fields | more, ensure_ascii=False)


def _forget() -> None:
    """Restores the state before the rehearsals."""
    loop.install()
    linecache.clearcache()
    sys.path_importer_cache.clear()
    source.install()
    sys.setrecursionlimit(1000)
    for name in ("last_type", "last_value", "last_traceback", "last_exc"):
        sys.__dict__.pop(name, None)
    seeding.install()
    # Those of the library have nothing to do for a task that registers none.
    atexit._clear()
    gc.collect()
