//! The runner's log at a terminal, under n8n's launcher and as JSON, and its reports to Sentry.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

use crate::support::script_broker::{Broker, PATIENCE, Runner, command, settings};
use serde_json::{Value, json};

const TOKEN: (&str, &str) = ("N8N_RUNNERS_AUTH_TOKEN", "secret");

/// Returns the log of a runner with these variables, for one task that succeeds and one that fails.
/// `wrapper` is a command that starts the runner.
fn log(variables: &[(&str, &str)], wrapper: Option<&[&str]>) -> Vec<String> {
    let mut broker = Broker::start();
    let mut runner = command(broker.port, &[&[TOKEN], variables].concat());
    if let Some(words) = wrapper {
        let mut outer = Command::new(words[0]);
        outer.args(&words[1..]).arg(format!("exec {} runner", env!("CARGO_BIN_EXE_serpentarium")));
        outer.arg("/dev/null").env_clear();
        outer.envs(runner.get_envs().filter_map(|(name, value)| Some((name, value?))));
        runner = outer;
    }
    let mut child = runner.stdout(Stdio::piped()).stdin(Stdio::null()).spawn().unwrap();
    broker.register();
    broker.submit("t1", settings("return [1]"));
    assert_eq!(broker.answer()["type"], "runner:taskdone");
    broker.submit("t2", settings("raise ValueError('of the user')"));
    assert_eq!(broker.answer()["type"], "runner:taskerror");
    broker.order(&json!({ "close": 1001 }));
    broker.report("closed");
    // A signal to the wrapper would not reach the runner.
    let of_wrapper = wrapper.map(|_| format!("/proc/{0}/task/{0}/children", child.id()));
    let runner =
        of_wrapper.map_or(child.id().to_string(), |list| std::fs::read_to_string(list).unwrap());
    assert!(Command::new("kill").arg("-TERM").arg(runner.trim()).status().unwrap().success());
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    child.wait().unwrap();
    text.lines().map(str::to_owned).collect()
}

fn line<'a>(lines: &'a [String], part: &str) -> &'a str {
    lines
        .iter()
        .find(|line| line.contains(part))
        .unwrap_or_else(|| panic!("no line with {part:?}: {lines:#?}"))
}

#[test]
fn without_a_terminal_a_line_is_a_bare_message_and_its_fields() {
    let lines = log(&[], None);
    let done = line(&lines, "task t1");
    assert!(done.starts_with("Completed task t1 in "), "{done}");
    assert!(
        done.contains(r#"B) for node "Code" (Unknown) in workflow "Test" (Unknown) fuel="#),
        "{done}"
    );
    assert!(done.contains(" memory=") && !done.contains("task."), "{done}");
    let failed = line(&lines, "task t2");
    assert!(
        failed.starts_with("Failed task t2 in ") && failed.contains(r#" why="exception""#),
        "{failed}"
    );
    assert!(!lines.iter().any(|line| line.contains("of the user")), "{lines:#?}");
}

#[test]
fn for_machines_a_line_is_an_object_with_all_fields() {
    let lines = log(&[("SERPENTARIUM_LOG", "json")], None);
    let objects: Vec<Value> =
        lines.iter().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect();
    assert!(
        objects.iter().all(|line| line["level"].is_string() && line["timestamp"].is_string()),
        "{objects:#?}"
    );
    let done = objects.iter().find(|line| line["task.id"] == "t1").unwrap();
    assert!(done["message"].as_str().unwrap().starts_with("Completed task t1 in "), "{done}");
    assert!(
        done["fuel"].as_u64().unwrap() > 100_000 && done["memory"].as_u64().unwrap() > 16 << 20,
        "{done}"
    );
    assert!(done["task.milliseconds"].as_f64().unwrap() > 0.0, "{done}");
    assert_eq!((&done["task.node"], &done["task.workflow"]), (&json!("Code"), &json!("Test")));
    let failed = objects.iter().find(|line| line["task.id"] == "t2").unwrap();
    assert_eq!((&failed["why"], &failed["level"]), (&json!("exception"), &json!("INFO")));
}

#[test]
fn the_level_is_that_of_n8ns_variable() {
    assert_eq!(log(&[("N8N_RUNNERS_LAUNCHER_LOG_LEVEL", "error")], None), [""; 0]);
    let lines = log(&[("N8N_RUNNERS_LAUNCHER_LOG_LEVEL", "warn")], None);
    assert!(!lines.is_empty() && !lines.iter().any(|line| line.contains("task t1")), "{lines:#?}");
}

#[test]
fn at_a_terminal_lines_have_time_level_and_colour() {
    let terminal: &[&str] = &["/usr/bin/script", "--quiet", "--return", "--command"];
    let lines = log(&[], Some(terminal));
    let done = line(&lines, "task t1");
    assert!(
        done.contains("\u{1b}[32m INFO") && done.contains("20") && done.contains("Z"),
        "{done:?}"
    );
    let lines = log(&[("NO_COLOR", "1")], Some(terminal));
    let done = line(&lines, "task t1");
    assert!(!done.contains('\u{1b}') && done.contains("Z  INFO Completed task t1"), "{done:?}");
}

/// Starts a stand-in for Sentry. Returns its address and a channel of its requests.
fn sentry() -> (String, Receiver<String>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let dsn = format!("http://key@127.0.0.1:{}/7", listener.local_addr().unwrap().port());
    let (sender, received) = channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = sender.send(envelope(stream.unwrap()));
        }
    });
    (dsn, received)
}

