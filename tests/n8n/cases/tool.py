"""Code as a tool of an AI agent, called by n8n's tool executor without a model."""

import re

from case import Case

OBJECT = (
    '{"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "number"}}}'
)

CASES = [
    Case(
        name="a tool gets its query as text, and answers with text",
        query="hello",
        code="return _query.upper() + str(len(_items))",
        answers=[["HELLO0"]],
    ),
    Case(
        name="a tool with a schema gets its query as an object",
        query={"city": "Oslo", "days": 2},
        schema=OBJECT,
        code="return f\"{_query['city']} in {_query['days'] + 1} days\"",
        answers=[["Oslo in 3 days"]],
    ),
    Case(
        name="a tool may answer with a number",
        query="21",
        code="return int(_query) * 2",
        answers=[["42"]],
    ),
    Case(
        name="a tool's print arrives",
        query="x",
        code="print('called with', _query)\nreturn 'done'",
        answers=[["done"]],
        printed=["'called with' 'x'"],
    ),
    Case(
        name="a tool's error is told to the model",
        query="x",
        code="raise ValueError('broken tool')",
        answers=[['There was an error: "broken tool"']],
        error={"message": "broken tool"},
    ),
    Case(
        name="a tool that answers with an object is corrected by n8n",
        query="x",
        code="return {'a': 1}",
        answers=[[re.compile("Wrong output type returned")]],
    ),
    Case(
        name="a tool can send HTTP requests",
        query="json",
        code="return _helpers.http_request(url=f'{peer}/{_query}')['hello']",
        answers=[["world"]],
    ),
]
