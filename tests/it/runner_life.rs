//! The life of tasks and of the runner on the wire, against a broker that shares no code with it.

use std::time::{Duration, Instant};

use crate::support::script_broker::{Broker, Runner, settings};
use serde_json::json;

const FOR_EVER: &str = "while True: pass";

fn started() -> (Broker, Runner) {
    let mut broker = Broker::start();
    let runner = Runner::start(&mut broker);
    (broker, runner)
}

#[test]
fn a_task_is_offered_accepted_run_and_done() {
    let (mut broker, _runner) = started();
    let offer = broker.message("runner:taskoffer");
    assert_eq!(offer["taskType"], "python");
    assert!((5000..5500).contains(&offer["validFor"].as_i64().unwrap()));
    broker.submit(
        "t1",
        settings("print('hi', 1)\nreturn [{'json': {'b': i['json']['a'] + 1}} for i in _items]"),
    );
    let print = broker.answer();
    assert_eq!((&print["type"], &print["taskId"]), (&json!("runner:rpc"), &json!("t1")));
    assert_eq!(
        (&print["name"], &print["params"]),
        (&json!("logNodeOutput"), &json!(["'hi'", "1"]))
    );
    let call_id = print["callId"].as_str().unwrap();
    broker.send(json!({ "type": "broker:rpcresponse", "taskId": "t1", "callId": call_id, "status": "success" }));
    let done = broker.answer();
    assert_eq!(done["type"], "runner:taskdone");
    assert_eq!(done["data"], json!({ "result": [{ "json": { "b": 2 } }] }));
}

#[test]
fn an_exception_is_an_error_with_its_line_also_after_prints() {
    let (mut broker, _runner) = started();
    broker.submit("t1", settings("print('before')\nraise ValueError('boom')"));
    assert_eq!(broker.answer()["type"], "runner:rpc");
    let error = broker.answer()["error"].take();
    assert_eq!((&error["message"], &error["lineNumber"]), (&json!("boom"), &json!(2)));
}

#[test]
fn a_failure_is_a_result_if_the_node_continues_on_fail() {
    let (mut broker, _runner) = started();
    for settings in [
        json!({ "code": "raise ValueError('boom')", "nodeMode": "runOnceForAllItems", "items": [], "continueOnFail": true }),
        json!({ "nodeMode": "runOnceForAllItems", "items": [], "continueOnFail": true }),
    ] {
        broker.submit("t1", settings);
        let done = broker.answer();
        assert_eq!(done["type"], "runner:taskdone");
        assert!(done["data"]["result"][0]["json"]["error"].is_string());
    }
}

#[test]
fn a_time_out_names_the_setting_and_frees_the_place() {
    let mut broker = Broker::start();
    let variables = [("N8N_RUNNERS_AUTH_TOKEN", "secret"), ("N8N_RUNNERS_TASK_TIMEOUT", "1")];
    let _runner = Runner::start_with(broker.port, &variables);
    broker.register();
    broker.submit("t1", settings("import time\ntime.sleep(30)"));
    let error = broker.answer()["error"].take();
    assert_eq!(error["message"], "Task execution timed out after 1 second");
    assert!(error["description"].as_str().unwrap().contains("N8N_RUNNERS_TASK_TIMEOUT"));
    broker.submit("t2", settings("return []"));
    assert_eq!(broker.answer()["type"], "runner:taskdone");
}

#[test]
fn a_cancelled_task_stops_and_frees_its_place() {
    let (mut broker, _runner) = started();
    for task_id in ["t1", "t2"] {
        broker.submit(task_id, settings(FOR_EVER));
    }
    for task_id in ["t1", "t2"] {
        broker.send(json!({ "type": "broker:taskcancel", "taskId": task_id, "reason": "test" }));
        let error = broker.answer();
        assert_eq!(
            (&error["type"], &error["taskId"]),
            (&json!("runner:taskerror"), &json!(task_id))
        );
        assert_eq!(error["error"]["message"], "Task was cancelled");
    }
    broker.submit("t3", settings("return []"));
    assert_eq!(broker.answer()["type"], "runner:taskdone");
}

#[test]
fn a_task_cancelled_before_its_settings_frees_its_place() {
    let (mut broker, _runner) = started();
    broker.place("t1");
    broker.place("t2");
    broker.send(json!({ "type": "broker:taskcancel", "taskId": "t1", "reason": "test" }));
    broker.submit("t3", settings("return [3]"));
    let done = broker.answer();
    assert_eq!((&done["type"], &done["taskId"]), (&json!("runner:taskdone"), &json!("t3")));
}

#[test]
fn offers_are_bounded_by_the_concurrency() {
    let (mut broker, _runner) = started();
    let offers = broker.types_within(Duration::from_millis(600));
    assert_eq!(offers, ["runner:taskoffer", "runner:taskoffer"]);
    broker.send(json!({ "type": "broker:taskofferaccept", "taskId": "t1", "offerId": "nobody's" }));
    let rejected = broker.answer();
    assert_eq!(rejected["type"], "runner:taskrejected");
    assert_eq!(rejected["reason"], "Offer expired - not accepted within validity window");
}

