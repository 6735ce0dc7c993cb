//! Tests of host calls over the broker.

use std::time::Duration;

use serde_json::json;
use tokio::sync::mpsc::UnboundedReceiver;

use super::*;
use crate::runner::message_queue::QueuedFrame;

fn calls() -> (TaskCalls, UnboundedReceiver<QueuedFrame>) {
    let (queue, sent) = MessageQueue::new(1000);
    (TaskCalls::new("t1".into(), queue, 1 << 20), sent)
}

fn raw(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.into()).unwrap()
}

fn next(sent: &mut UnboundedReceiver<QueuedFrame>) -> Option<serde_json::Value> {
    match sent.try_recv() {
        Ok(QueuedFrame::Text(frame)) => serde_json::from_str(&frame.concat()).ok(),
        _ => None,
    }
}

#[tokio::test]
async fn a_call_gets_its_own_answer_and_the_first_one_counts() {
    let (calls, mut sent) = calls();
    let pending = tokio::spawn(calls.call("helpers.httpRequest", raw("[{}]")));
    tokio::time::sleep(Duration::from_millis(10)).await;
    let call = next(&mut sent).unwrap();
    assert_eq!((&call["taskId"], &call["params"]), (&json!("t1"), &json!([{}])));
    calls.answer("c-forged", Ok(raw("1")));
    calls.answer(call["callId"].as_str().unwrap(), Ok(raw("[7]")));
    calls.answer(call["callId"].as_str().unwrap(), Ok(raw("2")));
    assert_eq!(pending.await.unwrap().unwrap().get(), "[7]");
}

#[tokio::test]
async fn disallowed_calls_are_not_sent() {
    let (calls, mut sent) = calls();
    assert_eq!(calls.call("helpers.evil", raw("[]")).await.unwrap_err(), METHOD_NOT_ALLOWED);
    assert!(calls.call("helpers.request", raw("{}")).await.is_err());
    let too_large = format!("[\"{}\"]", "x".repeat(1000));
    assert!(calls.call("helpers.request", raw(&too_large)).await.unwrap_err().contains("1000"));
    calls.notify(LOG_NODE_OUTPUT, raw(&too_large));
    calls.notify(LOG_NODE_OUTPUT, raw("1"));
    calls.notify("stdout", raw("[]"));
    assert!(next(&mut sent).is_none());
}