/// Reads a request and answers it.
fn envelope(mut stream: TcpStream) -> String {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut head, mut length) = (String::new(), 0);
    while !head.ends_with("\r\n\r\n") {
        let from = head.len();
        assert!(reader.read_line(&mut head).unwrap() > 0, "{head}");
        if let Some(value) = head[from..].to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    stream
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
        .unwrap();
    format!("{head}{}", String::from_utf8(body).unwrap())
}

#[test]
fn only_faults_of_the_runner_go_to_sentry() {
    let (dsn, received) = sentry();
    let mut broker = Broker::start();
    let variables = [
        TOKEN,
        ("N8N_SENTRY_DSN", dsn.as_str()),
        ("N8N_VERSION", "2.41.1"),
        ("ENVIRONMENT", "testing"),
        ("DEPLOYMENT_NAME", "mine"),
        ("N8N_RUNNERS_TASK_TIMEOUT", "1"),
        ("N8N_RUNNERS_STDLIB_ALLOW", "time"),
    ];
    let mut runner = Runner::start_with(broker.port, &variables);
    broker.register();
    for code in ["raise ValueError('boom')", "return (", "import time\ntime.sleep(9)", "import os"]
    {
        broker.submit("user", settings(code));
        assert_eq!(broker.answer()["type"], "runner:taskerror");
    }
    broker.submit("cancelled", settings("while True: pass"));
    broker.send(json!({ "type": "broker:taskcancel", "taskId": "cancelled", "reason": "test" }));
    broker.answer();
    broker.submit("lost", settings("while True: pass"));
    thread::sleep(Duration::from_millis(200));
    runner.kill_workers();
    assert_eq!(broker.answer()["type"], "runner:taskerror");
    let report = received.recv_timeout(PATIENCE).expect("Sentry was sent something");
    assert!(report.starts_with("POST /api/7/envelope/ "), "{report}");
    let event: Value =
        report.lines().filter_map(|line| serde_json::from_str(line).ok()).next_back().unwrap();
    assert_eq!(
        event["logentry"]["message"].as_str().or(event["message"].as_str()),
        Some("A task ended by a fault of the runner or its Python: worker lost"),
        "{event:#}"
    );
    assert_eq!(event["tags"]["server_type"], "task_runner_python");
    assert_eq!(
        (&event["release"], &event["environment"]),
        (&json!("n8n@2.41.1"), &json!("testing"))
    );
    assert_eq!(event["server_name"], "mine");
    runner.signal("TERM");
    assert_eq!(runner.wait().code(), Some(0));
    assert!(received.try_recv().is_err(), "nothing else is reported");
}

