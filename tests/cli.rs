//! The command line as a script sees it: output, errors and exit codes of the built binary.

use std::{
    io::Write,
    process::{Command, Output, Stdio},
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
    // One that ends before it reads closes the pipe.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn exec(code: &str, arguments: &[&str]) -> Output {
    serpentarium(&[&["exec", "-"], arguments].concat(), &[], code)
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn what_is_printed_and_returned_goes_to_standard_output_and_what_it_cost_to_standard_error() {
    let out = exec("print('hello', 1)\nreturn {'a': [1, 2]}", &[]);
    assert_eq!(out.status.code(), Some(0));
    assert_eq!(text(&out.stdout), "hello 1\n{\n  \"a\": [\n    1,\n    2\n  ]\n}\n");
    let cost = text(&out.stderr);
    assert!(cost.starts_with("fuel ") && cost.contains(" · memory ") && cost.contains(" ms"), "{cost}");
}

#[test]
fn each_kind_of_end_has_its_exit_code_and_its_clear_text() {
    for (code, arguments, status, expected) in [
        ("return 1", &[][..], 0, ""),
        ("raise ValueError('no good')", &[], 1, "ValueError: no good"),
        ("return (", &[], 1, "SyntaxError"),
        ("while True: pass", &["--fuel", "50M"], 3, "Task ran out of fuel: it burnt its limit of 50000000 units"),
        ("while True: pass", &["--timeout", "200ms"], 3, "Task execution timed out after 0.2 seconds"),
        ("import time; time.sleep(9)", &["--timeout", "200ms"], 3, "Raise it with --timeout."),
        ("import os; os._exit(7)", &[], 4, "the guest exited with code 7"),
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
        (&["exec", "-", "--items", "-"], 1, "cannot both come from standard input"),
        (&["exec", "-", "--fuel", "much"], 1, "--fuel is 'much'"),
        (&["exec", "-", "--memory", "5GiB"], 1, "--memory is '5GiB': at most 4GiB"),
        (&["exec", "-", "--timeout", "soon"], 1, "--timeout is 'soon'"),
        (&["exec", "-", "--seed", "1"], 2, "--deterministic"),
        (&["dance"], 2, "unrecognized subcommand 'dance'"),
    ] {
        let out = serpentarium(arguments, &[], "return 1");
        assert_eq!(out.status.code(), Some(status), "{arguments:?}: {}", text(&out.stderr));
        assert!(text(&out.stderr).contains(expected), "{arguments:?}: {}", text(&out.stderr));
    }
}

#[test]
fn items_come_with_or_without_n8ns_json_key_and_can_be_run_one_by_one() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), r#"[{"n": 1}, {"json": {"n": 2}}]"#).unwrap();
    let items = file.path().to_str().unwrap();
    let report: Value =
        serde_json::from_slice(&exec("return [i['json']['n'] for i in _items]", &["--items", items, "--json"]).stdout)
            .unwrap();
    assert_eq!(report["result"], json!([1, 2]));
    let report: Value = serde_json::from_slice(
        &exec("return {'m': _item['json']['n'] * 10}", &["--items", items, "--each", "--json"]).stdout,
    )
    .unwrap();
    assert_eq!(
        report["result"],
        json!([{"json": {"m": 10}, "pairedItem": {"item": 0}}, {"json": {"m": 20}, "pairedItem": {"item": 1}}])
    );
}

#[test]
fn json_output_holds_all_that_is_known_of_the_task() {
    let out = exec("import sys\nprint('hi')\nsys.stderr.write('careful')\nraise KeyError('k')", &["--json"]);
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
        "serpentarium: N8N_RUNNERS_MAX_CONCURRENCY is 'none': must be a whole number above 0\n"
    );
}

#[test]
fn the_notices_of_what_the_binary_carries_can_be_read() {
    let out = serpentarium(&["notices"], &[], "");
    for work in ["PYTHON SOFTWARE FOUNDATION LICENSE", "zlib", "wasi-libc", "tzdata"] {
        assert!(text(&out.stdout).contains(work), "{work}");
    }
}
