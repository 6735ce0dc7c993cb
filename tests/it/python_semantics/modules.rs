//! Code behaves as a module: one set of names for its functions, classes and the library.

use serde_json::json;

use super::{all_fail, all_return, run, run_each};

#[tokio::test]
async fn functions_share_the_variables_of_the_module() {
    all_return(&[
        ("n = 1\ndef f():\n    global n\n    n += 1\nf()\nreturn n", json!(2)),
        ("n = 1\ndef f():\n    nonlocal n\n    n += 1\nf()\nreturn n", json!(2)),
        ("def f():\n    def g():\n        nonlocal n\n        n = 5\n    g()\nn = 1\nf()\nreturn n", json!(5)),
        ("def f(): return g()\ndef g(): return 7\nreturn f()", json!(7)),
        ("def f(): return late\nlate = 3\nreturn f()", json!(3)),
        ("def f():\n    global made\n    made = 4\nf()\nreturn made", json!(4)),
        ("fs = [lambda: i for i in range(3)]\nreturn [f() for f in fs]", json!([2, 2, 2])),
        ("n = 2\nclass A:\n    n = n + 1\n    m = [n for _ in '1']\nreturn [A.n, A.m]", json!([3, [2]])),
        ("limit = 2\nreturn list(x for x in range(9) if x < limit)", json!([0, 1])),
        ("x = 1\n[y := x + i for i in range(3)]\nreturn y", json!(3)),
        ("import asyncio\nn = 0\nasync def f():\n    global n\n    n += 1\nawait f()\nreturn n", json!(1)),
    ])
    .await;
}

#[tokio::test]
async fn a_name_may_be_read_before_the_module_binds_it() {
    all_return(&[
        ("_items = [i for i in _items]\nreturn _items", json!([])),
        ("id = id('x')\nreturn type(id).__name__", json!("int")),
        ("_ = [_ for _ in 'ab']\nreturn _", json!(["a", "b"])),
        ("try:\n    list\nfinally:\n    list = 3\nreturn list", json!(3)),
        ("sum = sum([1, 2])\ndel sum\nreturn sum([3])", json!(3)),
    ])
    .await;
    all_fail(&[
        ("print(total)\ntotal = 1", "name 'total' is not defined"),
        ("x = 1\ndel x\nreturn x", "name 'x' is not defined"),
        ("fs = [lambda: i for i in range(3)]\nreturn i", "name 'i' is not defined"),
        ("if not 1:\n    y = 1\nreturn y", "name 'y' is not defined"),
        ("for z in []: pass\nreturn z", "name 'z' is not defined"),
        ("try: 1 / 0\nexcept ZeroDivisionError as e: pass\nreturn e", "name 'e' is not defined"),
        (
            "def f():\n    print(x)\n    x = 1\nf()",
            "cannot access local variable 'x' where it is not associated with a value",
        ),
    ])
    .await;
    let misspelt = run("amount = 1\nreturn amuont").await;
    assert!(
        misspelt.description().contains("Did you mean: 'amount'?"),
        "{}",
        misspelt.description()
    );
}

