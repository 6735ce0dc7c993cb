//! The command line: output, errors and exit codes of the built binary.

mod exec_files;
mod exec_options;

use std::{
    fs::File,
    io::{Read, Write},
    process::{Child, Command, Output, Stdio},
};

use serde_json::{Value, json};

fn serpentarium(arguments: &[&str], environment: &[(&str, &str)], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_serpentarium"))
        .args(arguments)
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A process that ends before it reads closes the pipe.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn exec(code: &str, arguments: &[&str]) -> Output {
    serpentarium(&[&["exec", "-"], arguments].concat(), &[], code)
}

#[test]
fn local_time_follows_the_environment_of_exec() {
    let code = "import time\nreturn time.localtime(0).tm_hour";
    for (arguments, environment, hour) in [
        (&["exec", "-"][..], &[("TZ", "Europe/Berlin")][..], "1"),
        (&["exec", "-"], &[("TZ", ""), ("GENERIC_TIMEZONE", "Asia/Tokyo")], "9"),
        (&["exec", "-", "--deterministic"], &[("TZ", "Europe/Berlin")], "0"),
    ] {
        let out = serpentarium(arguments, environment, code);
        assert_eq!(text(&out.stdout).trim(), hour, "{environment:?}");
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn prints_and_result_go_to_stdout_and_usage_to_stderr() {
    let out = exec("print('hello', 1)\nreturn {'a': [1, 2]}", &[]);
    assert_eq!(out.status.code(), Some(0));
    assert_eq!(text(&out.stdout), "hello 1\n{\n  \"a\": [\n    1,\n    2\n  ]\n}\n");
    let cost = text(&out.stderr);
    assert!(
        cost.starts_with("fuel ") && cost.contains(" · memory ") && cost.contains(" ms"),
        "{cost}"
    );
}

#[test]
fn each_kind_of_end_has_its_exit_code_and_its_clear_text() {
    for (code, arguments, status, expected) in [
        ("return 1", &[][..], 0, ""),
        ("raise ValueError('no good')", &[], 1, "ValueError: no good"),
        ("return (", &[], 1, "SyntaxError"),
        (
            "while True: pass",
            &["--fuel", "50M"],
            3,
            "Task ran out of fuel: it consumed its limit of 50M units",
        ),
        (
            "while True: pass",
            &["--timeout", "200ms"],
            3,
            "Task execution timed out after 0.2 seconds",
        ),
        ("import time; time.sleep(9)", &["--timeout", "200ms"], 3, "Raise it with --timeout."),
        ("import posix; posix._exit(7)", &[], 4, "the guest exited with code 7"),
        ("import os; os._exit(0)", &[], 1, "os._exit() is not available: a task has no process"),
    ] {
        let out = exec(code, arguments);
        assert_eq!(out.status.code(), Some(status), "{code}: {}", text(&out.stderr));
        assert!(text(&out.stderr).contains(expected), "{code}: {}", text(&out.stderr));
    }
}

#[test]
fn wrong_usage_is_one_clear_error() {
    for (arguments, status, expected) in [
        (&["exec"][..], 2, "<FILE>"),
        (&["exec", "/no/such/file"], 1, "cannot read /no/such/file"),
        (&["exec", "-", "--items", "-"], 2, "can come from standard input"),
        (&["exec", "-", "--fuel", "much"], 2, "--fuel is 'much'"),
        (
            &["exec", "-", "--memory", "5GiB"],
            2,
            "--memory is '5GiB': must be a size from 64MiB to 4GiB",
        ),
        (
            &["exec", "-", "--memory", "1KiB"],
            2,
            "--memory is '1KiB': must be a size from 64MiB to 4GiB",
        ),
        (
            &["exec", "-", "--memory", "lots"],
            2,
            "--memory is 'lots': must be a size from 64MiB to 4GiB",
        ),
        (&["broker", "--timeout", "soon"], 2, "--timeout is 'soon'"),
        (&["runner", "--fuel", "much"], 1, "--fuel is 'much'"),
        (&["--fuel", "much"], 1, "--fuel is 'much'"),
        (&["exec", "-", "--timeout", "soon"], 2, "--timeout is 'soon'"),
        (&["exec", "-", "--seed", "1"], 2, "--deterministic"),
        (&["dance"], 2, "unrecognized subcommand 'dance'"),
    ] {
        let out = serpentarium(arguments, &[], "return 1");
        assert_eq!(out.status.code(), Some(status), "{arguments:?}: {}", text(&out.stderr));
        assert!(text(&out.stderr).contains(expected), "{arguments:?}: {}", text(&out.stderr));
    }
}

#[test]
fn items_may_lack_the_json_key_and_can_run_one_by_one() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), r#"[{"n": 1}, {"json": {"n": 2}}]"#).unwrap();
    let items = file.path().to_str().unwrap();
    let report: Value = serde_json::from_slice(
        &exec("return [i['json']['n'] for i in _items]", &["--items", items, "--json"]).stdout,
    )
    .unwrap();
    assert_eq!(report["result"], json!([1, 2]));
    let report: Value = serde_json::from_slice(
        &exec("return {'m': _item['json']['n'] * 10}", &["--items", items, "--each", "--json"])
            .stdout,
    )
    .unwrap();
    assert_eq!(
        report["result"],
        json!([{"json": {"m": 10}, "pairedItem": {"item": 0}}, {"json": {"m": 20}, "pairedItem": {"item": 1}}])
    );
}

#[test]
fn json_output_holds_everything_about_the_task() {
    let out = exec(
        "import sys\nprint('hi')\nsys.stderr.write('careful')\nraise KeyError('k')",
        &["--json"],
    );
    let report: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(report["status"], "raised");
    assert_eq!(report["prints"], "hi\n");
    assert_eq!(report["stderr"], "careful");
    assert_eq!(report["error"]["lineNumber"], 4);
    assert!(report["fuel"].as_u64().unwrap() > 0 && report["memory"].as_u64().unwrap() > 0);
    assert!(report["durationMs"].as_f64().unwrap() > 0.0);
    assert_eq!(out.status.code(), Some(1));
}

#[test]
fn settings_of_the_runner_do_not_reach_other_subcommands() {
    let bad = [("N8N_RUNNERS_MAX_CONCURRENCY", "none"), ("SERPENTARIUM_FUEL", "none")];
    assert_eq!(serpentarium(&["exec", "-"], &bad, "return 1").status.code(), Some(0));
    let out = serpentarium(&[], &bad[..1], "");
    assert_eq!(out.status.code(), Some(1));
    assert_eq!(
        text(&out.stderr),
        "serpentarium: N8N_RUNNERS_MAX_CONCURRENCY is 'none': must be a whole number above 0, at most 10000\n"
    );
}

#[test]
fn the_notices_of_bundled_software_can_be_read() {
    let out = serpentarium(&["notices"], &[], "");
    for work in ["PYTHON SOFTWARE FOUNDATION LICENSE", "zlib", "wasi-libc", "tzdata"] {
        assert!(text(&out.stdout).contains(work), "{work}");
    }
}

#[test]
fn the_versions_name_the_patches_of_cpython() {
    let out = serpentarium(&["--version", "--verbose"], &[], "");
    let shown = text(&out.stdout);
    assert_eq!(out.status.code(), Some(0));
    for start in [
        "serpentarium ",
        "image ",
        "CPython 3.13.5 with Debian's patches of 3.13.5-",
        "sqlite3 3.46.1 ",
    ] {
        assert!(shown.lines().any(|line| line.starts_with(start)), "{start}: {shown}");
    }
    assert_eq!(text(&serpentarium(&["-v", "-V"], &[], "").stdout), shown);
}

/// Python code and JSON results that do not survive parsing into floats, maps or Unicode strings.
fn awkward() -> Vec<(&'static str, String)> {
    let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    vec![
        ("x = 1\nfor _ in range(200): x = [x]\nreturn x", nested(200)),
        ("return 10**400", format!("1{}", "0".repeat(400))),
        ("return '\\ud800'", r#""\ud800""#.into()),
        ("return 2**64", "18446744073709551616".into()),
        ("return {'z': 1, 'a': {}, 'm': []}", r#"{"z":1,"a":{},"m":[]}"#.into()),
    ]
}

/// JSON without white space. The strings of these tests contain none.
fn squeezed(json: &[u8]) -> String {
    text(json).split_whitespace().collect()
}

#[test]
fn a_result_is_shown_to_the_letter() {
    for (code, expected) in awkward() {
        let out = exec(code, &[]);
        assert_eq!(out.status.code(), Some(0), "{code}: {}", text(&out.stderr));
        assert_eq!(squeezed(&out.stdout), expected, "{code}");
        let report = squeezed(&exec(code, &["--json"]).stdout);
        assert!(report.contains(&format!(r#""result":{expected},"#)), "{code}: {report}");
    }
    assert_eq!(text(&exec("return None", &[]).stdout), "");
    assert_eq!(
        text(&exec("return {'z': 1, 'a': {}}", &[]).stdout),
        "{\n  \"z\": 1,\n  \"a\": {}\n}\n"
    );
}

#[test]
fn items_reach_the_code_as_they_are_written() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(
        file.path(),
        r#"[{"z": 18446744073709551616, "a": 1}, {"json": {"y": 1, "b": 2}}]"#,
    )
    .unwrap();
    let items = file.path().to_str().unwrap();
    let out = exec(
        "return [list(i['json']) for i in _items] + [_items[0]['json']['z'] - 2**64]",
        &["--items", items],
    );
    assert_eq!(squeezed(&out.stdout), r#"[["z","a"],["y","b"],0]"#);
    std::fs::write(file.path(), "[{}, 1]").unwrap();
    let out = exec("return 1", &["--items", items]);
    assert_eq!(out.status.code(), Some(1));
    assert!(
        text(&out.stderr).contains("holds no items: line 1, column 6: element 2 of the list"),
        "{}",
        text(&out.stderr)
    );
}

#[test]
fn a_script_may_print_as_often_as_it_likes() {
    let out = exec("for i in range(100_010): print(i, flush=True)", &[]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    assert_eq!(text(&out.stdout).lines().count(), 100_010);
}

#[test]
fn a_print_that_is_not_unicode_is_not_lost() {
    let out = text(&exec("print('a\\ud800b')\nprint('ü')", &[]).stdout).to_owned();
    assert!(out.starts_with('a') && out.ends_with("b\nü\n"), "{out}");
}

#[test]
fn a_limit_without_a_flag_comes_without_advice() {
    let out = exec("return 'x' * (300 << 20)", &["--memory", "4GiB"]);
    assert_eq!(out.status.code(), Some(3), "{}", text(&out.stderr));
    assert!(text(&out.stderr).contains("Task result is too large"), "{}", text(&out.stderr));
    assert!(!text(&out.stderr).contains("Raise it"), "{}", text(&out.stderr));
}

/// Runs the binary with the given standard output and standard error.
fn spawn(
    arguments: &[&str],
    stdout: impl Into<Stdio>,
    stderr: impl Into<Stdio>,
    input: &str,
) -> Child {
    let mut child = Command::new(env!("CARGO_BIN_EXE_serpentarium"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(stdout)
        .stderr(stderr)
        .spawn()
        .unwrap();
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child
}

/// Returns the writing end of a pipe without a reader.
fn broken_pipe() -> std::io::PipeWriter {
    std::io::pipe().unwrap().1
}

fn full() -> File {
    File::options().write(true).open("/dev/full").unwrap()
}

#[test]
fn a_reader_that_has_gone_changes_nothing() {
    for (code, status) in
        [("print(1)\nreturn 2", 0), ("print(1)\nraise KeyError", 1), ("while True: pass", 3)]
    {
        for json in [&[][..], &["--json"]] {
            let arguments = [&["exec", "-", "--fuel", "50M"], json].concat();
            let out =
                spawn(&arguments, broken_pipe(), Stdio::piped(), code).wait_with_output().unwrap();
            assert_eq!(out.status.code(), Some(status), "{code}");
            assert!(!text(&out.stderr).contains("cannot write"), "{}", text(&out.stderr));
            let end = spawn(&arguments, broken_pipe(), broken_pipe(), code).wait().unwrap();
            assert_eq!(end.code(), Some(status), "{code}");
        }
    }
    for arguments in [&["demo"][..], &["demo", "--json"], &["notices"]] {
        let end = spawn(arguments, broken_pipe(), broken_pipe(), "").wait().unwrap();
        assert_eq!(end.code(), Some(0), "{arguments:?}");
    }
}

#[test]
fn output_that_cannot_be_written_is_one_line_and_an_exit_code() {
    for (arguments, code) in [
        (&["exec", "-"][..], "print(1)\nprint(2)"),
        (&["exec", "-"], "return 2"),
        (&["exec", "-", "--json"], "return 2"),
        (&["demo"], ""),
        (&["notices"], ""),
    ] {
        let out = spawn(arguments, full(), Stdio::piped(), code).wait_with_output().unwrap();
        assert_eq!(out.status.code(), Some(1), "{arguments:?}");
        let errors =
            text(&out.stderr).matches("serpentarium: cannot write to standard output: ").count();
        assert_eq!(errors, 1, "{arguments:?}: {}", text(&out.stderr));
        if arguments[0] != "notices" {
            assert_eq!(
                spawn(arguments, full(), full(), code).wait().unwrap().code(),
                Some(1),
                "{arguments:?}"
            );
        }
    }
    assert_eq!(
        spawn(&["exec", "--memory", "x", "-"], full(), full(), "").wait().unwrap().code(),
        Some(2)
    );
    assert_eq!(
        spawn(&["exec", "/no/such/file"], full(), full(), "").wait().unwrap().code(),
        Some(1)
    );
}

/// A broker and its runner. Dropping it kills both.
struct Pair {
    broker: Child,
    runner: Child,
}

impl Pair {
    /// Runs one task for each program.
    fn start(codes: &[&str], arguments: &[&str], stdout: impl Into<Stdio>) -> Self {
        let free =
            std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let task = |code: &&str| {
            json!({"code": code, "nodeMode": "runOnceForAllItems", "items": []}).to_string()
        };
        let tasks: String = codes.iter().map(task).collect();
        let arguments =
            [&["broker", "-", "--auth-token", "t", "--listen", &free], arguments].concat();
        let broker = spawn(&arguments, stdout, Stdio::piped(), &tasks);
        let uri = format!("http://{free}");
        let runner = ["runner", "--auth-token", "t", "--workers", "1", "--max-concurrency", "1"];
        let runner = spawn(
            &[&runner[..], &["--task-broker-uri", &uri]].concat(),
            Stdio::null(),
            Stdio::null(),
            "",
        );
        Self { broker, runner }
    }

    /// Returns the exit code, standard output if it is a pipe, and standard error.
    fn end(mut self) -> (Option<i32>, String, String) {
        let (mut out, mut errors) = (String::new(), String::new());
        if let Some(mut stdout) = self.broker.stdout.take() {
            stdout.read_to_string(&mut out).unwrap();
        }
        self.broker.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        (self.broker.wait().unwrap().code(), out, errors)
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        for child in [&mut self.broker, &mut self.runner] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[test]
fn the_broker_prints_every_result_to_the_letter() {
    let deep = ("x = 1\nfor _ in range(300): x = [x]\nreturn [{'x': x}]", "[".repeat(300));
    let codes = [deep.0, "return [{'z': 10**400, 'a': '\\ud800'}]", "return [{'n': 2**64}]"];
    for arguments in [&[][..], &["--json"]] {
        let (code, out, errors) = Pair::start(&codes, arguments, Stdio::piped()).end();
        assert_eq!((code, out.lines().count()), (Some(0), 3), "{out} {errors}");
        for expected in [
            &deep.1,
            &format!(r#""z":1{},"a":"\ud800""#, "0".repeat(400)),
            r#""n":18446744073709551616"#,
        ] {
            assert!(out.contains(expected), "{expected}: {out}");
        }
    }
}

#[test]
fn the_broker_continues_without_a_reader_of_its_results() {
    let codes = ["print(1)\nreturn []", "return []"];
    let (code, _, errors) = Pair::start(&codes, &[], broken_pipe()).end();
    assert_eq!(code, Some(0), "{errors}");
    assert!(!errors.contains("cannot write"), "{errors}");
    let (code, _, errors) = Pair::start(&codes, &[], full()).end();
    assert_eq!(code, Some(1), "{errors}");
    assert_eq!(errors.matches("cannot write to standard output").count(), 1, "{errors}");
}
