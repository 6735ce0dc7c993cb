//! Calls of a task on the wire: their messages, accepted answers, and the end of pending calls.

use std::time::Duration;

use crate::support::script_broker::{Broker, Runner, settings};
use serde_json::{Value, json};

const TOKEN: (&str, &str) = ("N8N_RUNNERS_AUTH_TOKEN", "secret");

fn started() -> (Broker, Runner) {
    let mut broker = Broker::start();
    let runner = Runner::start(&mut broker);
    (broker, runner)
}

/// Returns the answer to a call.
fn answer(call: &Value, data: Value) -> Value {
    json!({
        "type": "broker:rpcresponse", "taskId": call["taskId"], "callId": call["callId"], "status": "success", "data": data
    })
}

/// Starts three calls and returns their answers by number.
const THREE: &str = "
import _host, json
for n in range(3): _host.start('helpers.binaryToString', json.dumps([n]))
answers = {}
while len(answers) < 3:
    number, ok, text = _host.wait(-1)
    assert number not in answers
    answers[number] = json.loads(text)
return [answers[n] for n in (1, 2, 3)]
";

/// Submits a task with three calls. Returns the calls by their parameter.
fn three(broker: &mut Broker) -> Vec<Value> {
    broker.submit("t1", settings(THREE));
    let calls: Vec<_> = (0..3).map(|_| broker.message("runner:rpc")).collect();
    let params: Vec<_> = calls.iter().map(|call| call["params"].clone()).collect();
    assert_eq!(params, [json!([0]), json!([1]), json!([2])]);
    calls
}

#[test]
fn ids_of_calls_are_long_random_and_all_different() {
    let (mut broker, _runner) = started();
    let calls = three(&mut broker);
    let ids: std::collections::BTreeSet<_> =
        calls.iter().map(|call| call["callId"].as_str().unwrap()).collect();
    assert!(ids.len() == 3 && ids.iter().all(|id| id.len() >= 22), "{ids:?}");
}

#[test]
fn answers_in_any_order_reach_the_calls_that_they_name() {
    let (mut broker, _runner) = started();
    for call in three(&mut broker).iter().rev() {
        broker.send(answer(call, json!(format!("for {}", call["params"][0]))));
    }
    assert_eq!(broker.answer()["data"]["result"], json!(["for 0", "for 1", "for 2"]));
}

#[test]
fn double_and_foreign_answers_are_dropped() {
    let (mut broker, _runner) = started();
    let calls = three(&mut broker);
    let mut foreign = answer(&calls[0], "foreign".into());
    foreign["taskId"] = "t2".into();
    broker.send(foreign.clone());
    foreign["taskId"] = "t1".into();
    foreign["callId"] = "cAAAAAAAAAAAAAAAAAAAAAA".into();
    broker.send(foreign);
    let as_data = json!({
        "type": "broker:taskdataresponse", "taskId": "t1", "requestId": "dAAAAAAAAAAAAAAAAAAAAAA", "data": {}
    });
    broker.send(as_data);
    for call in &calls {
        broker.send(answer(call, "first".into()));
        broker.send(answer(call, "second".into()));
    }
    assert_eq!(broker.answer()["data"]["result"], json!(["first", "first", "first"]));
    broker.send(answer(&calls[0], "after the end".into()));
    broker.submit("t2", settings("return 'alive'"));
    assert_eq!(broker.answer()["data"]["result"], "alive");
}

#[test]
fn a_late_answer_is_dropped_and_the_task_goes_on() {
    let mut broker = Broker::start();
    let _runner = Runner::start_with(broker.port, &[TOKEN, ("SERPENTARIUM_CALL_TIMEOUT", "0.2")]);
    broker.register();
    let code = "
import _host, time
try: _host.call('helpers.binaryToString', '[0]')
except _host.CallError as e: late = str(e)
return [late, _host.call('helpers.binaryToString', '[1]')]
";
    broker.submit("t1", settings(code));
    let late = broker.message("runner:rpc");
    let call = broker.message("runner:rpc");
    broker.send(answer(&late, "too late".into()));
    broker.send(answer(&call, "in time".into()));
    let expected =
        json!(["The call of helpers.binaryToString timed out after 0.2 seconds", "\"in time\""]);
    assert_eq!(broker.answer()["data"]["result"], expected);
}

