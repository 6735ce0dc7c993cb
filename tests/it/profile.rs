//! `serpentarium profile`: fuel by function and line.

use std::{fs, process::Command};

use serde_json::Value;
use tempfile::TempDir;

const PROGRAM: &str = "\
import json, asyncio

def fib(n):
    if n < 2:
        return n
    return fib(n - 1) + fib(n - 2)

def squares(n):
    for i in range(n):
        yield i * i

class Row:
    def __init__(self, n):
        self.n = n

    def text(self):
        return json.dumps({'n': self.n})

async def wait(n):
    await asyncio.sleep(n / 1000)
    return n

async def main():
    return await asyncio.gather(*(wait(n) for n in range(20)))

def failing(n):
    if n == 0:
        raise ValueError('down')
    failing(n - 1)

total = sum(squares(500))
total += fib(15)
texts = [Row(n).text() for n in range(100)]
waited = asyncio.run(main())
for _ in range(50):
    try:
        failing(5)
    except ValueError:
        pass
return total
";

fn write(code: &str) -> (TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("p.py");
    fs::write(&path, code).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (directory, path)
}

fn run(arguments: &[&str]) -> (String, String) {
    let out = Command::new(env!("CARGO_BIN_EXE_serpentarium")).args(arguments).output().unwrap();
    let (stdout, stderr) =
        (String::from_utf8(out.stdout).unwrap(), String::from_utf8(out.stderr).unwrap());
    assert_eq!(out.status.code(), Some(0), "{stderr}");
    (stdout, stderr)
}

fn profile(path: &str) -> Value {
    serde_json::from_str(&run(&["profile", "--json", path]).0).unwrap()
}

fn function<'a>(profile: &'a Value, name: &str) -> &'a Value {
    let functions = profile["functions"].as_array().unwrap();
    functions
        .iter()
        .find(|one| one["name"] == name)
        .unwrap_or_else(|| panic!("no {name} in {profile:#}"))
}

fn line(profile: &Value, number: u64) -> &Value {
    profile["lines"].as_array().unwrap().iter().find(|one| one["line"] == number).unwrap()
}

#[test]
fn lines_add_up_to_the_total_of_bench() {
    let (_directory, path) = write(PROGRAM);
    let bench: Value = serde_json::from_str(&run(&["bench", "--json", &path]).0).unwrap();
    let profile = profile(&path);
    assert_eq!(profile["fuel"], bench["benchmarks"][0]["fuel"]);
    let number = |name: &str| profile[name].as_f64().unwrap();
    assert_eq!(sum(&profile["lines"]) + profile["outside"].as_u64().unwrap(), profile["fuel"]);
    assert_eq!(sum(&profile["functions"]), profile["inside"]);
    assert!(number("unexplainedPercent").abs() < 2.0, "{profile:#}");
}

/// Returns the sum of the own fuel of all lines or functions.
fn sum(of: &Value) -> u64 {
    of.as_array().unwrap().iter().map(|one| one["own"].as_u64().unwrap()).sum()
}

/// Programs of many kinds, each with a line that may occur twice.
const SHAPES: [(&str, &str, u64); 16] = [
    ("a tight loop", "t = 0\nfor i in range(3000):\n    t += i\nreturn t", 3),
    (
        "a loop over a generator",
        "def g(n):\n    for i in range(n):\n        yield i\nt = 0\nfor _ in range(3):\n    for x in g(500): t += x\n    t += 1\nreturn t",
        6,
    ),
    (
        "a generator in a call",
        "def g(n):\n    for i in range(n):\n        yield i\nfor _ in range(9):\n    t = sum(g(500))\nreturn t",
        5,
    ),
    (
        "a comprehension",
        "r = range(3000)\nfor _ in range(9):\n    a = [x * 2 for x in r if x % 3 and x % 2]\nreturn len(a)",
        3,
    ),
    (
        "a generator expression",
        "for _ in range(9):\n    a = sum(x * 2 for x in range(3000))\nreturn a",
        2,
    ),
    (
        "conditions",
        "t = 0\nfor i in range(3000):\n    t += 1 if i % 2 else 2\n    x = i or t\nreturn t",
        3,
    ),
    ("while", "t = 0\nwhile t < 9000:\n    t += 1\n    str(t)\nreturn t", 4),
    (
        "recursion",
        "def fib(n):\n    if n < 2:\n        return n\n    return fib(n - 1) + fib(n - 2)\nfib(14)\nreturn 1",
        5,
    ),
    (
        "exceptions",
        "def f(n):\n    if n: f(n - 1)\n    raise ValueError\ndef g():\n    try: f(3)\n    except ValueError: pass\nfor i in range(99):\n    g()\nreturn 1",
        8,
    ),
    (
        "small functions",
        "def a(x):\n    return x + 1\ndef b(x):\n    return a(x) + a(x)\nfor i in range(500):\n    b(i)\nreturn 1",
        6,
    ),
    (
        "methods",
        "class R:\n    def __init__(self, n):\n        self.n = n\n    def add(self, k):\n        self.n += k\n        return self\n\
         for i in range(300):\n    R(i).add(2).add(3)\nreturn 1",
        8,
    ),
    (
        "coroutines",
        "import asyncio\nasync def w(n):\n    await asyncio.sleep(n)\n    return n\nfor i in range(40):\n    \
         await asyncio.gather(*(w(n) for n in range(20)))\nreturn 1",
        6,
    ),
    (
        "regular expressions",
        "import re\np = re.compile(r'(\\w+)@(\\w+)\\.com')\nfor n in range(300):\n    p.search('u%d@example.com' % n).groups()\nreturn 1",
        4,
    ),
    (
        "JSON",
        "import json\nd = [{'a': n, 'b': str(n)} for n in range(100)]\nfor _ in range(9):\n    s = json.loads(json.dumps(d))\nreturn 1",
        4,
    ),
    ("one line", "sum([x * x for x in range(9000) if x % 2])", 1),
    ("imports", "import tarfile\nfor n in range(99):\n    import tarfile\n    str(n)\nreturn 1", 4),
];

