//! The life cycle of the runner: idle shutdown, reconnection, bad connections.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use crate::support::script_broker::{Broker, Runner, command, settings, signal};
use serde_json::json;

const TOKEN: (&str, &str) = ("N8N_RUNNERS_AUTH_TOKEN", "secret");

/// Starts and registers a runner with these variables.
fn started(variables: &[(&str, &str)]) -> (Broker, Runner) {
    let mut broker = Broker::start();
    let runner = Runner::start_with(broker.port, &[&[TOKEN], variables].concat());
    broker.register();
    (broker, runner)
}

#[test]
fn an_idle_runner_ends_well_after_its_time() {
    let start = Instant::now();
    let (broker, mut runner) = started(&[("N8N_RUNNERS_AUTO_SHUTDOWN_TIMEOUT", "1")]);
    assert_eq!(broker.report("closed"), 1000);
    assert_eq!(runner.wait().code(), Some(0));
    assert!(start.elapsed() >= Duration::from_secs(1));
}

#[test]
fn a_task_restarts_the_idle_time() {
    let (mut broker, mut runner) = started(&[("N8N_RUNNERS_AUTO_SHUTDOWN_TIMEOUT", "1")]);
    for task_id in ["t1", "t2"] {
        broker.submit(task_id, settings("import time\ntime.sleep(1.5)\nreturn [1]"));
        assert_eq!(broker.message("runner:taskdone")["taskId"], task_id);
        std::thread::sleep(Duration::from_millis(500));
    }
    let end = Instant::now();
    assert_eq!(runner.wait().code(), Some(0));
    assert!(end.elapsed() >= Duration::from_millis(300), "{:?}", end.elapsed());
}

#[test]
fn a_runner_without_an_idle_limit_stays() {
    let (mut broker, _runner) = started(&[("N8N_RUNNERS_AUTO_SHUTDOWN_TIMEOUT", "0")]);
    std::thread::sleep(Duration::from_millis(1500));
    broker.submit("t1", settings("return []"));
    assert_eq!(broker.answer()["type"], "runner:taskdone");
}

#[test]
fn a_silent_connection_is_replaced() {
    let (mut broker, _runner) = started(&[("N8N_RUNNERS_HEARTBEAT_INTERVAL", "1")]);
    // After an offer, the broker has handled all earlier orders.
    broker.message("runner:taskoffer");
    // The kernel still acknowledges data for a stopped process, so only silence reveals it.
    broker.signal("STOP");
    std::thread::sleep(Duration::from_millis(3500));
    broker.signal("CONT");
    broker.register();
    broker.submit("t1", settings("return []"));
    assert_eq!(broker.answer()["type"], "runner:taskdone");
}

#[test]
fn a_quiet_but_living_connection_is_kept() {
    let (mut broker, _runner) = started(&[("N8N_RUNNERS_HEARTBEAT_INTERVAL", "0.5")]);
    std::thread::sleep(Duration::from_millis(2500));
    broker.submit("t1", settings("return []"));
    assert_eq!(broker.answer()["type"], "runner:taskdone");
}

#[test]
fn a_message_in_many_pieces_is_one_message() {
    let (mut broker, _runner) = started(&[]);
    broker.place("t1");
    let message = json!({ "type": "broker:tasksettings", "taskId": "t1", "settings": settings("return ['é'] * 3") });
    broker.order(&json!({ "pieces": message }));
    assert_eq!(broker.answer()["data"]["result"], json!(["é", "é", "é"]));
}

#[test]
fn the_runner_reconnects_after_an_oversized_message() {
    let (mut broker, _runner) = started(&[("N8N_RUNNERS_MAX_PAYLOAD", "100000")]);
    broker.order(&json!({ "raw": "x".repeat(200_000) }));
    broker.register();
    broker.submit("t1", settings("return []"));
    assert_eq!(broker.answer()["type"], "runner:taskdone");
}

#[test]
fn a_flood_of_nonsense_does_not_hold_up_a_task() {
    let (mut broker, _runner) = started(&[]);
    for at in 0..5000 {
        broker.order(&json!({ "raw": format!("{{\"type\":\"broker:nonsense\",\"at\":{at}}}") }));
    }
    broker.submit("t1", settings("return []"));
    assert_eq!(broker.answer()["type"], "runner:taskdone");
}

#[test]
fn a_broker_that_is_not_there_yet_is_waited_for() {
    let broker = Broker::start();
    let port = broker.port;
    drop(broker);
    let _runner = Runner::start_with(port, &[TOKEN]);
    std::thread::sleep(Duration::from_millis(700));
    let mut broker = Broker::start_at(port);
    broker.register();
    broker.submit("t1", settings("return []"));
    assert_eq!(broker.answer()["type"], "runner:taskdone");
}

#[test]
fn of_two_runners_with_the_same_id_the_older_one_ends() {
    let (mut broker, mut runner) = started(&[("N8N_RUNNERS_ID", "same")]);
    // n8n's broker does the same when another runner connects.
    broker.order(&json!({ "close": 1000 }));
    assert_eq!(runner.wait().code(), Some(1));
}

#[test]
fn a_runner_with_a_unique_id_reconnects_after_any_close() {
    let (mut broker, _runner) = started(&[]);
    broker.order(&json!({ "close": 1000 }));
    broker.register();
}

#[test]
fn a_runner_that_cannot_reach_its_broker_is_idle() {
    let broker = Broker::start();
    let port = broker.port;
    drop(broker);
    let mut runner = Runner::start_with(port, &[TOKEN, ("N8N_RUNNERS_AUTO_SHUTDOWN_TIMEOUT", "1")]);
    assert_eq!(runner.wait().code(), Some(0));
}

#[test]
fn an_unread_log_does_not_block_the_runner() {
    let mut broker = Broker::start();
    let mut runner = command(broker.port, &[TOKEN]).stdout(Stdio::piped()).spawn().unwrap();
    broker.register();
    for at in 0..3000 {
        broker
            .send(json!({ "type": "broker:taskcancel", "taskId": format!("unknown-{at}"), "reason": "x".repeat(100) }));
    }
    broker.submit("t1", settings("return []"));
    assert_eq!(broker.answer()["type"], "runner:taskdone");
    signal(&runner, "TERM");
    assert_eq!(broker.report("closed"), 1000);
    assert_eq!(runner.wait().unwrap().code(), Some(0));
}