#[test]
fn a_name_that_n8n_does_not_answer_is_not_sent() {
    let (mut broker, _runner) = started();
    let code = "
import _host
_host.start('helpers.evil', '[]')
try: _host.call('eval', '[]')
except _host.CallError as e: return [str(e), _host.wait(-1)]
";
    broker.submit("t1", settings(code));
    let done = broker.answer();
    assert_eq!(done["type"], "runner:taskdone", "{done}");
    assert_eq!(
        done["data"]["result"],
        json!(["Method not allowed", [1, false, "Method not allowed"]])
    );
}

#[test]
fn an_error_reaches_the_task_with_all_details_of_n8n() {
    let (mut broker, _runner) = started();
    let code = "
import _host, json
try: _host.call('helpers.httpRequest', '[{}]')
except _host.CallError as e: return json.loads(str(e))
";
    broker.submit("t1", settings(code));
    let call = broker.message("runner:rpc");
    let error = json!({ "message": "Request failed with status code 404", "status": 404 });
    let mut failed = answer(&call, error.clone());
    failed["status"] = "error".into();
    broker.send(failed);
    assert_eq!(broker.answer()["data"]["result"], error);
}

#[test]
fn data_of_the_workflow_is_asked_for_in_a_message_of_its_own() {
    let (mut broker, _runner) = started();
    let code = "
import _host, json
request = {'dataOfNodes': ['A'], 'prevNode': True, 'env': False, 'input': {'include': True, 'chunk': {'startIndex': 1, 'count': 2}}}
return json.loads(_host.call('taskData', json.dumps([request])))['workflow']
";
    broker.submit("t1", settings(code));
    let asked = broker.message("runner:taskdatarequest");
    let chunk = json!({ "startIndex": 1, "count": 2 });
    let expected = json!({ "dataOfNodes": ["A"], "prevNode": true, "env": false, "input": { "include": true, "chunk": chunk } });
    assert_eq!(asked["requestParams"], expected);
    let data = json!({ "workflow": { "name": "Ünïcode" } });
    let mut response = json!({
        "type": "broker:taskdataresponse", "taskId": "t1", "requestId": "forged", "data": { "workflow": "forged" }
    });
    broker.send(response.clone());
    response["requestId"] = asked["requestId"].clone();
    response["data"] = data;
    broker.send(response);
    assert_eq!(broker.answer()["data"]["result"], json!({ "name": "Ünïcode" }));
}

#[test]
fn custom_and_static_data_travel_beside_the_result() {
    let (mut broker, _runner) = started();
    let reply =
        r#"{"result":[1],"effects":{"customData":{"a":"b"},"staticData":{"global":{"n":1}}}}"#;
    let code = format!(
        "import _host\nfrom _serpentarium.core import wire\nwire.write_output = lambda reply: _host.write_output('{reply}')"
    );
    broker.submit("t1", settings(&code));
    let expected = json!({ "result": [1], "customData": { "a": "b" }, "staticData": { "global": { "n": 1 } } });
    assert_eq!(broker.answer()["data"], expected);
}

#[test]
fn custom_data_travels_as_far_as_n8n_would_keep_it() {
    let (mut broker, _runner) = started();
    let entries = json!({ "a": "b", "a b": "c", "x-y": "z", "größe": "1".repeat(600), "": "d", "e".repeat(51): "f" });
    let code = format!(
        "import _host\nfrom _serpentarium.core import wire\nwire.write_output = lambda reply: _host.write_output('{}')",
        json!({ "result": 1, "effects": { "customData": entries } })
    );
    broker.submit("t1", settings(&code));
    assert_eq!(
        broker.answer()["data"]["customData"],
        json!({ "a": "b", "größe": "1".repeat(512) })
    );
}