#[tokio::test]
async fn the_library_finds_what_the_code_defines() {
    all_return(&[
        (
            "import pickle\nclass P:\n    def __init__(self, x): self.x = x\nreturn pickle.loads(pickle.dumps([P(4)]))[0].x",
            json!(4),
        ),
        (
            "import pickle, enum, collections\nclass C(enum.Enum):\n    RED = 1\nRow = collections.namedtuple('Row', 'a b')\n\
             return [str(v) for v in pickle.loads(pickle.dumps([C.RED, Row(1, 2)]))]",
            json!(["C.RED", "Row(a=1, b=2)"]),
        ),
        (
            "from __future__ import annotations\nimport typing\nVec = list[int]\ndef f(x: Vec) -> int: ...\nclass A:\n    v: Vec\n\
             return [str(typing.get_type_hints(f)), str(typing.get_type_hints(A))]",
            json!(["{'x': list[int], 'return': <class 'int'>}", "{'v': list[int]}"]),
        ),
        (
            "from __future__ import annotations\nfrom functools import singledispatch\nclass Coin: pass\n@singledispatch\ndef f(x): return 'any'\n\
             @f.register\ndef _(x: Coin): return 'coin'\nreturn [f(Coin()), f(1)]",
            json!(["coin", "any"]),
        ),
        ("import timeit\ndef f(): return 1\nreturn timeit.timeit('f()', globals=globals(), number=3) >= 0", json!(true)),
        (
            "import doctest\ndef twice(x):\n    '''\n    >>> twice(2)\n    4\n    >>> twice(k)\n    6\n    '''\n    return 2 * x\nk = 3\n\
             return list(doctest.testmod())",
            json!([0, 2]),
        ),
        (
            "import unittest, io\nclass T(unittest.TestCase):\n    def test_one(self): self.assertEqual(1, 1)\n    def test_two(self): pass\n\
             if __name__ == '__main__':\n    ran = unittest.main(exit=False, argv=['x'], testRunner=unittest.TextTestRunner(stream=io.StringIO()))\n    return ran.result.testsRun",
            json!(2),
        ),
        ("import __main__\nx = 1\n__main__.x = 2\nreturn [x, __main__.x]", json!([2, 2])),
        ("import sys\nx = 1\nsys.modules['__main__'].x = 3\nreturn x", json!(3)),
        ("import inspect\ndef f(): return inspect.currentframe().f_back.f_globals['x']\nx = 6\nreturn f()", json!(6)),
        ("from dataclasses import dataclass\n@dataclass\nclass P:\n    x: 'int' = 1\nreturn repr(P())", json!("P(x=1)")),
    ])
    .await;
}

#[tokio::test]
async fn code_that_is_made_at_run_time_sees_the_module() {
    all_return(&[
        ("name = 'Ada'\nreturn 'Hello {name}'.format(**globals())", json!("Hello Ada")),
        (
            "x = 1\nreturn [globals() is locals(), 'x' in vars(), 'x' in dir()]",
            json!([true, true, true]),
        ),
        ("exec('def a(n): return n\\ndef b(n): return a(n)\\nr = b(12)')\nreturn r", json!(12)),
        ("x = 2\nexec('x += 1')\nreturn x", json!(3)),
        ("x = 2\nreturn eval('x * 4')", json!(8)),
        ("x = 2\nglobals()['x'] = 9\nreturn x", json!(9)),
        ("globals()['new'] = 1\nreturn new", json!(1)),
        ("x = 2\nrun = getattr(__builtins__, 'eval')\nreturn run('x')", json!(2)),
        ("from math import *\nreturn round(sqrt(2) + sin(pi / 6), 6)", json!(1.914214)),
        ("pi = 1\nfrom math import *\nreturn pi > 3", json!(true)),
        ("x: int = 1\ny: str\nreturn sorted(__annotations__)", json!(["x", "y"])),
        ("'doc'\nreturn __doc__", json!("doc")),
    ])
    .await;
}

#[tokio::test]
async fn names_have_no_trace_of_a_function_around_them() {
    all_return(&[
        (
            "class Shape:\n    class Inner: pass\n    def area(self): pass\ndef f():\n    def g(): pass\n    return g\n\
             return [str(Shape), Shape.Inner.__qualname__, Shape.area.__qualname__, f.__qualname__, f().__qualname__, (lambda: 1).__qualname__]",
            json!([
                "<class '__main__.Shape'>", "Shape.Inner", "Shape.area", "f", "f.<locals>.g", "<lambda>"
            ]),
        ),
        ("class Bad(Exception): pass\nreturn str(type(Bad('no')))", json!("<class '__main__.Bad'>")),
    ])
    .await;
    all_fail(&[(
        "def area(): pass\narea(1)",
        "area() takes 0 positional arguments but 1 was given",
    )])
    .await;
    let ran = run("class Bad(Exception): pass\ndef f(): raise Bad('no')\nf()").await;
    assert!(
        ran.description().ends_with("\nBad: no")
            || ran.description().ends_with("\n__main__.Bad: no"),
        "{}",
        ran.description()
    );
}

