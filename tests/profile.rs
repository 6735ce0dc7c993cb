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
    let (stdout, stderr) = (String::from_utf8(out.stdout).unwrap(), String::from_utf8(out.stderr).unwrap());
    assert_eq!(out.status.code(), Some(0), "{stderr}");
    (stdout, stderr)
}

fn profile(path: &str) -> Value {
    serde_json::from_str(&run(&["profile", "--json", path]).0).unwrap()
}

fn function<'a>(profile: &'a Value, name: &str) -> &'a Value {
    let functions = profile["functions"].as_array().unwrap();
    functions.iter().find(|one| one["name"] == name).unwrap_or_else(|| panic!("no {name} in {profile:#}"))
}

fn line(profile: &Value, number: u64) -> &Value {
    profile["lines"].as_array().unwrap().iter().find(|one| one["line"] == number).unwrap()
}

#[test]
fn the_total_is_what_bench_says_and_the_lines_add_up_to_it_within_what_is_stated() {
    let (_directory, path) = write(PROGRAM);
    let bench: Value = serde_json::from_str(&run(&["bench", "--json", &path]).0).unwrap();
    let profile = profile(&path);
    assert_eq!(profile["fuel"], bench["benchmarks"][0]["fuel"]);
    let number = |name: &str| profile[name].as_f64().unwrap();
    assert_eq!(number("inside") + number("outside"), number("fuel"));
    let sum: f64 = profile["lines"].as_array().unwrap().iter().map(|line| line["own"].as_f64().unwrap()).sum();
    assert_eq!(sum, number("attributed"));
    let unexplained = 100.0 * (number("attributed") - number("inside")) / number("inside");
    assert!((unexplained - number("unexplainedPercent")).abs() < 1e-6);
    assert!(unexplained.abs() < 5.0, "{unexplained} % unexplained: {profile:#}");
}

#[test]
fn a_profile_is_the_same_every_time() {
    let (_directory, path) = write(PROGRAM);
    assert_eq!(profile(&path), profile(&path));
}

#[test]
fn calls_recursion_generators_coroutines_and_exceptions_go_to_their_own_functions() {
    let (_directory, path) = write(PROGRAM);
    let profile = profile(&path);
    let total = |name| function(&profile, name)["total"].as_i64().unwrap();
    let own = |name| function(&profile, name)["own"].as_i64().unwrap();
    for (name, calls) in
        [("<module>", 1), ("fib", 1973), ("squares", 1), ("Row.text", 100), ("failing", 300), ("wait", 20)]
    {
        assert_eq!(function(&profile, name)["calls"], calls, "{name}");
    }
    assert_eq!(own("fib"), total("fib"), "it calls nothing but itself");
    assert_eq!(total("<module>"), profile["attributed"].as_i64().unwrap());
    assert!(total("main") >= own("main"));
    assert_eq!(line(&profile, 4)["times"], 1973, "the first line of fib");
    assert!(line(&profile, 32)["total"].as_i64().unwrap() > total("fib"), "the line that calls fib");
    assert!(line(&profile, 32)["own"].as_i64().unwrap() < total("fib") / 100);
}

#[test]
fn a_line_that_does_twice_as_much_is_shown_to_burn_twice_as_much() {
    let (_directory, path) = write("a = [x for x in range(10_000)]\nb = [x for x in range(20_000)]\nreturn None");
    let profile = profile(&path);
    let own = |number| line(&profile, number)["own"].as_f64().unwrap();
    assert!((1.95..2.05).contains(&(own(2) / own(1))), "{profile:#}");
}

#[test]
fn people_see_functions_and_their_own_text_with_what_each_line_burnt() {
    let (_directory, path) = write(PROGRAM);
    let (out, remarks) = run(&["profile", &path]);
    let shown = |text: &str| out.lines().find(|line| line.contains(text)).unwrap_or_else(|| panic!("{text}: {out}"));
    assert!(shown(" fib ").contains("1973"));
    assert!(shown("return fib(n - 1) + fib(n - 2)").contains("│    6 "));
    assert!(shown("    6 ").contains('%'));
    for stated in ["in all", "taken off", "unexplained", "Image "] {
        assert!(remarks.contains(stated), "{stated}: {remarks}");
    }
}

#[test]
fn each_item_counts() {
    let (directory, path) = write("def f(n):\n    return n + 1\nreturn {'n': f(_item['json']['n'])}");
    let items = directory.path().join("items.json");
    fs::write(&items, r#"[{"n": 1}, {"n": 2}, {"n": 3}]"#).unwrap();
    let out = run(&["profile", "--json", &path, "--each", "--items", items.to_str().unwrap()]).0;
    let profile: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(function(&profile, "f")["calls"], 3);
    assert_eq!(function(&profile, "<module>")["calls"], 3);
}

#[test]
fn other_programs_can_show_it() {
    let (directory, path) = write(PROGRAM);
    let file = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (svg, json, pb) = (file("out.svg"), file("out.json"), file("out.pb"));
    run(&["profile", &path, "--flamegraph", &svg, "--speedscope", &json, "--pprof", &pb]);
    let svg = fs::read_to_string(svg).unwrap();
    assert!(svg.contains("<svg") && svg.contains("fib (") && svg.contains("units of fuel"));
    let speedscope: Value = serde_json::from_str(&fs::read_to_string(json).unwrap()).unwrap();
    let profile = &speedscope["profiles"][0];
    assert_eq!(profile["samples"].as_array().unwrap().len(), profile["weights"].as_array().unwrap().len());
    let sum: u64 = profile["weights"].as_array().unwrap().iter().map(|weight| weight.as_u64().unwrap()).sum();
    assert_eq!(profile["endValue"], sum);
    let frames = speedscope["shared"]["frames"].as_array().unwrap().len() as u64;
    let samples = profile["samples"].as_array().unwrap().iter().flat_map(|sample| sample.as_array().unwrap());
    assert!(samples.into_iter().all(|frame| frame.as_u64().unwrap() < frames));
    let pb = fs::read(pb).unwrap();
    for text in ["fuel", "units", "fib", "p.py"] {
        assert!(pb.windows(text.len()).any(|window| window == text.as_bytes()), "{text}");
    }
}

#[test]
fn code_that_tells_the_host_nonsense_spoils_only_its_own_profile() {
    let (_directory, path) = write(
        "import _host\nfor name in ('return', 'start', 'line', 'resume', 'end', 'code', 'begin') * 3:\n    \
         _host.tell(name, '4000000000')\nreturn 1",
    );
    profile(&path);
    assert_eq!(run(&["profile", &path, "--json"]).1, "");
}