#[test]
fn a_duplicated_line_adds_its_own_fuel() {
    for (name, code, number) in SHAPES {
        let mut lines: Vec<&str> = code.lines().collect();
        lines.insert(number as usize, lines[number as usize - 1]);
        let [once, twice] = [code.to_owned(), lines.join("\n")].map(|code| {
            let (_directory, path) = write(&code);
            profile(&path)
        });
        let inside = |profile: &Value| profile["inside"].as_f64().unwrap();
        let (shown, more) =
            (line(&once, number)["total"].as_f64().unwrap(), inside(&twice) - inside(&once));
        // 5 % and 5,000 units: a first use of a feature costs once, not per line.
        assert!(
            (shown - more).abs() < 0.05 * more + 5000.0,
            "{name}: {shown} shown, {more} more: {once:#}"
        );
        assert!(once["unexplainedPercent"].as_f64().unwrap().abs() < 5.0, "{name}: {once:#}");
        assert_eq!(sum(&once["lines"]) + once["outside"].as_u64().unwrap(), once["fuel"], "{name}");
    }
}

#[test]
fn an_empty_program_consumes_nothing_in_its_lines() {
    for code in ["pass", "", "# nothing"] {
        let (_directory, path) = write(code);
        let profile = profile(&path);
        assert_eq!(
            (&profile["inside"], &profile["outside"]),
            (&0.into(), &profile["fuel"]),
            "{code}"
        );
        assert!(sum(&profile["lines"]) == 0, "{code}");
    }
}

#[test]
fn compiled_code_counts_for_the_line_that_runs_it() {
    let code = "def f():\n    exec(compile('def g(n):\\n  if n: raise KeyError\\ndef h():\\n  try: yield\\n  except KeyError: yield 2\\ntry: g(1)\\nexcept KeyError: pass\\n\
                i = h(); next(i); i.throw(KeyError())', '<code>', 'exec'), {})\nfor _ in range(20):\n    f()\nreturn 1";
    let (_directory, path) = write(code);
    let profile = profile(&path);
    assert_eq!(function(&profile, "f")["calls"], 20);
    assert_eq!(line(&profile, 2)["times"], 20);
    assert!(
        line(&profile, 2)["own"].as_f64().unwrap() > 0.9 * profile["inside"].as_f64().unwrap(),
        "{profile:#}"
    );
}

#[test]
fn a_program_that_uses_a_profiler_of_its_own_can_be_profiled() {
    let (_directory, path) = write(
        "import cProfile\np = cProfile.Profile()\np.enable()\nsum([1])\np.disable()\nreturn 1",
    );
    assert!(sum(&profile(&path)["lines"]) > 0);
}

