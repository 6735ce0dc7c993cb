//! The health endpoint with few file descriptors, beside strangers.

use std::{
    collections::BTreeSet,
    fs,
    process::{Command, Stdio},
};

use serde_json::json;

use super::{PAUSE, Stranger, wait_until, with_files};
use crate::{
    health::{free_port, get},
    support::script_broker::{Broker, Runner, command, settings},
};

const CHECK: &str = "N8N_RUNNERS_HEALTH_CHECK_SERVER_ENABLED";

/// Returns the command of a runner with two workers and a health endpoint, under a limit of files.
fn limited(broker: u16, health: u16, files: usize) -> Command {
    let variables = [
        ("N8N_RUNNERS_AUTH_TOKEN", "secret"),
        (CHECK, "true"),
        ("N8N_RUNNERS_HEALTH_CHECK_SERVER_PORT", &health.to_string()),
        ("SERPENTARIUM_WORKERS", "2"),
    ];
    with_files(&command(broker, &variables), files)
}

fn workers(runner: &Runner) -> BTreeSet<String> {
    let id = runner.id();
    let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
    children.split_whitespace().map(str::to_owned).collect()
}

/// Returns the number of open files, or 0 without the right to see them: the runner is not dumpable.
fn open_files(runner: &Runner) -> usize {
    fs::read_dir(format!("/proc/{}/fd", runner.id())).map_or(0, |files| files.count())
}

/// Workers are replaced, the broker connection comes back, and probes are answered, while a
/// stranger holds 200 half-open connections.
fn survives_a_stranger(files: usize) {
    let (mut broker, health) = (Broker::start(), free_port());
    let runner = Runner::run(limited(broker.port, health, files));
    broker.register();
    assert_eq!(get(health, "/healthz"), (200, "OK".into()));
    let _stranger = Stranger::start(health);
    for _ in 0..20 {
        assert_eq!(get(health, "/healthz"), (200, "OK".into()));
        assert!(open_files(&runner) <= files);
        std::thread::sleep(PAUSE);
    }
    let killed = workers(&runner);
    runner.kill_workers();
    wait_until("two new workers", || {
        let workers = workers(&runner);
        workers.len() == 2 && workers.is_disjoint(&killed)
    });
    // No task has ended yet, so the probe runs one.
    assert_eq!(get(health, "/readyz"), (200, "OK".into()));
    broker.order(&json!({ "close": 1001 }));
    broker.register();
    broker.submit("t1", settings("return [1]"));
    assert_eq!(broker.answer()["data"]["result"], json!([1]));
    assert_eq!(get(health, "/readyz"), (200, "OK".into()));
}

#[test]
fn half_open_connections_beside_64_descriptors() {
    survives_a_stranger(64);
}

#[test]
fn half_open_connections_beside_the_usual_descriptors() {
    survives_a_stranger(1024);
}

#[test]
fn a_too_low_limit_of_files_is_named_and_the_next_suffices() {
    let mut command = limited(1, free_port(), 16);
    let output = command.stdout(Stdio::null()).stderr(Stdio::piped()).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), text.lines().count()), (Some(1), 1), "{text}");
    assert!(text.contains("the limit of open files is 16 (ulimit -n)"), "{text}");
    let needed = text.split_whitespace().find_map(|word| word.parse().ok().filter(|n| *n != 16));
    survives_a_stranger(needed.expect("the least limit"));
}