#[test]
fn a_task_makes_few_and_small_requests_for_data() {
    let (mut broker, _runner) = started();
    let code = "
import _host, json
def ask(nodes):
    request = {'dataOfNodes': nodes, 'prevNode': False, 'env': False, 'input': {'include': False}}
    return _host.start('taskData', json.dumps([request]))
for n in range(20): ask(['x' * 70_000] if n < 3 else 'all')
return sorted(text for _, ok, text in (_host.wait(-1) for n in range(4)))
";
    broker.submit("t1", settings(code));
    let large = "Invalid data request: it is larger than 64 KiB";
    let many = "Too many data requests: a task may make 16";
    assert_eq!(
        broker.message("runner:taskdone")["data"]["result"],
        json!([large, large, large, many])
    );
}

#[test]
fn a_cancel_ends_the_calls_of_its_task_and_nothing_else() {
    let (mut broker, _runner) = started();
    let calls = three(&mut broker);
    broker
        .submit("t2", settings("import _host\nreturn _host.call('helpers.binaryToString', '[7]')"));
    let other = broker.message("runner:rpc");
    broker.send(answer(&calls[0], "before".into()));
    broker.send(json!({ "type": "broker:taskcancel", "taskId": "t1", "reason": "test" }));
    let error = broker.answer();
    assert_eq!(
        (&error["taskId"], &error["error"]["message"]),
        (&json!("t1"), &json!("Task was cancelled"))
    );
    broker.send(answer(&calls[1], "after".into()));
    broker.send(answer(&other, 1.into()));
    let done = broker.answer();
    assert_eq!((&done["taskId"], &done["data"]["result"]), (&json!("t2"), &json!("1")));
}

#[test]
fn a_lost_connection_ends_the_calls_in_flight() {
    let (mut broker, _runner) = started();
    let calls = three(&mut broker);
    broker.order(&json!({ "close": 1011 }));
    broker.register();
    broker.send(answer(&calls[0], "from before".into()));
    let calls = three(&mut broker);
    for call in &calls {
        broker.send(answer(call, call["params"][0].clone()));
    }
    assert_eq!(broker.message("runner:taskdone")["data"]["result"], json!([0, 1, 2]));
}

#[test]
fn files_are_limited_by_the_operator() {
    let mut broker = Broker::start();
    let _runner =
        Runner::start_with(broker.port, &[TOKEN, ("SERPENTARIUM_MAX_FILE_BYTES", "1KiB")]);
    broker.register();
    for (bytes, result) in [(1024, json!(1024)), (1025, json!("No space left on device"))] {
        let code = format!(
            "try: return open('f', 'wb', 0).write(bytes({bytes}))\nexcept OSError as error: return error.strerror"
        );
        broker.submit("t1", settings(&code));
        assert_eq!(broker.message("runner:taskdone")["data"]["result"], result);
    }
}

#[test]
fn calls_in_flight_are_limited_by_the_operator() {
    let mut broker = Broker::start();
    let _runner =
        Runner::start_with(broker.port, &[TOKEN, ("SERPENTARIUM_MAX_CALLS_IN_FLIGHT", "2")]);
    broker.register();
    broker.submit("t1", settings(THREE));
    let error = broker.message("runner:taskerror")["error"].take();
    assert_eq!(error["message"], "Task has too many host calls in flight: the limit is 2");
    assert!(
        error["description"].as_str().unwrap().contains("SERPENTARIUM_MAX_CALLS_IN_FLIGHT"),
        "{error}"
    );
    let more = broker.types_within(Duration::from_millis(300));
    assert!(more.iter().all(|kind| kind == "runner:taskoffer"), "{more:?}");
}
