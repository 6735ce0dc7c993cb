//! The subcommands that work without n8n: `demo`, and `broker` with a runner.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

/// Many times the usual duration.
const PATIENCE: Duration = Duration::from_secs(60);

fn serpentarium(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_serpentarium"));
    command.args(words).env_remove("N8N_RUNNERS_AUTH_TOKEN").env_remove("N8N_RUNNERS_GRANT_TOKEN");
    command
}

/// A process. Dropping it kills it.
struct Process(Child);

impl Process {
    fn exit_code(&mut self) -> Option<i32> {
        let end = Instant::now() + PATIENCE;
        loop {
            match self.0.try_wait().unwrap() {
                Some(status) => return status.code(),
                None if Instant::now() > end => panic!("it does not end"),
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn lines(text: &[u8]) -> Vec<Value> {
    String::from_utf8_lossy(text).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn the_demo_behaves() {
    let output = serpentarium(&["demo", "--json"]).output().unwrap();
    let acts = lines(&output.stdout);
    let surprises: Vec<_> = acts.iter().filter(|act| act["asExpected"] != true).collect();
    assert!(surprises.is_empty(), "{surprises:#?}");
    assert!(output.status.success() && acts.len() > 10, "{output:?}");
}

#[test]
fn the_demo_has_no_colours_without_a_terminal() {
    let output = serpentarium(&["demo"]).output().unwrap();
    assert!(output.status.success());
    assert!(!output.stdout.contains(&0x1b) && !output.stderr.contains(&0x1b));
    assert!(String::from_utf8_lossy(&output.stdout).contains("What the user sees"));
}

/// Runs tasks with `serpentarium broker` and a runner. Returns the exit code and standard output.
fn broker(tasks: &str, words: &[&str]) -> (Option<i32>, Vec<u8>) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("tasks.json");
    std::fs::write(&file, tasks).unwrap();
    let mut command = serpentarium(&["broker", "--listen=127.0.0.1:0", "--auth-token=secret"]);
    command.args(words).arg(&file).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut broker = Process(command.spawn().unwrap());
    let mut said = BufReader::new(broker.0.stderr.take().unwrap()).lines().map(Result::unwrap);
    let invitation =
        said.find(|line| line.contains("TASK_BROKER_URI=")).expect("it says how to start a runner");
    let uri = invitation
        .split_whitespace()
        .find_map(|word| word.strip_prefix("N8N_RUNNERS_TASK_BROKER_URI="))
        .unwrap();
    let drained = std::thread::spawn(move || said.count());
    let mut runner = serpentarium(&["runner"]);
    runner
        .env("N8N_RUNNERS_TASK_BROKER_URI", uri)
        .env("N8N_RUNNERS_AUTH_TOKEN", "secret")
        .stdout(Stdio::null());
    let _runner = Process(runner.spawn().unwrap());
    let code = broker.exit_code();
    drained.join().unwrap();
    let mut output = Vec::new();
    std::io::Read::read_to_end(&mut broker.0.stdout.take().unwrap(), &mut output).unwrap();
    (code, output)
}

fn task(code: &str) -> String {
    json!({"code": code, "nodeMode": "runOnceForAllItems", "items": [{"json": {"n": 1}}]})
        .to_string()
}

#[test]
fn tasks_from_a_file_run_and_their_results_are_lines() {
    let (code, output) = broker(&[task("return _items"), task("return _items")].join("\n"), &[]);
    assert_eq!(lines(&output), [json!([{"json": {"n": 1}}]), json!([{"json": {"n": 1}}])]);
    assert_eq!(code, Some(0));
}

#[test]
fn a_failed_task_shows_in_the_exit_code_and_in_its_json_line() {
    let (code, output) = broker(&task("print('so far')\nreturn 1 / 0"), &["--json"]);
    let lines = lines(&output);
    assert_eq!(
        (lines[0]["task"].clone(), lines[0]["prints"].clone()),
        (json!(1), json!(["so far"]))
    );
    let error = &lines[0]["error"];
    assert_eq!((&error["message"], &error["lineNumber"]), (&json!("division by zero"), &json!(2)));
    assert_eq!(code, Some(1));
}

#[test]
fn a_file_that_holds_no_json_is_wrong_usage() {
    assert_eq!(broker("[1, 2]", &[]).0, Some(2));
    assert_eq!(broker("{", &[]).0, Some(2));
}
