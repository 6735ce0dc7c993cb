"""Both modes: items in, items out."""

import workflow
from case import Case

NUMBERS = [{"n": 1}, {"n": 2}, {"n": 3}]

CASES = [
    Case(
        name="code that runs once sees all items",
        items=NUMBERS,
        code="""
total = sum(item['json']['n'] for item in _items)
return [{'json': {'sum': total, 'count': len(_items)}}]""",
        answers=[[{"sum": 6, "count": 3}]],
    ),
    Case(
        name="code that runs for each item sees one",
        items=NUMBERS,
        each=True,
        code="return {'json': {'double': _item['json']['n'] * 2}}",
        answers=[[{"double": 2}, {"double": 4}, {"double": 6}]],
        output=[{"json": {"double": n * 2}, "pairedItem": {"item": n - 1}} for n in (1, 2, 3)],
    ),
    Case(
        name="an item is dropped if the code returns None",
        items=NUMBERS,
        each=True,
        code="return _item if _item['json']['n'] != 2 else None",
        answers=[[{"n": 1}, {"n": 3}]],
        output=[{"pairedItem": {"item": 0}}, {"pairedItem": {"item": 2}}],
    ),
    Case(
        name="a plain dict of each item is its JSON",
        items=NUMBERS,
        each=True,
        code="return {'square': _item['json']['n'] ** 2}",
        answers=[[{"square": 1}, {"square": 4}, {"square": 9}]],
    ),
    Case(
        name="plain dicts of all items are their JSON",
        code="return [{'a': 1}, {'a': 2}]",
        answers=[[{"a": 1}, {"a": 2}]],
    ),
    Case(
        name="one dict is one item",
        code="return {'only': True}",
        answers=[[{"only": True}]],
    ),
    Case(
        name="an empty list ends the branch with nothing",
        code="return []",
        answers=[[]],
    ),
    Case(
        name="text of any script, quotes and control characters come back unchanged",
        items=[{"text": 'ä漢🐍 "quoted" \\back\n\ttab\u2028 \x01'}],
        code="""
text = _items[0]['json']['text']
return [{'json': {'same': text, 'length': len(text)}}]""",
        answers=[[{"same": 'ä漢🐍 "quoted" \\back\n\ttab\u2028 \x01', "length": 26}]],
    ),
    Case(
        name="numbers, booleans, null and nesting come back unchanged",
        items=[{"a": [1, -2.5, 1e21, True, False, None, {"b": []}], "c": {}}],
        code="return _items",
        answers=[[{"a": [1, -2.5, 1e21, True, False, None, {"b": []}], "c": {}}]],
    ),
    Case(
        name="NaN and the infinities become null",
        code="return [{'json': {'a': float('nan'), 'b': [float('inf')], 'c': -float('inf')}}]",
        answers=[[{"a": None, "b": [None], "c": None}]],
    ),
    Case(
        name="a value without a JSON form becomes its text",
        code="""
import datetime, decimal
return [{"json": {
    "date": datetime.date(2026, 1, 2), "decimal": decimal.Decimal("1.10"),
    "tuple": (1, 2), 3: "key",
}}]""",
        answers=[
            [
                {
                    "date": "2026-01-02",
                    "decimal": "1.10",
                    "tuple": [1, 2],
                    "3": "key",
                }
            ]
        ],
    ),
    Case(
        name="the standard library is there",
        code="""
import base64, collections, csv, hashlib, io, itertools, json, math, random, re, statistics
import uuid, zoneinfo
rows = list(csv.DictReader(io.StringIO("a,b\\n1,2")))
return {
    "hash": hashlib.sha256(b"x").hexdigest()[:8], "re": re.sub(r"\\d", "#", "a1"), "rows": rows,
    "base64": base64.b64encode(b"hi").decode(), "mean": statistics.mean([1, 2]),
    "zone": str(zoneinfo.ZoneInfo("UTC")),
}""",
        answers=[
            [
                {
                    "hash": "2d711642",
                    "re": "a#",
                    "rows": [{"a": "1", "b": "2"}],
                    "base64": "aGk=",
                    "mean": 1.5,
                    "zone": "UTC",
                }
            ]
        ],
    ),
    Case(
        name="functions, classes, closures, generators and recursion work",
        code="""
class Tree:
    def __init__(self, *children):
        self.children = children

    def depth(self):
        return 1 + max((child.depth() for child in self.children), default=0)


def numbers(limit):
    yield from range(limit)


def adder():
    total = 0

    def add(n):
        nonlocal total
        total += n
        return total

    return add


return {"depth": Tree(Tree(), Tree(Tree())).depth(), "sums": list(map(adder(), numbers(4)))}""",
        answers=[[{"depth": 3, "sums": [0, 1, 3, 6]}]],
    ),
    Case(
        name="values without a JSON form become data",
        code="""
import dataclasses, enum, types


@dataclasses.dataclass
class Point:
    x: int


class Colour(enum.Enum):
    RED = "red"


async def fetch():
    return [{"json": {
        "set": {3, 1}, "map": map(str, [1]), "keys": {"a": 1}.keys(), "point": Point(1),
        "colour": Colour.RED, "space": types.SimpleNamespace(a=(1, 2)), "range": range(2),
    }}]


return fetch()""",
        answers=[
            [
                {
                    "set": [1, 3],
                    "map": ["1"],
                    "keys": ["a"],
                    "point": {"x": 1},
                    "colour": "red",
                    "space": {"a": [1, 2]},
                    "range": [0, 1],
                }
            ]
        ],
    ),
    Case(
        name="a text over several lines keeps its spaces",
        code='text = """one\n  two\n\tthree\n"""\nreturn {"text": text}',
        answers=[[{"text": "one\n  two\n\tthree\n"}]],
    ),
    Case(
        name="code that is indented as a whole runs",
        code="    x = 1\n    if x:\n        x += 1\n    return {'x': x}",
        answers=[[{"x": 2}]],
    ),
    Case(
        name="asyncio runs",
        code="""
import asyncio

async def late(n):
    await asyncio.sleep(0.01)
    return n

async def main():
    return await asyncio.gather(*(late(n) for n in range(5)))

return {"done": asyncio.run(main())}""",
        answers=[[{"done": [0, 1, 2, 3, 4]}]],
    ),
    Case(
        name="await works at top level",
        code="""
import asyncio
await asyncio.sleep(0.01)
return {"done": True}""",
        answers=[[{"done": True}]],
    ),
    Case(
        name="await works at top level for each item",
        items=NUMBERS,
        each=True,
        code="import asyncio\nreturn {'n': await asyncio.sleep(0.01, _item['json']['n'])}",
        answers=[[{"n": 1}, {"n": 2}, {"n": 3}]],
    ),
    Case(
        name="a Code node has no query",
        code="return {'query': _query}",
        answers=[[{"query": None}]],
    ),
    Case(
        name="two Python nodes work on the same items one after the other",
        items=NUMBERS,
        before=[workflow.python("First", "return {'n': _item['json']['n'] + 10}", each=True)],
        code="return {'n': [item['json']['n'] for item in _items]}",
        answers=[[{"n": [11, 12, 13]}]],
    ),
    Case(
        name="ten thousand items pass in one task",
        items=[{"n": n, "text": "x" * 50} for n in range(10_000)],
        code="return {'sum': sum(item['json']['n'] for item in _items), 'count': len(_items)}",
        answers=[[{"sum": 49_995_000, "count": 10_000}]],
    ),
    Case(
        name="a thousand items pass one by one",
        items=[{"n": n} for n in range(1000)],
        each=True,
        code="return {'n': _item['json']['n']}",
        answers=[[{"n": n} for n in range(1000)]],
    ),
    Case(
        name="ten megabytes of text go in and out",
        items=[{"text": "ab" * 5_000_000}],
        code="return {'text': _items[0]['json']['text'].upper()}",
        answers=[[{"text": "AB" * 5_000_000}]],
    ),
]