#[tokio::test]
async fn variables_of_one_item_are_not_seen_by_the_next() {
    for code in [
        "try:\n    seen += 1\nexcept NameError:\n    seen = 1\nreturn {'seen': seen}",
        "global seen\ntry:\n    seen += 1\nexcept NameError:\n    seen = 1\nreturn {'seen': seen}",
        "del _item\nseen = globals().get('seen', 0) + 1\nreturn {'seen': seen}",
        "seen = globals().get('seen', 0) + 1\ndef f(): return seen\nreturn {'seen': f()}",
        "def f():\n    global seen\n    seen = globals().get('seen', 0) + 1\nf()\nreturn {'seen': seen}",
        "import __main__\n__main__.seen = getattr(__main__, 'seen', 0) + 1\nreturn {'seen': seen}",
    ] {
        let ran = run_each(code, &json!([{"json": {}}, {"json": {}}, {"json": {}}])).await;
        let values: Vec<_> = ran
            .value()
            .as_array()
            .expect("a list")
            .iter()
            .map(|item| item["json"]["seen"].clone())
            .collect();
        assert_eq!(values, [1, 1, 1], "{code}");
    }
    let ran = run_each(
        "import math\nmath.seen = getattr(math, 'seen', 0) + 1\n_item = _item['json']\nreturn {'n': math.seen, 'a': _item['a']}",
        &json!([{"json": {"a": 5}}, {"json": {"a": 6}}]),
    )
    .await;
    assert_eq!(ran.value()[1]["json"], json!({"n": 2, "a": 6}));
}

#[tokio::test]
async fn an_exit_without_failure_ends_the_code_without_a_result() {
    all_return(&[
        ("import sys\nsys.exit()\nreturn 1", json!(null)),
        ("import sys\nsys.exit(0)\nreturn 1", json!(null)),
        ("exit()\nreturn 1", json!(null)),
        ("def f(): quit()\nf()\nreturn 1", json!(null)),
        ("raise SystemExit", json!(null)),
        ("import asyncio\nasync def f(): exit(0)\nawait f()\nreturn 1", json!(null)),
        ("return str(exit)", json!("Use exit() to end the code without a result")),
    ])
    .await;
    all_fail(&[
        ("exit(1)", "Process exited with code 1"),
        ("import sys\nsys.exit('no')", "Process exited with code 1"),
    ])
    .await;
    let ran = run_each(
        "if _item['json']['a'] == 1: exit()\nreturn {'a': _item['json']['a']}",
        &json!([{"json": {"a": 0}}, {"json": {"a": 1}}, {"json": {"a": 2}}]),
    )
    .await;
    let left = ran.value();
    assert_eq!(
        (left[0]["json"]["a"].clone(), left[1]["json"]["a"].clone(), left[2].clone()),
        (json!(0), json!(2), json!(null))
    );
}

/// Local variables must not be visible as such: each program runs with its variables local, and
/// again with all of them in the module's dict, because of a name in a text that is not used.
#[tokio::test]
async fn local_variables_change_nothing() {
    for code in [
        "a = 1\nb = [a for a in range(4)]\nfor c in b: a += c\nreturn [a, b, c]",
        "try:\n    r = []\n    for i in range(3):\n        try: r.append(1 // i)\n        except ZeroDivisionError as e: r.append(str(e))\nfinally: d = 1\nreturn [r, d]",
        "m = {'k': [1, 2]}\nmatch m:\n    case {'k': [x, *rest]}: y = x\nreturn [x, rest, y]",
        "with __import__('contextlib').nullcontext(5) as v: w = v\ndel v\nreturn w",
        "import asyncio\nasync def f(x): return x\nr = [await f(i) for i in range(3)]\nasync def g():\n    for i in range(2): yield i\ns = [i async for i in g()]\nreturn [r, s]",
        "t = (1, 2)\nx, *y = t\nx += 1\nz = {k: v for k, v in zip('ab', t)}\nreturn [x, y, z, [x for x in y], x]",
        "k = 5\nr = [k + f for f in (1, 2)] + [[g + h + k for g in (1, 2)] for h in (3, 4)]\ns = {k: [k for k in 'ab'] for _ in 'x'}\nreturn [r, s]",
        "x = 5\nr = [([x for x in range(2)], [y + x for y in range(2)]) for _ in range(1)]\nreturn [r, x]",
        "best = None\nr = [[(best := x, [best for _ in range(1)]) for x in range(2)] for y in range(2)]\nreturn [r, best]",
        "row = {'a': 1}\nr = {k: [row for row in 'ab'] for k in row} | {k: row['a'] for k in row}\nreturn r",
        "import re\nout = []\nfor w in re.findall('[a-z]+', 'one two'): out.append(w.upper())\nn = len(out)\nwhile n: n -= 1\nreturn [out, n]",
    ] {
        let local = run(code).await.value();
        let global = run(&format!("u = 'globals'\n{code}")).await.value();
        assert_eq!(local, global, "{code}");
    }
}