#[tokio::test]
async fn a_data_request_is_a_message_of_its_own() {
    let (calls, mut sent) = calls();
    let request =
        r#"[{"dataOfNodes":["A"],"prevNode":false,"env":false,"input":{"include":true}}]"#;
    let pending = tokio::spawn(calls.call(TASK_DATA, raw(request)));
    tokio::time::sleep(Duration::from_millis(10)).await;
    let asked = next(&mut sent).unwrap();
    assert_eq!(asked["type"], "runner:taskdatarequest");
    assert_eq!(
        asked["requestParams"],
        json!({
            "dataOfNodes": ["A"], "prevNode": false, "env": false, "input": { "include": true }
        })
    );
    calls.answer(asked["requestId"].as_str().unwrap(), Ok(raw(r#"{"mode":"manual"}"#)));
    assert_eq!(pending.await.unwrap().unwrap().get(), r#"{"mode":"manual"}"#);
    for bad in ["[]", "[{}]", "{}", request.replace("input", "output").as_str()] {
        let error = calls.call(TASK_DATA, raw(bad)).await.unwrap_err();
        assert!(error.starts_with("Invalid data request: "), "{error}");
    }
    assert!(next(&mut sent).is_none());
}

#[tokio::test]
async fn data_requests_are_limited_in_size_number_and_form() {
    let (calls, mut sent) = calls();
    let request = |nodes: &str, chunk: &str| {
        raw(&format!(
            r#"[{{"dataOfNodes":{nodes},"prevNode":false,"env":false,
                 "input":{{"include":true,"chunk":{chunk}}}}}]"#
        ))
    };
    let chunk = r#"{"startIndex":0,"count":1}"#;
    let large = format!(r#"["{}"]"#, "x".repeat(MAX_DATA_REQUEST));
    let bad =
        [("7", chunk), (r#""some""#, chunk), (r#"[["A"]]"#, chunk), ("{}", chunk), (&large, chunk)];
    let bad_chunks = ["7", "[]", r#"{"startIndex":-1,"count":1}"#, r#"{"startIndex":0}"#]
        .map(|chunk| ("[]", chunk));
    for (nodes, chunk) in bad.into_iter().chain(bad_chunks) {
        let error = calls.call(TASK_DATA, request(nodes, chunk)).await.unwrap_err();
        assert!(
            error.starts_with("Invalid data request: ") && error.len() < 300,
            "{nodes} {chunk}: {error}"
        );
    }
    let asked: Vec<_> = (0..=MAX_DATA_REQUESTS)
        .map(|_| tokio::spawn(calls.call(TASK_DATA, request(r#""all""#, chunk))))
        .collect();
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(std::iter::from_fn(|| next(&mut sent)).count(), 16);
    calls.close();
    let mut answers = Vec::new();
    for asked in asked {
        answers.push(asked.await.unwrap().unwrap_err());
    }
    assert_eq!(answers.last().unwrap(), "Too many data requests: a task may make 16");
    assert!(answers[..16].iter().all(|answer| answer == "the task is over"));
}

#[tokio::test]
async fn an_abandoned_call_leaves_no_entry() {
    let (calls, mut sent) = calls();
    let pending = tokio::spawn(calls.call("helpers.request", raw("[]")));
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert!(next(&mut sent).is_some());
    assert_eq!(lock(&calls.waiting).as_ref().unwrap().len(), 1);
    pending.abort();
    assert!(pending.await.is_err() && lock(&calls.waiting).as_ref().unwrap().is_empty());
}

#[tokio::test]
async fn notifications_are_sent_in_order_until_the_task_ends() {
    let (calls, mut sent) = calls();
    calls.notify(LOG_NODE_OUTPUT, raw("[1]"));
    calls.notify(LOG_NODE_OUTPUT, raw("[2]"));
    let pending = tokio::spawn(calls.call("helpers.request", raw("[]")));
    tokio::time::sleep(Duration::from_millis(10)).await;
    calls.close();
    calls.notify(LOG_NODE_OUTPUT, raw("[3]"));
    assert!(
        pending.await.unwrap().is_err() && calls.call("helpers.request", raw("[]")).await.is_err()
    );
    let params: Vec<_> =
        std::iter::from_fn(|| next(&mut sent)).map(|call| call["params"].clone()).collect();
    assert_eq!(params, [json!([1]), json!([2]), json!([])]);
}

#[test]
fn standard_error_is_marked_and_in_order_with_prints() {
    let (calls, mut sent) = calls();
    calls.stderr(b"one\x1b[2J\ntwo\n");
    calls.notify(LOG_NODE_OUTPUT, raw("[1]"));
    calls.stderr(&b"x\n".repeat(99));
    calls.finish();
    calls.stderr(b"late\n");
    let params: Vec<_> =
        std::iter::from_fn(|| next(&mut sent)).map(|call| call["params"].clone()).collect();
    let (one, two) = (r"[stderr] one\u{1b}[2J", "[stderr] two");
    assert_eq!(params[..3], [json!([one]), json!([two]), json!([1])]);
    assert_eq!((params.len(), &params[100]), (102, &json!(["[stderr] x"])));
    assert_eq!(params[101], json!(["[stderr] [Output truncated - 1 more line]"]));
}

#[test]
fn a_task_that_writes_nothing_makes_no_message() {
    let (calls, mut sent) = calls();
    calls.finish();
    assert!(next(&mut sent).is_none());
}
