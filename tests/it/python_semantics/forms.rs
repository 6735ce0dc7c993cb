//! Values without a JSON form of their own, through the encoders in C and in Python.

use serde_json::json;

use super::{all_fail, all_return, run_all};

#[tokio::test]
async fn values_become_data_instead_of_their_repr() {
    all_return(&[
        ("d = {'a': 1}\nreturn {'gen': (x for x in [1]), 'map': map(str, [1]), 'filter': filter(None, [0, 1]), 'zip': zip('ab', [1, 2]), 'keys': d.keys(), 'values': d.values(), 'items': d.items(), 'range': range(3), 'rev': reversed([1, 2]), 'enum': enumerate('a')}",
            json!({"gen": [1], "map": ["1"], "filter": [1], "zip": [["a", 1], ["b", 2]], "keys": ["a"], "values": [1], "items": [["a", 1]], "range": [0, 1, 2], "rev": [2, 1], "enum": [[0, "a"]]})),
        ("import dataclasses, types, enum\n@dataclasses.dataclass\nclass P: x: int = 1\nclass E(enum.Enum): A = 'a'\nclass O:\n    def __init__(self): self.v = 1\nreturn {'dc': P(), 'ns': types.SimpleNamespace(a=1), 'enum': E.A, 'o': O(), 'exc': ValueError('bad')}",
            json!({"dc": {"x": 1}, "ns": {"a": 1}, "enum": "a", "o": {"v": 1}, "exc": "bad"})),
        ("async def fetch():\n    return {'a': 1}\nreturn fetch()", json!({"a": 1})),
        ("import asyncio\nasync def f(x):\n    await asyncio.sleep(0.01)\n    return x\nawait asyncio.sleep(0)\nreturn asyncio.gather(f(1), f(2))", json!([1, 2])),
    ])
    .await;
    all_return(&[
        ("from datetime import UTC, datetime\nreturn [{'at': datetime(2024, 1, 31, tzinfo=UTC), 'n': float('inf')}] * 2", json!([{"at": "2024-01-31 00:00:00+00:00", "n": null}, {"at": "2024-01-31 00:00:00+00:00", "n": null}])),
        ("return [{'json': {}, 'binary': {'file': {'data': b'hi', 'mimeType': 'text/plain'}}}]", json!([{"json": {}, "binary": {"file": {"data": "aGk=", "mimeType": "text/plain"}}}])),
        ("return {5, 3, 'a'} - {'a'}", json!([3, 5])),
    ])
    .await;
}

#[tokio::test]
async fn what_is_no_data_is_an_error() {
    all_fail(&[
        ("def main():\n    return 1\nreturn main", "Result: a function; call it: main()"),
        (
            "import json\nreturn [{'json': {'m': json}}]",
            "Result [0].json.m: a module; return a value of it",
        ),
        ("async def f(): return 1\nreturn {'a': f()}", "Result a: a coroutine; await it"),
        (
            "import itertools\nreturn {'a': itertools.repeat(1)}",
            "Result a: more than 1,000,000 values, perhaps without end; return a list",
        ),
        ("return [len]", "Result [0]: a builtin_function_or_method; call it"),
    ])
    .await;
}

#[tokio::test]
async fn a_rare_value_among_many_costs_little_more() {
    let rows = "rows = [{'id': i, 'name': f'row {i}', 'price': i * 1.5} for i in range(2000)]\n";
    let fuel = async |code: &str| {
        let outcome = run_all(&format!("{rows}{code}return rows"), &json!([])).await.outcome;
        outcome.usage.fuel
    };
    let plain = fuel("").await;
    let date = fuel("import datetime\nrows[7]['at'] = datetime.date(2024, 1, 1)\n").await;
    let set = fuel("rows[7]['at'] = {1}\n").await;
    assert!(date < plain * 3, "{plain} {date}");
    assert!(set < plain * 3, "{plain} {set}");
}