#[test]
fn bad_settings_fail_their_task_at_once() {
    let (mut broker, _runner) = started();
    let bad = [
        (
            r#"{"nodeMode":"runOnceForAllItems","items":[]}"#,
            "Missing field in task settings message: 'code'",
        ),
        (r#"{"code":"","nodeMode":"sometimes","items":[]}"#, "Unknown nodeMode: sometimes"),
        (r#"{"code":"","nodeMode":"runOnceForAllItems","items":[NaN]}"#, "Invalid task settings"),
        ("null", "Invalid task settings"),
        ("7", "Invalid task settings"),
    ];
    for (settings, expected) in bad {
        broker.place("t1");
        let frame =
            format!(r#"{{"type":"broker:tasksettings","taskId":"t1","settings":{settings}}}"#);
        broker.order(&json!({ "raw": frame }));
        let error = broker.answer();
        assert_eq!((&error["type"], &error["taskId"]), (&json!("runner:taskerror"), &json!("t1")));
        let message = error["error"]["message"].as_str().unwrap();
        assert!(message.starts_with(expected), "{message}");
    }
}

#[test]
fn large_settings_that_are_not_json_fail_their_task() {
    let (mut broker, _runner) = started();
    let padding = "x".repeat(100_000);
    let bad_items =
        ["[1,]", "[tru]", r#"[{"a" 1}]"#, "[\"\t\"]", r#"["\x"]"#, "[NaN]", "{}", r#"[["]"#];
    for items in bad_items {
        let settings = format!(
            r#"{{"more":"{padding}","code":"","nodeMode":"runOnceForAllItems","items":{items}}}"#
        );
        broker.place("t1");
        let frame =
            format!(r#"{{"type":"broker:tasksettings","taskId":"t1","settings":{settings}}}"#);
        broker.order(&json!({ "raw": frame }));
        let error = broker.answer();
        assert_eq!(
            (&error["type"], &error["taskId"]),
            (&json!("runner:taskerror"), &json!("t1")),
            "{items}"
        );
        let message = error["error"]["message"].as_str().unwrap();
        assert!(message.starts_with("Invalid task settings: "), "{items}: {message}");
    }
    broker.submit("t1", settings(&format!("return [1]  # {padding}")));
    assert_eq!(broker.answer()["data"]["result"], json!([1]));
}

#[test]
fn nonsense_is_dropped_and_the_connection_lives_on() {
    let (mut broker, _runner) = started();
    for frame in [
        "",
        "{",
        "[]",
        "null",
        r#"{"type":7}"#,
        r#"{"type":"broker:nonsense"}"#,
        r#"{"type":"broker:taskcancel"}"#,
    ] {
        broker.order(&json!({ "raw": frame }));
    }
    broker.send(json!({ "type": "broker:taskcancel", "taskId": "unknown", "reason": "test" }));
    broker.send(json!({ "type": "broker:tasksettings", "taskId": "unknown", "settings": settings("return []") }));
    let foreign =
        json!({ "type": "broker:rpcresponse", "taskId": "x", "callId": "y", "status": "success" });
    broker.order(&json!({ "binary": foreign }));
    broker.submit("t1", settings("return []"));
    let done = broker.answer();
    assert_eq!((&done["type"], &done["taskId"]), (&json!("runner:taskdone"), &json!("t1")));
}

#[test]
fn second_settings_are_dropped_and_one_answer_is_given() {
    let (mut broker, _runner) = started();
    broker.submit("t1", settings("import time\ntime.sleep(0.3)\nreturn [1]"));
    broker.send(json!({ "type": "broker:tasksettings", "taskId": "t1", "settings": settings("return [2]") }));
    assert_eq!(broker.answer()["data"]["result"], json!([1]));
    let more = broker.types_within(Duration::from_millis(500));
    assert!(more.iter().all(|kind| kind == "runner:taskoffer"), "{more:?}");
}

#[test]
fn a_call_gets_the_answer_that_names_it_and_its_task() {
    let (mut broker, _runner) = started();
    broker.submit(
        "t1",
        settings(
            "import _host, json\nreturn json.loads(_host.call('helpers.binaryToString', '[1]'))",
        ),
    );
    let call = broker.answer();
    assert_eq!((&call["name"], &call["params"]), (&json!("helpers.binaryToString"), &json!([1])));
    let mut answer = json!({
        "type": "broker:rpcresponse", "taskId": "t2", "callId": call["callId"], "status": "success", "data": "forged"
    });
    broker.send(answer.clone());
    answer["taskId"] = "t1".into();
    answer["callId"] = "forged".into();
    broker.send(answer.clone());
    answer["callId"] = call["callId"].clone();
    answer["data"] = "right".into();
    broker.send(answer);
    assert_eq!(broker.answer()["data"]["result"], "right");
}

#[test]
fn pings_are_answered_while_a_large_result_is_sent() {
    let (mut broker, _runner) = started();
    broker.submit("t1", settings("big = 'x' * (20 << 20)\nreturn big"));
    assert_eq!(broker.answer()["data"]["result"].as_str().unwrap().len(), 20 << 20);
}

#[test]
fn pings_are_answered_while_tasks_occupy_every_core() {
    let (mut broker, _runner) = started();
    broker.submit("t1", settings(FOR_EVER));
    broker.submit("t2", settings(FOR_EVER));
    std::thread::sleep(Duration::from_secs(3));
    broker.send(json!({ "type": "broker:taskcancel", "taskId": "t1", "reason": "test" }));
    assert_eq!(broker.answer()["error"]["message"], "Task was cancelled");
}

#[test]
fn a_draining_broker_gets_no_offers_and_its_tasks_finish() {
    let (mut broker, _runner) = started();
    broker.submit("t1", settings("import time\ntime.sleep(0.5)\nreturn [1]"));
    broker.send(json!({ "type": "broker:drain" }));
    assert_eq!(broker.message("runner:taskdone")["taskId"], "t1");
    assert!(broker.types_within(Duration::from_millis(600)).is_empty());
    broker.order(&json!({ "close": 1001 }));
    broker.report("granted");
    broker.register();
    broker.submit("t2", settings("return []"));
    assert_eq!(broker.answer()["type"], "runner:taskdone");
}

#[test]
fn a_broker_that_restarts_during_a_task_is_served_again() {
    let (mut broker, _runner) = started();
    broker.submit("t1", settings(FOR_EVER));
    let port = broker.port;
    drop(broker);
    let mut broker = Broker::start_at(port);
    broker.register();
    for task_id in ["t2", "t3", "t4"] {
        broker.submit(task_id, settings("return [1]"));
        let done = broker.answer();
        assert_eq!((&done["type"], &done["taskId"]), (&json!("runner:taskdone"), &json!(task_id)));
    }
}

#[test]
fn sigterm_lets_a_task_finish_and_says_goodbye() {
    let (mut broker, mut runner) = started();
    broker.submit("t1", settings("import time\ntime.sleep(1)\nreturn [1]"));
    std::thread::sleep(Duration::from_millis(200));
    runner.signal("TERM");
    assert_eq!(broker.message("runner:taskdone")["data"]["result"], json!([1]));
    assert_eq!(broker.report("closed"), 1000);
    assert_eq!(runner.wait().code(), Some(0));
}

#[test]
fn sigint_stops_tasks_that_do_not_finish_in_time() {
    let mut broker = Broker::start();
    let variables =
        [("N8N_RUNNERS_AUTH_TOKEN", "secret"), ("N8N_RUNNERS_GRACEFUL_SHUTDOWN_TIMEOUT", "1")];
    let mut runner = Runner::start_with(broker.port, &variables);
    broker.register();
    broker.submit("t1", settings(FOR_EVER));
    runner.signal("INT");
    assert_eq!(broker.message("runner:taskerror")["error"]["message"], "Task was cancelled");
    assert_eq!(broker.report("closed"), 1000);
    assert_eq!(runner.wait().code(), Some(0));
}

#[test]
fn a_second_signal_ends_the_runner_at_once() {
    let (mut broker, mut runner) = started();
    broker.submit("t1", settings(FOR_EVER));
    let start = Instant::now();
    runner.signal("TERM");
    std::thread::sleep(Duration::from_millis(300));
    runner.signal("TERM");
    assert_eq!(runner.wait().code(), Some(143));
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_lone_grant_token_serves_one_connection() {
    let mut broker = Broker::start();
    let mut runner = Runner::start_with(broker.port, &[("N8N_RUNNERS_GRANT_TOKEN", "given")]);
    broker.register();
    broker.submit("t1", settings("return []"));
    assert_eq!(broker.answer()["type"], "runner:taskdone");
    broker.order(&json!({ "close": 1001 }));
    assert_eq!(runner.wait().code(), Some(1));
    let (code, text) = Runner::failure(broker.port, &[("N8N_RUNNERS_GRANT_TOKEN", "given")]);
    assert_eq!(code, Some(1));
    assert!(text.contains("grant token"), "{text}");
}

#[test]
fn an_invalid_setting_is_named_before_anything_is_tried() {
    let expected = "N8N_RUNNERS_MAX_CONCURRENCY is 'many': must be a whole number above 0";
    let (code, text) = Runner::failure(1, &[("N8N_RUNNERS_MAX_CONCURRENCY", "many")]);
    assert_eq!((code, text.lines().count()), (Some(1), 1));
    assert!(text.contains(expected), "{text}");
    let (code, text) = Runner::failure(1, &[]);
    assert_eq!((code, text.lines().count()), (Some(1), 1));
    assert!(text.contains("N8N_RUNNERS_AUTH_TOKEN"), "{text}");
}
