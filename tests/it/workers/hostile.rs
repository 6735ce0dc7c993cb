//! A worker that lies: the parent kills it, and its tasks fail with the reason.
//!
//! The worker is `tests/servers/puppet_worker.py`, which follows the orders in a job's input.

use super::*;
use crate::support::puppet;
use serde_json::Value;
use serpentarium::sandbox::{Job, Limits};

/// Returns a job with these orders and small limits.
fn orders(steps: Value) -> Job {
    let limits = Limits::default().calls(20).in_flight(3).call_bytes(1_000).notified(1_500);
    Job::new(steps.to_string(), limits.output(3_000_000).stderr(10).time(Duration::from_secs(60)))
}

/// Returns the reason for which the parent stopped a worker with these orders. The worker is dead
/// by then.
async fn stopped(job: Job) -> String {
    let pool = puppet::pool(1);
    let process = pool.process_ids()[0];
    let outcome = pool.run(job, Arc::new(Silent)).await;
    assert!(!is_alive(process), "the process lives on");
    match outcome.result {
        Err(Failure::WorkerLost(reason)) => reason,
        other => panic!("the worker was not stopped: {other:?}"),
    }
}

async fn assert_stopped(steps: Value, expected: &str) {
    let reason = stopped(orders(steps)).await;
    assert!(reason.contains(expected), "{reason}");
}

/// Returns the order to send a call with `size` bytes of parameters.
fn call(number: impl Into<Value>, size: u64) -> Value {
    let header = json!({"Call": {"job": "$job", "call": number.into(), "name": "a"}});
    json!({"send": header, "before": "\"", "fill": size - 2, "after": "\""})
}

/// Returns the order to send a notification with `size` bytes of parameters.
fn notify(size: u64) -> Value {
    let header = json!({"Notify": {"job": "$job", "name": "log"}});
    json!({"send": header, "before": "\"", "fill": size - 2, "after": "\""})
}

/// Returns the order to end the job with other fields than a correct worker's.
fn done(fields: Value) -> Value {
    let usage = json!({"fuel": 1, "memory": 1, "duration": {"secs": 0, "nanos": 0}});
    let mut done = json!({"job": "$job", "exit": "Output", "usage": usage, "stderr": ""});
    for (key, value) in fields.as_object().expect("fields") {
        done[key] = value.clone();
    }
    json!({"send": {"Done": done}, "before": "{\"result\":1}"})
}

#[tokio::test]
async fn a_worker_within_all_limits_is_left_alone() {
    let pool = puppet::pool(1);
    let process = pool.process_ids()[0];
    let (calls, ends) = (
        json!({"repeat": 4, "steps": [call("$n", 1_000)]}),
        json!({"repeat": 4, "steps": [{"send": {"DropCall": {"job": "$job", "call": "$n"}}}]}),
    );
    let output = format!("{{\"result\":\"{}\"}}", "x".repeat(3_000_000 - 13));
    let steps = json!([
        calls, ends, calls, ends, notify(1_000), notify(500), {"repeat": 10, "steps": [notify(2)]},
        {"done": output}
    ]);
    // Two bytes for each of the last prints.
    let mut job = orders(steps);
    job.limits = job.limits.notified(1_520);
    assert!(pool.run(job, Arc::new(Silent)).await.result.is_ok());
    let next = pool.run(orders(json!([{"done": "{\"result\":7}"}])), Arc::new(Silent)).await;
    assert_eq!((returned(&next), pool.process_ids()[0]), (json!(7), process));
}

#[tokio::test]
async fn a_worker_that_lied_is_replaced() {
    let pool = puppet::pool(1);
    let lied = pool.run(orders(json!([notify(1_001)])), Arc::new(Silent)).await;
    assert!(matches!(lied.result, Err(Failure::WorkerLost(_))), "{:?}", lied.result);
    let next = pool.run(orders(json!([{"done": "{\"result\":7}"}])), Arc::new(Silent)).await;
    assert_eq!(returned(&next), 7);
}

