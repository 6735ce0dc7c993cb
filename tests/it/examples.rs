//! Each example of examples/ runs and prints what its text says.

use std::{path::PathBuf, process::Command};

/// Runs an example and returns its output. `cargo test` builds examples before tests, but
/// `cargo test --test it` does not.
fn output(name: &str) -> String {
    // This file is in `deps`, next to the directory of the examples.
    let test = std::env::current_exe().expect("the test has a path");
    let target = test.ancestors().nth(2).map(PathBuf::from).expect("the test is in `deps`");
    let program = target.join("examples").join(name);
    let out = Command::new(&program).output().unwrap_or_else(|error| {
        panic!("{}: {error}. `cargo build --release --examples` builds it", program.display())
    });
    let errors = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{name}: {}: {errors}", out.status);
    String::from_utf8(out.stdout).expect("it prints UTF-8")
}

#[test]
fn run_python_prints_and_returns() {
    assert_eq!(output("run_python"), "adding 3 numbers\n{\"sum\":6}\n");
}

#[test]
fn limits_stop_tasks() {
    let expected = "\
exceeded fuel: Task ran out of fuel: it consumed its limit of 50M units
exceeded time: Task execution timed out after 0.2 seconds
raised in line Some(1): MemoryError
Hint: The memory limit of the task is 64.0 MiB.
raised in line Some(1): division by zero
returned 1
";
    assert_eq!(output("limits"), expected);
}

#[test]
fn host_functions_answer_and_refuse() {
    let expected = "refused: there is no price of unicorn\ntotal 12.0\n";
    assert_eq!(output("host_functions"), expected);
}

#[test]
fn many_tasks_overlap() {
    let expected = "100 tasks, sum of the results 9900\noverlapped: true\n";
    assert_eq!(output("many_at_once"), expected);
}

#[test]
fn a_runner_can_be_embedded() {
    let expected = "done: [{\"json\":{\"n\":21}}]\nstopped\n";
    assert_eq!(output("embed_runner"), expected);
}