/// Returns how many errors a log in JSON has, and the number of reports.
fn faults(log: &str, received: &Receiver<String>) -> (usize, usize) {
    let errors = log
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("each line is JSON"))
        .filter(|line| line["level"] == "ERROR");
    (errors.count(), received.try_iter().count())
}

/// Ends a runner. Returns its log.
fn ended(runner: &mut Child) -> String {
    assert!(
        Command::new("kill").args(["-TERM", &runner.id().to_string()]).status().unwrap().success()
    );
    let mut log = String::new();
    runner.stdout.take().unwrap().read_to_string(&mut log).unwrap();
    runner.wait().unwrap();
    log
}

fn start(port: u16, dsn: &str, places: &str) -> Child {
    let variables = [
        TOKEN,
        ("N8N_SENTRY_DSN", dsn),
        ("SERPENTARIUM_LOG", "json"),
        ("SERPENTARIUM_WORKERS", "1"),
        ("N8N_RUNNERS_MAX_CONCURRENCY", places),
    ];
    command(port, &variables).stdout(Stdio::piped()).stdin(Stdio::null()).spawn().unwrap()
}

#[test]
fn what_code_can_cause_is_no_error_and_no_report() {
    let (dsn, received) = sentry();
    let mut broker = Broker::start();
    let mut runner = start(broker.port, &dsn, "2");
    broker.register();
    let reply = |reply: &str| format!("import posix\nposix.write(1, b'{reply}')\nposix._exit(0)");
    let kinds = [
        "import posix\nposix._exit(0)".to_owned(),
        "import posix\nposix._exit(3)".into(),
        "import posix\nposix.abort()".into(),
        "x = ()\nfor _ in range(200_000): x = (x,)\nreturn hash(x)".into(),
        reply("garbage"),
        reply(r#"{"result": 1} {"result": 2}"#),
        reply(r#"{"result": 1, "effects": {"more": 1}}"#),
        reply(r#"{"result": 1, "effects": {"staticData": []}}"#),
        reply(r#"{"error": {"message": "x", "context": {"itemIndex": -1}}}"#),
    ];
    for code in &kinds {
        for _ in 0..60 {
            broker.submit("t", settings(code));
            let message = broker.message("runner:taskerror")["error"]["message"].take();
            assert!(message.as_str().unwrap().starts_with("Python stopped"), "{code}: {message}");
        }
    }
    let log = ended(&mut runner);
    assert_eq!(log.matches(r#""why":"broken""#).count(), 60 * kinds.len(), "{log}");
    assert_eq!(faults(&log, &received), (0, 0), "{log}");
}

#[test]
fn repeated_faults_of_the_runner_are_counted_not_listed() {
    let (dsn, received) = sentry();
    let mut broker = Broker::start();
    let mut runner = start(broker.port, &dsn, "60");
    broker.register();
    for number in 0..60 {
        broker.submit(&format!("t{number}"), settings("while True: pass"));
    }
    thread::sleep(Duration::from_millis(200));
    let children = format!("/proc/{0}/task/{0}/children", runner.id());
    let workers = std::fs::read_to_string(children).unwrap();
    assert!(Command::new("kill").arg("-KILL").args(workers.split_whitespace()).status().is_ok());
    for _ in 0..60 {
        broker.message("runner:taskerror");
    }
    let log = ended(&mut runner);
    // Ten, and one that counts the others.
    assert_eq!(faults(&log, &received), (11, 11), "{log}");
    assert!(log.contains(r#""message":"left out further errors of this kind: A task ended"#));
    assert!(log.contains(r#""count":50"#), "{log}");
    assert_eq!(log.matches(r#""why":"worker lost""#).count(), 60, "each task has its own line");
}