#[tokio::test]
async fn bytes_of_a_call_violated() {
    let expected = "broke a limit: parameters of a host call: 1001 B where 1000 B are allowed";
    assert_stopped(json!([call(1, 1_001)]), expected).await;
}

/// The announced size counts: the bytes never come.
#[tokio::test]
async fn an_announced_size_violated_before_the_bytes() {
    let header = json!({"Call": {"job": "$job", "call": 1, "name": "a"}});
    assert_stopped(json!([{"send": header, "announce": 1 << 29}]), "host call: 512.0 MiB").await;
    assert_stopped(json!([{"raw": "\u{2}\0\0\0\u{ff}\u{ff}\u{ff}\u{ff}{}"}]), "4294967295").await;
    assert_stopped(json!([{"raw": "\u{ff}\u{ff}\u{ff}\0\0\0\0\0"}]), "a header of 16777215").await;
}

#[tokio::test]
async fn calls_in_flight_violated() {
    let steps = json!([{"repeat": 5, "steps": [call("$n", 10)]}]);
    assert_stopped(steps, "host calls in flight: 5 where 4 are allowed").await;
}

#[tokio::test]
async fn bytes_of_calls_in_flight_violated() {
    let mut job = orders(json!([{"repeat": 6, "steps": [call("$n", 1_000)]}]));
    job.limits = job.limits.in_flight(100);
    let reason = stopped(job).await;
    assert!(reason.contains("without an answer: 5.9 KiB where 4.9 KiB are allowed"), "{reason}");
}

#[tokio::test]
async fn the_number_of_calls_violated() {
    let steps = json!([{"repeat": 21, "steps": [notify(2)]}]);
    assert_stopped(steps, "host calls: 21 where 20 are allowed").await;
    let drop = json!({"send": {"DropCall": {"job": "$job", "call": 1}}});
    assert_stopped(json!([{"repeat": 21, "steps": [drop]}]), "ended host calls: 21").await;
}

#[tokio::test]
async fn bytes_of_prints_violated() {
    assert_stopped(json!([notify(1_000), notify(501)]), "all prints: 1.5 KiB where 1.5 KiB").await;
}

#[tokio::test]
async fn pieces_of_standard_error_violated() {
    let piece = |size: u64| json!({"send": {"Stderr": {"job": "$job"}}, "fill": size});
    assert_stopped(json!([piece(10), piece(1)]), "standard error: 11 B where 10 B").await;
    assert_stopped(json!([{"repeat": 11, "steps": [piece(0)]}]), "standard error: 11 B").await;
}

#[tokio::test]
async fn bytes_of_output_violated() {
    let mut output = done(json!({}));
    output["fill"] = 3_000_000.into();
    assert_stopped(json!([output]), "output: 2.9 MiB where 2.9 MiB").await;
}

#[tokio::test]
async fn bytes_of_standard_error_violated() {
    let steps = json!([done(json!({"stderr": "x".repeat(31)}))]);
    assert_stopped(steps, "standard error: 31 B where 30 B").await;
}

#[tokio::test]
async fn usage_that_cannot_be_true_is_no_usage() {
    let usage = |fuel: u64, memory: u64, seconds: u64| {
        json!([done(json!({"usage": {
            "fuel": fuel, "memory": memory, "duration": {"secs": seconds, "nanos": 0}
        }}))])
    };
    assert_stopped(usage(u64::MAX, 0, 0), "units of fuel: 18446744073709551615 where").await;
    assert_stopped(usage(0, 513 << 20, 0), "memory: 513.0 MiB where 512.0 MiB").await;
    assert_stopped(usage(0, 0, 3_000), "a stated duration of 3000 seconds").await;
}

#[tokio::test]
async fn a_task_cannot_end_by_a_foreign_limit() {
    let time = json!({"Exceeded": {"time": {"secs": 1, "nanos": 0}}});
    assert_stopped(json!([done(json!({"exit": time}))]), "a limit which it does not have").await;
}

