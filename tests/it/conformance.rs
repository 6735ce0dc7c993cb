//! The conformance cases (`tests/conformance/cases`) against the runner, and against commands that
//! must fail them.

mod in_process;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::{Mutex, PoisonError},
};

use serde_json::Value;

/// At least this many cases exist. Losing a file of cases must not pass unnoticed.
const CASES: usize = 300;

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

/// Runs the suite with these arguments. Runs exclude each other, because cases are timed.
fn conformance(arguments: &[&str]) -> Output {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let suite = tests().join("conformance");
    Command::new(crate::support::script_broker::python())
        .arg("-B")
        .arg(suite)
        .args(arguments)
        .output()
        .expect("Python starts")
}

fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).expect("the suite writes UTF-8")
}

/// Allows each case 2 s. `scripts/conformance` holds them to 50 ms, on an idle machine.
#[test]
fn every_case_is_as_expected() {
    let ran = conformance(&[
        "--strict",
        "--slowest",
        "2000",
        "--",
        env!("CARGO_BIN_EXE_serpentarium"),
        "runner",
    ]);
    let shown = text(&ran.stdout);
    assert!(ran.status.success(), "{shown}\n{}", text(&ran.stderr));
    let closing = &shown[shown.find("Slowest").expect("a closing table")..];
    println!("{closing}");
}

#[test]
fn there_are_enough_cases_and_each_has_a_name_of_its_own() {
    let listed = conformance(&["--list"]);
    let names: Vec<_> = text(&listed.stdout).lines().collect();
    assert!(names.len() >= CASES, "{}", names.len());
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
}

#[test]
fn a_command_that_is_no_runner_is_told_from_one() {
    let ran = conformance(&["--", "true"]);
    assert_eq!(ran.status.code(), Some(2));
    assert_eq!(
        text(&ran.stderr).trim(),
        "error: true is no runner: expected a registration, got its end with code 0"
    );
}

#[test]
fn a_runner_that_answers_wrongly_fails_its_cases() {
    let wrong = tests().join("servers/wrong_runner.py");
    let command = [crate::support::script_broker::python(), &wrong]
        .map(|path| path.to_str().expect("a path of this project"));
    let ran = conformance(&["--only", "query", "--json", "--", command[0], command[1]]);
    assert_eq!(ran.status.code(), Some(1), "{}", text(&ran.stderr));
    let report: Value = serde_json::from_slice(&ran.stdout).expect("JSON");
    let cases = report["cases"].as_array().expect("a list");
    assert!(cases.len() > 3);
    for case in cases {
        assert_eq!(case["verdict"], "failed", "{case}");
        assert!(case["got"].as_str().is_some_and(|got| got.contains("42")), "{case}");
    }
}

#[test]
fn a_pattern_that_fits_no_case_is_an_error() {
    let ran = conformance(&["--only", "no such case", "--", "true"]);
    assert_eq!(ran.status.code(), Some(2));
    assert!(text(&ran.stderr).contains("no such case"));
}