#[test]
fn every_kind_of_statement_runs_as_without_a_profile() {
    let code = "\
from __future__ import annotations
import contextlib
seen = []
class C:
    'text'
    a = 1
    def m(self): return self.a
def dec(f): return f
@dec
def f(n):
    'text'
    global g
    g = n
    def inner():
        nonlocal n
        n += 1
    inner()
    return n
for i in range(4):
    if i == 1: continue
    elif i == 2:
        continue
    else: seen.append(i)
    while True:
        break
else:
    seen.append('else')
with contextlib.suppress(KeyError):
    {}[1]
try:
    1 / 0
except ZeroDivisionError: seen.append('zero')
else:
    pass
finally:
    seen.append('finally')
match i:
    case 3: seen.append('three')
    case _:
        pass
async def agen():
    for n in range(2):
        yield n
async def main():
    async for n in agen():
        seen.append(n)
    async with contextlib.AsyncExitStack():
        seen.append('with')
await main()
seen += [f(1), g, f.__doc__, C.__doc__, C().m()]
assert seen == [0, 3, 'else', 'zero', 'finally', 'three', 0, 1, 'with', 2, 1, 'text', 'text', 1], seen
";
    let (_directory, path) = write(code);
    let profile = profile(&path);
    let times = |number| line(&profile, number)["times"].as_u64().unwrap();
    assert_eq!([19, 20, 22, 23, 24].map(times), [5, 4, 1, 2, 2], "{profile:#}");
}

#[test]
fn a_profile_is_the_same_every_time() {
    let (_directory, path) = write(PROGRAM);
    assert_eq!(profile(&path), profile(&path));
}

#[test]
fn fuel_goes_to_the_function_that_consumes_it() {
    let (_directory, path) = write(PROGRAM);
    let profile = profile(&path);
    let total = |name| function(&profile, name)["total"].as_i64().unwrap();
    let own = |name| function(&profile, name)["own"].as_i64().unwrap();
    for (name, calls) in [
        ("<module>", 1),
        ("fib", 1973),
        ("squares", 1),
        ("Row.text", 100),
        ("failing", 300),
        ("wait", 20),
    ] {
        assert_eq!(function(&profile, name)["calls"], calls, "{name}");
    }
    assert_eq!(own("fib"), total("fib"), "it calls nothing but itself");
    assert_eq!(total("<module>"), profile["inside"].as_i64().unwrap());
    assert!(total("main") >= own("main"));
    assert!(
        line(&profile, 3)["own"].as_i64().unwrap() < total("fib") / 100,
        "to be called costs the caller: {profile:#}"
    );
    assert_eq!(line(&profile, 4)["times"], 1973, "the first line of fib");
    assert!(
        line(&profile, 32)["total"].as_i64().unwrap() > total("fib"),
        "the line that calls fib"
    );
    assert!(line(&profile, 32)["own"].as_i64().unwrap() < total("fib") / 100);
}

#[test]
fn a_line_that_does_twice_as_much_consumes_twice_as_much() {
    let (_directory, path) =
        write("a = [x for x in range(10_000)]\nb = [x for x in range(20_000)]\nreturn None");
    let profile = profile(&path);
    let own = |number| line(&profile, number)["own"].as_f64().unwrap();
    assert!((1.95..2.05).contains(&(own(2) / own(1))), "{profile:#}");
}

#[test]
fn people_see_functions_and_each_line_with_its_fuel() {
    let (_directory, path) = write(PROGRAM);
    let (out, remarks) = run(&["profile", &path]);
    let shown = |text: &str| {
        out.lines().find(|line| line.contains(text)).unwrap_or_else(|| panic!("{text}: {out}"))
    };
    assert!(shown(" fib ").contains("1973"));
    assert!(shown("return fib(n - 1) + fib(n - 2)").contains("│    6 "));
    assert!(shown("    6 ").contains('%'));
    for stated in ["in all", "subtracted", "unexplained", "Image "] {
        assert!(remarks.contains(stated), "{stated}: {remarks}");
    }
    assert!(!remarks.contains("serpentarium bench"));
    let (_directory, path) = write("def bench_x(): pass");
    assert!(run(&["profile", &path]).1.contains("`serpentarium bench` measures each of them"));
}

#[test]
fn each_item_counts() {
    let (directory, path) =
        write("def f(n):\n    return n + 1\nreturn {'n': f(_item['json']['n'])}");
    let items = directory.path().join("items.json");
    fs::write(&items, r#"[{"n": 1}, {"n": 2}, {"n": 3}]"#).unwrap();
    let out = run(&["profile", "--json", &path, "--each", "--items", items.to_str().unwrap()]).0;
    let profile: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(function(&profile, "f")["calls"], 3);
    assert_eq!(function(&profile, "<module>")["calls"], 3);
}

#[test]
fn nonsense_to_the_host_spoils_only_its_own_profile() {
    let (_directory, path) = write(
        "import _host\nfor name in ('return', 'start', 'line', 'resume', 'end', 'code', 'begin') * 3:\n    \
         _host.notify(name, '4000000000')\nreturn 1",
    );
    profile(&path);
    assert_eq!(run(&["profile", &path, "--json"]).1, "");
}