#[tokio::test]
async fn a_worker_cannot_speak_for_tasks_of_others() {
    let pool = puppet::pool(2);
    let mut victim =
        tokio::spawn(pool.run(
            orders(json!([{"sleep": 2}, {"done": "{\"result\":\"real\"}"}])),
            Arc::new(Silent),
        ));
    // The victim has its worker before the liar comes.
    assert!(tokio::time::timeout(Duration::from_millis(300), &mut victim).await.is_err());
    let lie = json!([{"send": {"Done": {
        "job": 0, "exit": "Output", "stderr": "",
        "usage": {"fuel": 1, "memory": 1, "duration": {"secs": 0, "nanos": 0}}
    }}, "before": "{\"result\":\"forged\"}"}]);
    let liar = pool.run(orders(lie), Arc::new(Silent)).await;
    let end = format!("{:?}", liar.result);
    assert!(end.contains("an event of a task that it does not run"), "{end}");
    assert_eq!(returned(&victim.await.expect("no panic")), "real");
}

#[tokio::test]
async fn a_number_of_a_call_is_not_used_twice() {
    assert_stopped(json!([call(1, 10), call(1, 10)]), "the number of another one").await;
}

#[tokio::test]
async fn names_and_parameters_are_checked_again() {
    let named = |name: &str| json!([{"send": {"Call": {"job": "$job", "call": 1, "name": name}}, "before": "[]"}]);
    for bad in ["", "no such name!", "é", &"x".repeat(65)] {
        assert_stopped(named(bad), "a name that no host call has").await;
    }
    let mut broken = notify(10);
    broken["after"] = "".into();
    assert_stopped(json!([broken]), "the parameters of a host call are one JSON value").await;
    let mut broken = notify(10);
    broken["announce"] = 12.into();
    assert_stopped(
        json!([broken, {"raw": "\u{ff}\u{fe}"}]),
        "the parameters of a host call are one JSON value",
    )
    .await;
    let raw = "\u{2}\0\0\0\0\0\0\0\u{ff}\u{fe}";
    assert_stopped(json!([{"raw": raw}]), "not the agreed JSON").await;
}

#[tokio::test]
async fn an_answer_to_no_ping_is_a_lie() {
    assert_stopped(json!([{"send": "Pong"}, {"send": "Pong"}]), "a ping that was not sent").await;
}

#[tokio::test]
async fn a_worker_is_ready_once() {
    let ready =
        json!({"Ready": {"lockdown": {"landlock": 7, "refused": [null, null, null, null, null]}}});
    assert_stopped(json!([{"send": ready}]), "it was ready twice").await;
}

#[tokio::test]
async fn garbage_does_not_reach_the_reason_unescaped() {
    let text = "\u{1b}[2J\u{7}\r\nFAKE LOG LINE";
    let reason = stopped(orders(json!([{"send": {text: 1}}]))).await;
    assert!(reason.contains("FAKE LOG LINE"), "{reason:?}");
    assert!(!reason.contains(['\u{1b}', '\u{7}', '\r', '\n']), "{reason:?}");
}

/// An honest worker has sent such events before it knows of the cancel.
#[tokio::test]
async fn events_of_a_task_just_cancelled_are_no_lie() {
    let pool = puppet::pool(1);
    let process = pool.process_ids()[0];
    let steps = json!([{"sleep": 0.5}, call(1, 100), notify(100), {"done": "{\"result\":1}"}]);
    let cancelled = pool.run(orders(steps), Arc::new(Silent));
    assert!(tokio::time::timeout(Duration::from_millis(300), cancelled).await.is_err());
    let next = json!([{"sleep": 1}, {"done": "{\"result\":7}"}]);
    let next = pool.run(orders(next), Arc::new(Silent)).await;
    assert_eq!((returned(&next), pool.process_ids()[0]), (json!(7), process));
}

#[tokio::test]
async fn a_worker_that_closes_its_pipe_and_stays_is_killed() {
    let reason = stopped(orders(json!([{"close": true}]))).await;
    assert!(reason.contains("signal: 9"), "{reason}");
}
