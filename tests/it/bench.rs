//! `serpentarium bench`: its measurements, comparisons and reports, for scripts and for people.

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Output, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;

/// A working directory with files.
struct Project(TempDir);

impl Project {
    fn new(files: &[(&str, &str)]) -> Self {
        let project = Self(tempfile::tempdir().unwrap());
        files.iter().for_each(|(name, text)| project.write(name, text));
        project
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).unwrap();
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_serpentarium"))
            .current_dir(self.path())
            .args(arguments)
            .output()
            .unwrap()
    }

    /// Returns the report of `bench --json`.
    fn bench(&self, arguments: &[&str]) -> Value {
        let out = self.run(&[&["bench", "--json"], arguments].concat());
        assert_eq!(out.status.code(), Some(0), "{}", errors(&out));
        serde_json::from_slice(&out.stdout).unwrap()
    }
}

fn text(out: &Output) -> &str {
    std::str::from_utf8(&out.stdout).unwrap()
}

fn errors(out: &Output) -> &str {
    std::str::from_utf8(&out.stderr).unwrap()
}

fn fuel(report: &Value, name: &str) -> u64 {
    let benchmarks = report["benchmarks"].as_array().unwrap();
    let found = benchmarks.iter().find(|benchmark| benchmark["name"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {report}"))["fuel"].as_u64().unwrap()
}

const NAMED: &str = "
def bench_nothing():
    pass

def setup_sum():
    return [*range(1000)]

def bench_sum(data):
    return sum(data)

def bench_loop(n):
    for _ in range(n): pass
bench_loop.params = [10, 100, 1000]
";

#[test]
fn bench_and_exec_agree_and_the_mode_is_stated() {
    let project = Project::new(&[("a.py", "print('hi')\nreturn sum(range(100))")]);
    let exec = project.run(&["exec", "--deterministic", "--json", "a.py"]);
    let exec: Value = serde_json::from_slice(&exec.stdout).unwrap();
    let report = project.bench(&["a.py"]);
    assert_eq!(report["benchmarks"][0]["fuel"], exec["fuel"]);
    assert_eq!(report["benchmarks"][0]["memory"], exec["memory"]);
    assert_eq!(report["mode"]["seed"], 0);
    assert!(report["startFuel"].as_u64().unwrap() < exec["fuel"].as_u64().unwrap());
    let out = project.run(&["bench", "a.py"]);
    assert!(text(&out).contains("a.py") && !text(&out).contains("hi\n"), "{}", text(&out));
    for stated in [
        "3 runs of each consumed the same",
        "clock from 2023-11-14",
        "seed 0",
        "hash seed 0",
        "image ",
    ] {
        assert!(errors(&out).contains(stated), "{stated}: {}", errors(&out));
    }
}

#[test]
fn named_benchmarks_are_measured_without_their_overhead() {
    let project = Project::new(&[("b.py", NAMED)]);
    let report = project.bench(&["b.py"]);
    let names: Vec<_> =
        report["benchmarks"].as_array().unwrap().iter().map(|one| one["name"].clone()).collect();
    assert_eq!(
        json!(names),
        json!([
            "b.py::bench_nothing",
            "b.py::bench_sum",
            "b.py::bench_loop[10]",
            "b.py::bench_loop[100]",
            "b.py::bench_loop[1000]"
        ])
    );
    assert_eq!(fuel(&report, "b.py::bench_nothing"), 0);
    let sum = fuel(&report, "b.py::bench_sum");
    assert!((1_000..200_000).contains(&sum), "{sum}: the sum, without its set-up");
    // Neither another benchmark in the file nor the set-up of the file counts. The set-up changes
    // the free memory that the benchmark finds, which costs the allocator a few units more or less.
    project.write(
        "c.py",
        &format!(
            "import json\n[json.dumps(n) for n in range(500)]\n{NAMED}\ndef bench_more(): pass\n"
        ),
    );
    let beside_more = fuel(&project.bench(&["c.py"]), "c.py::bench_loop[1000]");
    let alone = fuel(&report, "b.py::bench_loop[1000]");
    assert!(beside_more.abs_diff(alone) <= 100, "{beside_more} beside more, {alone} alone");
}

#[test]
fn a_sweep_shows_how_fuel_grows_with_the_evidence() {
    let project = Project::new(&[(
        "g.py",
        "
def bench_constant(n): return n + 1
def bench_linear(n): return [x for x in range(n)]
def bench_square(n): return [x for x in range(n) for _ in range(n)]
def bench_cubic(n): return sum(1 for x in range(n) for _ in range(n) for _ in range(n))
def setup_search(n): return range(n)
def bench_search(data):
    low, high = 0, len(data)
    while low < high:
        middle = (low + high) // 2
        if data[middle] < 0: low = middle + 1
        else: high = middle
for one in (bench_constant, bench_linear, bench_search): one.params = [10, 100, 1000, 10_000]
bench_square.params = bench_cubic.params = (10, 30, 90)
",
    )]);
    let report = project.bench(&["g.py"]);
    let laws: Vec<_> = report["growth"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (&one["name"], &one["law"]))
        .collect();
    assert_eq!(
        json!(laws),
        json!([
            ["g.py::bench_constant", "O(1)"],
            ["g.py::bench_linear", "O(n)"],
            ["g.py::bench_square", "O(n²)"],
            ["g.py::bench_cubic", "O(n³)"],
            ["g.py::bench_search", "O(log n)"]
        ])
    );
    let fits = report["growth"][1]["fits"].as_array().unwrap();
    assert_eq!(fits.len(), 6);
    assert!(fits[2]["residual"].as_f64().unwrap() < fits[4]["residual"].as_f64().unwrap());
    let out = project.run(&["bench", "g.py"]);
    assert!(text(&out).contains("g.py::bench_linear grows as O(n): "), "{}", text(&out));
    assert!(text(&out).contains("R²"), "{}", text(&out));
}

#[test]
fn several_files_are_compared_with_the_first() {
    let code = |n: u32| format!("return [x for x in range({n})]");
    let project =
        Project::new(&[("a.py", &code(20_000)), ("b.py", &code(40_000)), ("c.py", &code(20_000))]);
    let report = project.bench(&["a.py", "b.py", "c.py"]);
    assert_eq!(report["benchmarks"][0]["ratio"], Value::Null);
    let ratio = report["benchmarks"][1]["ratio"].as_f64().unwrap();
    assert!((1.5..2.1).contains(&ratio), "{ratio}");
    assert_eq!(report["benchmarks"][2]["ratio"], 1.0);
}

#[test]
fn items_are_worked_on_at_once_or_one_by_one() {
    let project = Project::new(&[
        ("all.py", "return [{'json': i['json']} for i in _items]"),
        ("each.py", "return {'json': _item['json']}"),
        ("few.json", r#"[{"n": 1}]"#),
        ("many.json", &format!("[{}]", vec![r#"{"n": 1}"#; 100].join(","))),
    ]);
    for (file, more) in [("all.py", &[][..]), ("each.py", &["--each"])] {
        let fuel_of =
            |items| fuel(&project.bench(&[&[file, "--items", items], more].concat()), file);
        assert!(fuel_of("many.json") > fuel_of("few.json") + 10_000, "{file}");
    }
}

#[test]
fn a_baseline_shows_changes_and_guards_against_them() {
    let project =
        Project::new(&[("a.py", "def bench_x():\n    return [n for n in range(1000)]\n")]);
    let out = project.run(&["bench", "a.py", "--save", "main"]);
    assert!(
        errors(&out).contains("Saved as main (.serpentarium/bench/main.json)"),
        "{}",
        errors(&out)
    );
    let gate = ["bench", "a.py", "--baseline", "main", "--fail-above", "1%"];
    let out = project.run(&gate);
    assert_eq!(out.status.code(), Some(0), "{}", errors(&out));
    assert!(text(&out).contains("Against main") && text(&out).contains("="), "{}", text(&out));
    project.write("a.py", "def bench_x():\n    return [n for n in range(1100)]\n");
    let out = project.run(&[&gate[..], &["--save", "main"]].concat());
    assert_eq!(out.status.code(), Some(5), "{}", text(&out));
    assert!(
        errors(&out).contains("more than the 1 % allowed") && !errors(&out).contains("Saved"),
        "{}",
        errors(&out)
    );
    assert_eq!(
        project.run(&["bench", "a.py", "--baseline", "main", "--fail-above", "50%"]).status.code(),
        Some(0)
    );
    let report = project.bench(&["a.py", "--baseline", "main"]);
    let one = &report["benchmarks"][0];
    assert!(one["baselineFuel"].as_u64().unwrap() < one["fuel"].as_u64().unwrap());
    project.write("a.py", "def bench_y(): pass");
    let out = project.run(&["bench", "a.py", "--baseline", "main"]);
    assert!(errors(&out).contains("In the baseline only: a.py::bench_x"), "{}", errors(&out));
}

#[test]
fn an_impossible_comparison_is_refused_with_a_clear_line() {
    let project = Project::new(&[("a.py", "return 1")]);
    let compare = |more: &[&str]| {
        project.run(&[&["bench", "a.py", "--baseline", "b", "--store", "s"], more].concat())
    };
    let out = compare(&[]);
    assert_eq!(out.status.code(), Some(1));
    assert!(
        errors(&out).contains("there is no baseline b (s/b.json); make it with --save b"),
        "{}",
        errors(&out)
    );
    assert_eq!(
        project.run(&["bench", "a.py", "--save", "b", "--store", "s"]).status.code(),
        Some(0)
    );
    assert!(errors(&compare(&["--seed", "3"])).contains("baseline b was measured with --seed 0"));
    fs::write(project.path().join("i.json"), r#"[{"n": 1}]"#).unwrap();
    let line = compare(&["--items", "i.json"]);
    assert!(
        errors(&line).contains("baseline b was measured with other items"),
        "{}",
        errors(&line)
    );
    let path = project.path().join("s/b.json");
    let mut stored: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    stored["image"] = json!("0123456789abcdef");
    fs::write(&path, stored.to_string()).unwrap();
    let out = compare(&[]);
    assert_eq!((out.status.code(), text(&out)), (Some(1), ""));
    let line = errors(&out);
    assert!(
        line.contains("baseline b was measured with Python image 0123456789abcdef, and this is "),
        "{line}"
    );
    fs::write(&path, "{").unwrap();
    assert!(errors(&compare(&[])).contains("s/b.json is not a baseline: "));
    assert!(errors(&compare(&[])).contains("measure the old code again, and --save it"));
    fs::write(&path, r#"{"format": 1}"#).unwrap();
    assert!(errors(&compare(&[])).contains("s/b.json has format 1"), "{}", errors(&compare(&[])));
}

#[test]
fn an_exceeded_budget_changes_the_exit_code() {
    let project = Project::new(&[("a.py", "return [x for x in range(10_000)]")]);
    for command in [&["exec", "--deterministic"][..], &["bench"], &["profile"]] {
        let with = |budget| project.run(&[command, &["a.py", "--budget", budget]].concat());
        assert_eq!(with("100M").status.code(), Some(0), "{command:?}");
        let out = with("300k");
        assert_eq!(out.status.code(), Some(5), "{command:?}");
        assert!(errors(&out).contains("budget of 300k"), "{command:?}: {}", errors(&out));
        // The program still runs to its end.
        assert!(!text(&out).is_empty());
    }
}

#[test]
fn failing_programs_are_named_with_error_and_exit_code() {
    for (code, more, status, expected) in [
        ("1 / 0", &[][..], 1, "a.py: Traceback"),
        ("def bench_x(): return {}['y']", &[], 1, "KeyError: 'y'"),
        ("def bench_x(): return (", &[], 1, "SyntaxError"),
        (
            "def bench_x(a, b): pass",
            &[],
            1,
            "bench_x takes 2 arguments: a benchmark takes one, or none",
        ),
        (
            "def bench_x(): yield 1",
            &[],
            1,
            "bench_x must be a plain function: call asyncio.run or consume",
        ),
        ("def bench_x(n): pass\nbench_x.params = 3", &[], 1, "bench_x.params must be a list"),
        (
            "def bench_x(a): pass",
            &[],
            1,
            "bench_x takes an argument, and there is none: give bench_x.params a list",
        ),
        (
            "def setup_x(a): pass\ndef bench_x(a): pass",
            &[],
            1,
            "setup_x takes an argument, and there is none",
        ),
        ("def bench_x(): pass\nsetup_x = 3", &[], 1, "setup_x must be a plain function, not a int"),
        (
            "def bench_x(): pass\nreturn 1",
            &[],
            1,
            "'return' outside function (line 2): a file with functions bench_",
        ),
        ("def bench_x(): pass", &["--each"], 2, "a.py: --each is for whole programs"),
        ("while True: pass", &["--fuel", "20M"], 3, "a.py: Task ran out of fuel"),
        ("import posix; posix._exit(3)", &[], 4, "a.py: the guest exited with code 3"),
        ("return 1", &["--runs", "0"], 2, "--runs"),
        ("return 1", &["--save", "../x"], 2, "--save is '../x': must be 1 to 64 letters"),
        ("return 1", &["--fail-above", "1%"], 2, "--baseline"),
        (
            "return 1",
            &["--items", "-", "-"],
            2,
            "only one file, or the items, can come from standard input",
        ),
    ] {
        let project = Project::new(&[("a.py", code)]);
        let out = project.run(&[&["bench", "a.py"], more].concat());
        assert_eq!(out.status.code(), Some(status), "{code}: {}", errors(&out));
        assert!(errors(&out).contains(expected), "{code}: {}", errors(&out));
    }
}

#[test]
fn failures_are_named_after_other_results_and_not_saved() {
    let code =
        "def bench_a(): pass\ndef bench_b(): raise KeyError('gone')\ndef bench_c(): return [1]";
    let project = Project::new(&[("a.py", code), ("b.py", "1 +"), ("c.py", "return 1")]);
    let files = ["bench", "a.py", "b.py", "c.py", "--save", "main"];
    let out = project.run(&files);
    assert_eq!(out.status.code(), Some(1));
    for shown in ["a.py::bench_a", "a.py::bench_c", "c.py"] {
        assert!(text(&out).contains(shown), "{}", text(&out));
    }
    for said in ["a.py::bench_b: Traceback", "KeyError: 'gone'", "b.py: ", "SyntaxError"] {
        assert!(errors(&out).contains(said), "{}", errors(&out));
    }
    assert!(!errors(&out).contains("Saved"));
    let out = project.run(&[&files[..], &["--json"]].concat());
    let report: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!((out.status.code(), report["benchmarks"].as_array().unwrap().len()), (Some(1), 3));
    assert_eq!(
        (&report["failed"][0]["name"], &report["failed"][1]["name"]),
        (&json!("a.py::bench_b"), &json!("b.py"))
    );
}

#[test]
fn wrapped_and_removed_benchmarks_behave_as_in_python() {
    let code = "import functools\ndef twice(f):\n    @functools.wraps(f)\n    def both(*a): return f(*a), f(*a)\n    return both\n\
        @twice\ndef bench_x(n): return [*range(n)]\nbench_x.params = [1000]\ndef bench_y(): 1 / 0\ndel bench_y\n";
    let project = Project::new(&[("a.py", code)]);
    let report = project.bench(&["a.py"]);
    assert_eq!(report["benchmarks"].as_array().unwrap().len(), 1);
    assert!(fuel(&report, "a.py::bench_x[1000]") > 10_000);
}

#[test]
fn a_baseline_of_nothing_and_names_from_foreign_files_read_well() {
    let project = Project::new(&[("a.py", "def bench_x(): pass")]);
    project.bench(&["a.py", "--save", "main"]);
    let path = project.path().join(".serpentarium/bench/main.json");
    let mut stored: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    stored["benchmarks"]["\u{1b}[2Jevil"] = json!({"fuel": 1, "memory": 1});
    fs::write(&path, stored.to_string()).unwrap();
    project.write("a.py", "def bench_x(): return [n for n in range(9)]");
    let out = project.run(&["bench", "a.py", "--baseline", "main", "--fail-above", "1%"]);
    assert_eq!(out.status.code(), Some(5));
    assert!(errors(&out).contains(" after 0 in the baseline (from 0)"), "{}", errors(&out));
    assert!(
        errors(&out).contains("[2Jevil") && !errors(&out).contains('\u{1b}'),
        "{}",
        errors(&out)
    );
}

#[test]
fn items_from_standard_input_are_read_once_for_all_files() {
    let project = Project::new(&[("a.py", "return _items"), ("b.py", "return _items")]);
    let mut child = Command::new(env!("CARGO_BIN_EXE_serpentarium"))
        .current_dir(project.path())
        .args(["bench", "a.py", "b.py", "--items", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(br#"[{"n": 1}]"#).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn benchmarks_of_one_name_are_told_apart_by_their_path() {
    let project = Project::new(&[(
        "b.py",
        "def bench_x(n): return sum(range(n))\nbench_x.params = [10, 10, 20]\n",
    )]);
    let report = project.bench(&["b.py", "--save", "main"]);
    assert_eq!(fuel(&report, "b.py::bench_x[10]"), fuel(&report, "b.py::bench_x[10]#2"));
    project.bench(&["./b.py", "--baseline", "main", "--fail-above", "0"]);
    project.write("c.py", "def bench_x(): pass\n");
    let out = project.run(&["bench", "c.py", "--baseline", "main", "--fail-above", "0"]);
    assert_eq!(out.status.code(), Some(1));
    assert!(errors(&out).contains("nothing to compare"), "{}", errors(&out));
}

#[test]
fn growth_without_a_law_and_odd_parameters_are_shown() {
    let code = "\u{feff}def bench_x(n):\n  for i in range(2 ** n): pass\nbench_x.params = [8, 10, 12, 14]\n\
        def bench_y(n): pass\nbench_y.params = [10 ** 400, 'a\\n' * 100]\n";
    let project = Project::new(&[("b.py", code)]);
    let report = project.bench(&["b.py"]);
    assert_eq!(
        (&report["growth"][0]["law"], &report["growth"][0]["poor"]),
        (&Value::Null, &json!(true))
    );
    let out = project.run(&["bench", "b.py"]);
    assert!(
        text(&out).contains("grows as none of the laws")
            && text(&out).lines().all(|line| line.chars().count() < 200)
    );
}

#[test]
fn a_limit_of_fuel_holds_to_the_unit() {
    let project = Project::new(&[("r.py", "return []")]);
    let exec = |fuel: u64| {
        project.run(&["exec", "r.py", "--deterministic", "--json", "--fuel", &fuel.to_string()])
    };
    let free: Value = serde_json::from_slice(&exec(10_000_000).stdout).unwrap();
    let consumed = free["fuel"].as_u64().unwrap();
    for less in [1, 50, 300, 1000] {
        assert_eq!(exec(consumed - less).status.code(), Some(3), "{consumed} - {less}");
    }
    let more: Value = serde_json::from_slice(&exec(consumed + 1000).stdout).unwrap();
    assert_eq!(more["fuel"], consumed);
}
