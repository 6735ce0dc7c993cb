//! The embedded broker against a raw WebSocket client: what protocol sections 1 to 3 say, from the runner's side.

use std::{future::Future, sync::Arc, time::Duration};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json, value::RawValue};
use serpentarium::{
    broker::{Broker, BrokerConfig, Hooks, Reply, TaskEvent, TaskHandle, TaskResult, print_text},
    protocol::{DataRequest, NodeType},
};
use tokio::{net::TcpStream, sync::Notify, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{self, Message, client::IntoClientRequest},
};

const AUTH_TOKEN: &str = "a secret of the test";
const SOON: Duration = Duration::from_secs(5);
/// Long enough that a message which is on its way would be here.
const A_MOMENT: Duration = Duration::from_millis(80);

fn config() -> BrokerConfig {
    BrokerConfig { auth_token: AUTH_TOKEN.to_owned().into(), ..BrokerConfig::default() }
}

async fn start(config: BrokerConfig) -> Broker {
    Broker::start(config).await.expect("a broker")
}

fn raw(value: &Value) -> Box<RawValue> {
    serde_json::value::to_raw_value(value).unwrap()
}

fn settings() -> Box<RawValue> {
    raw(&json!({"code": "return 1", "nodeMode": "runOnceForAllItems", "items": [], "unknown": "ä"}))
}

/// Waits for what must come soon.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(SOON, future).await.expect("it should have come by now")
}

/// The status and the body's text of a request for a grant token.
async fn auth(broker: &Broker, body: &str) -> (u16, Value) {
    let client = client();
    let request = client.post(format!("{}/runners/auth", broker.uri())).header("content-type", "application/json");
    let response = soon(request.body(body.to_owned()).send()).await.unwrap();
    let status = response.status().as_u16();
    (status, response.json().await.unwrap_or(Value::Null))
}

fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

async fn grant(broker: &Broker) -> String {
    let (status, body) = auth(broker, &json!({"token": AUTH_TOKEN}).to_string()).await;
    assert_eq!(status, 200);
    body["data"]["token"].as_str().unwrap().to_owned()
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn open(broker: &Broker, path: &str, authorization: Option<&str>) -> Result<Socket, u16> {
    let mut request = format!("{}{path}", broker.uri().replace("http", "ws")).into_client_request().unwrap();
    if let Some(authorization) = authorization {
        request.headers_mut().insert("authorization", authorization.parse().unwrap());
    }
    match soon(connect_async(request)).await {
        Ok((socket, _)) => Ok(socket),
        Err(tungstenite::Error::Http(response)) => Err(response.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

/// A runner that does what the test says, and nothing else.
struct Runner(Socket);

impl Runner {
    /// Connected, not registered.
    async fn connect(broker: &Broker, id: &str) -> Self {
        let token = grant(broker).await;
        let socket = open(broker, &format!("/runners/_ws?id={id}"), Some(&format!("Bearer {token}"))).await;
        Self(socket.expect("a connection"))
    }

    /// Connected and registered.
    async fn register(broker: &Broker, id: &str) -> Self {
        let mut runner = Self::connect(broker, id).await;
        assert_eq!(runner.receive().await["type"], "broker:inforequest");
        runner.send(json!({"type": "runner:info", "name": "Test", "types": ["python"]})).await;
        assert_eq!(runner.receive().await["type"], "broker:runnerregistered");
        runner
    }

    async fn send(&mut self, message: Value) {
        self.text(&message.to_string()).await;
    }

    async fn text(&mut self, text: &str) {
        self.0.send(Message::Text(text.into())).await.unwrap();
    }

    async fn offer(&mut self, id: &str, valid_for: i64) {
        self.send(json!({"type": "runner:taskoffer", "offerId": id, "taskType": "python", "validFor": valid_for}))
            .await;
    }

    async fn receive(&mut self) -> Value {
        loop {
            match soon(self.0.next()).await.expect("the connection is open").unwrap() {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("expected a message, got {other:?}"),
            }
        }
    }

    async fn silence(&mut self) {
        if let Ok(frame) = timeout(A_MOMENT, self.0.next()).await {
            panic!("expected silence, got {frame:?}");
        }
    }

    /// The code that the broker closes with.
    async fn closed(&mut self) -> u16 {
        loop {
            match soon(self.0.next()).await {
                Some(Ok(Message::Close(frame))) => return frame.expect("a code").code.into(),
                Some(Ok(_)) => {}
                other => panic!("expected a close frame, got {other:?}"),
            }
        }
    }

    /// Receives an accept of this offer. Gives back the task's id.
    async fn accept_of(&mut self, offer: &str) -> String {
        let message = self.receive().await;
        assert_eq!(message["type"], "broker:taskofferaccept");
        assert_eq!(message["offerId"], offer);
        message["taskId"].as_str().unwrap().to_owned()
    }

    async fn answer(&mut self, kind: &str, task_id: &str) {
        self.send(json!({"type": kind, "taskId": task_id, "reason": "test"})).await;
    }

    /// Takes a task up to its settings.
    async fn take_task(&mut self) -> (String, Value) {
        self.offer("o", 5000).await;
        let task_id = self.accept_of("o").await;
        self.answer("runner:taskaccepted", &task_id).await;
        let message = self.receive().await;
        assert_eq!(message["type"], "broker:tasksettings");
        assert_eq!(message["taskId"], task_id.as_str());
        (task_id, message["settings"].clone())
    }

    async fn done(&mut self, task_id: &str, result: Value) {
        self.send(json!({"type": "runner:taskdone", "taskId": task_id, "data": {"result": result}})).await;
    }
}

async fn result_of(task: TaskHandle) -> TaskResult {
    soon(task.result()).await
}

fn done(result: &TaskResult) -> &str {
    match result {
        TaskResult::Done(data) => data.result.get(),
        other => panic!("expected a result, got {other:?}"),
    }
}

// Letting runners in.

#[tokio::test]
async fn the_right_auth_token_gets_a_grant_token() {
    let broker = start(config()).await;
    let token = grant(&broker).await;
    assert!(token.len() == 64 && token.bytes().all(|byte| byte.is_ascii_hexdigit()), "{token}");
    assert_ne!(token, grant(&broker).await);
}

#[tokio::test]
async fn a_wrong_auth_token_is_forbidden_and_a_missing_one_a_bad_request() {
    let broker = start(config()).await;
    assert_eq!(auth(&broker, r#"{"token": "wrong"}"#).await.0, 403);
    for body in [r#"{"token": ""}"#, "{}", "", "[", r#"{"token": 1}"#] {
        assert_eq!(auth(&broker, body).await.0, 400, "{body}");
    }
}

#[tokio::test]
async fn the_health_check_answers() {
    let broker = start(config()).await;
    let response = soon(client().get(format!("{}/healthz", broker.uri())).send()).await.unwrap();
    assert_eq!(response.status().as_u16(), 200);
}

#[tokio::test]
async fn an_upgrade_is_refused_with_the_status_that_says_why() {
    let broker = start(config()).await;
    let refusal = async |path: &str, authorization: Option<String>| {
        open(&broker, path, authorization.as_deref()).await.expect_err("a refusal")
    };
    assert_eq!(refusal("/runners/_ws?id=a", None).await, 401);
    assert_eq!(refusal("/runners/_ws?id=a", Some("Basic abc".into())).await, 401);
    assert_eq!(refusal("/runners/_ws?id=a", Some("Bearer wrong".into())).await, 403);
    assert_eq!(refusal("/elsewhere?id=a", Some(format!("Bearer {}", grant(&broker).await))).await, 404);
    assert_eq!(refusal("/runners/_ws", Some(format!("Bearer {}", grant(&broker).await))).await, 400);
    assert_eq!(refusal("/runners/_ws?id=", Some(format!("Bearer {}", grant(&broker).await))).await, 400);
}

#[tokio::test]
async fn a_grant_token_works_once() {
    let broker = start(config()).await;
    let authorization = format!("Bearer {}", grant(&broker).await);
    assert!(open(&broker, "/runners/_ws?id=a", Some(&authorization)).await.is_ok());
    assert_eq!(open(&broker, "/runners/_ws?id=a", Some(&authorization)).await.err(), Some(403));
}

#[tokio::test]
async fn a_grant_token_expires() {
    let broker = start(BrokerConfig { grant_lifetime: Duration::from_millis(10), ..config() }).await;
    let authorization = format!("Bearer {}", grant(&broker).await);
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(open(&broker, "/runners/_ws?id=a", Some(&authorization)).await.err(), Some(403));
}

#[tokio::test]
async fn an_empty_auth_token_is_no_protection_and_refused() {
    assert!(Broker::start(BrokerConfig { auth_token: String::new().into(), ..config() }).await.is_err());
}

// The way of a task.

#[tokio::test]
async fn a_task_goes_from_offer_to_result() {
    let broker = start(config()).await;
    let mut runner = Runner::register(&broker, "a").await;
    soon(broker.runner_registered()).await;
    assert_eq!(broker.runners(), 1);
    let task = broker.submit(settings());
    let (task_id, received) = runner.take_task().await;
    assert_eq!(task_id, task.id());
    assert_eq!(received, serde_json::from_str::<Value>(settings().get()).unwrap());
    runner.done(&task_id, json!([{"json": {"n": 1}}])).await;
    assert_eq!(done(&result_of(task).await), r#"[{"json":{"n":1}}]"#);
}

#[tokio::test]
async fn an_error_reaches_the_caller_with_its_details() {
    let broker = start(config()).await;
    let mut runner = Runner::register(&broker, "a").await;
    let task = broker.submit(settings());
    let (task_id, _) = runner.take_task().await;
    let error = json!({"message": "boom", "lineNumber": 3});
    runner.send(json!({"type": "runner:taskerror", "taskId": task_id, "error": error})).await;
    let TaskResult::Failed(failure) = result_of(task).await else { panic!("it failed") };
    assert_eq!((failure.message.as_str(), &failure.details["lineNumber"]), ("boom", &json!(3)));
}

#[tokio::test]
async fn binary_frames_are_as_good_as_text() {
    let broker = start(config()).await;
    let mut runner = Runner::connect(&broker, "a").await;
    runner.receive().await;
    let info = json!({"type": "runner:info", "name": "Test", "types": ["python"]});
    runner.0.send(Message::Binary(info.to_string().into_bytes().into())).await.unwrap();
    assert_eq!(runner.receive().await["type"], "broker:runnerregistered");
}

#[tokio::test]
async fn what_comes_before_the_info_is_ignored() {
    let broker = start(config()).await;
    let _task = broker.submit(settings());
    let mut runner = Runner::connect(&broker, "a").await;
    runner.receive().await;
    runner.offer("early", 5000).await;
    runner.silence().await;
    runner.send(json!({"type": "runner:info", "name": "Test", "types": ["python"]})).await;
    assert_eq!(runner.receive().await["type"], "broker:runnerregistered");
    runner.silence().await;
    runner.offer("late", 5000).await;
    runner.accept_of("late").await;
}

#[tokio::test]
async fn frames_that_make_no_sense_are_dropped_and_the_connection_lives_on() {
    let broker = start(config()).await;
    let mut runner = Runner::register(&broker, "a").await;
    for text in ["", "{", "[]", "{}", r#"{"type": "runner:dance"}"#, r#"{"type": "runner:taskoffer"}"#] {
        runner.text(text).await;
    }
    runner.0.send(Message::Binary(vec![0xff, 0xfe].into())).await.unwrap();
    runner.done("no such task", json!(1)).await;
    let task = broker.submit(settings());
    let (task_id, _) = runner.take_task().await;
    runner.done(&task_id, json!(2)).await;
    assert_eq!(done(&result_of(task).await), "2");
}

#[tokio::test]
async fn tasks_are_spread_over_runners_and_kept_in_order() {
    let broker = start(config()).await;
    let (mut one, mut two) = (Runner::register(&broker, "1").await, Runner::register(&broker, "2").await);
    one.offer("1a", 5000).await;
    one.offer("1b", 5000).await;
    two.offer("2a", 5000).await;
    tokio::time::sleep(A_MOMENT).await;
    let tasks = [broker.submit(settings()), broker.submit(settings()), broker.submit(settings())];
    assert_eq!(one.accept_of("1a").await, tasks[0].id());
    assert_eq!(two.accept_of("2a").await, tasks[1].id());
    assert_eq!(one.accept_of("1b").await, tasks[2].id());
}

#[tokio::test]
async fn a_rejected_task_is_matched_again_at_once() {
    let broker = start(config()).await;
    let mut runner = Runner::register(&broker, "a").await;
    let task = broker.submit(settings());
    runner.offer("1", 5000).await;
    runner.offer("2", 5000).await;
    let task_id = runner.accept_of("1").await;
    runner.answer("runner:taskrejected", &task_id).await;
    assert_eq!(runner.accept_of("2").await, task_id);
    runner.answer("runner:taskaccepted", &task_id).await;
    assert_eq!(runner.receive().await["type"], "broker:tasksettings");
    runner.done(&task_id, json!(1)).await;
    assert_eq!(done(&result_of(task).await), "1");
}

#[tokio::test]
async fn an_expired_offer_is_not_accepted() {
    let broker = start(config()).await;
    let mut runner = Runner::register(&broker, "a").await;
    runner.offer("short", 20).await;
    runner.offer("for ever", -1).await;
    tokio::time::sleep(A_MOMENT).await;
    let _task = broker.submit(settings());
    runner.accept_of("for ever").await;
}

#[tokio::test]
async fn a_late_answer_costs_the_runner_its_offers_and_the_task_goes_elsewhere() {
    let broker = start(BrokerConfig { ack_window: Duration::from_millis(60), ..config() }).await;
    let mut slow = Runner::register(&broker, "slow").await;
    slow.offer("1", 5000).await;
    slow.offer("2", 5000).await;
    let task = broker.submit(settings());
    let task_id = slow.accept_of("1").await;
    let cancel = slow.receive().await;
    assert_eq!(cancel["type"], "broker:taskcancel");
    assert_eq!(cancel["taskId"], task_id.as_str());
    assert_eq!(cancel["reason"], "Acknowledgement window elapsed");
    slow.silence().await;
    let mut quick = Runner::register(&broker, "quick").await;
    assert_eq!(quick.take_task().await.0, task_id);
    slow.answer("runner:taskaccepted", &task_id).await;
    slow.done(&task_id, json!("not mine")).await;
    slow.silence().await;
    quick.done(&task_id, json!("mine")).await;
    assert_eq!(done(&result_of(task).await), r#""mine""#);
}

#[tokio::test]
async fn three_late_answers_in_a_row_end_the_connection() {
    let broker = start(BrokerConfig { ack_window: Duration::from_millis(20), ..config() }).await;
    let mut runner = Runner::register(&broker, "a").await;
    let _task = broker.submit(settings());
    for offer in ["1", "2", "3"] {
        runner.offer(offer, 5000).await;
        runner.accept_of(offer).await;
        assert_eq!(runner.receive().await["type"], "broker:taskcancel");
    }
    assert_eq!(runner.closed().await, 1002);
}

// Ends that nobody wants.

#[tokio::test]
async fn a_task_that_runs_too_long_times_out_and_the_runner_is_told() {
    let broker = start(BrokerConfig { task_timeout: Duration::from_millis(60), ..config() }).await;
    let mut runner = Runner::register(&broker, "a").await;
    let task = broker.submit(settings());
    let (task_id, _) = runner.take_task().await;
    let cancel = runner.receive().await;
    assert_eq!((&cancel["type"], &cancel["reason"]), (&json!("broker:taskcancel"), &json!("Task execution timed out")));
    runner.done(&task_id, json!("too late")).await;
    assert!(matches!(result_of(task).await, TaskResult::TimedOut));
}

#[tokio::test]
async fn a_cancelled_task_ends_at_once_and_the_runner_is_told() {
    let broker = start(config()).await;
    let mut runner = Runner::register(&broker, "a").await;
    let task = broker.submit(settings());
    let (task_id, _) = runner.take_task().await;
    task.cancel();
    assert!(matches!(result_of(task).await, TaskResult::Cancelled));
    let cancel = runner.receive().await;
    assert_eq!((&cancel["type"], &cancel["taskId"]), (&json!("broker:taskcancel"), &json!(task_id)));
}

#[tokio::test]
async fn a_dropped_handle_cancels_its_task_also_while_it_waits() {
    let broker = start(config()).await;
    drop(broker.submit(settings()));
    let second = broker.submit(settings());
    let mut runner = Runner::register(&broker, "a").await;
    assert_eq!(runner.take_task().await.0, second.id());
    drop(second);
    assert_eq!(runner.receive().await["type"], "broker:taskcancel");
}

#[tokio::test]
async fn a_lost_connection_fails_what_runs_on_it_and_moves_what_it_had_not_accepted() {
    let broker = start(config()).await;
    let mut runner = Runner::register(&broker, "a").await;
    let running = broker.submit(settings());
    runner.take_task().await;
    let matched = broker.submit(settings());
    runner.offer("second", 5000).await;
    runner.accept_of("second").await;
    drop(runner);
    assert!(matches!(result_of(running).await, TaskResult::RunnerLost));
    let mut other = Runner::register(&broker, "b").await;
    assert_eq!(other.take_task().await.0, matched.id());
}

#[tokio::test]
async fn the_same_id_again_wins_and_the_old_connection_is_closed() {
    let broker = start(config()).await;
    let mut old = Runner::register(&broker, "same").await;
    old.offer("old", 5000).await;
    let mut new = Runner::register(&broker, "same").await;
    assert_eq!(old.closed().await, 1000);
    assert_eq!(broker.runners(), 1);
    let task = broker.submit(settings());
    let (task_id, _) = new.take_task().await;
    new.done(&task_id, json!(1)).await;
    assert_eq!(done(&result_of(task).await), "1");
}

#[tokio::test]
async fn a_runner_that_does_not_answer_pings_is_cut_off() {
    let broker = start(BrokerConfig { heartbeat: Duration::from_millis(50), ..config() }).await;
    let mut runner = Runner::register(&broker, "a").await;
    let task = broker.submit(settings());
    runner.take_task().await;
    // A client that does not read does not answer pings either.
    assert!(matches!(result_of(task).await, TaskResult::RunnerLost));
    assert_eq!(runner.closed().await, 1002);
}

#[tokio::test]
async fn a_runner_that_answers_pings_stays() {
    let broker = start(BrokerConfig { heartbeat: Duration::from_millis(30), ..config() }).await;
    let mut runner = Runner::register(&broker, "a").await;
    assert!(timeout(Duration::from_millis(300), runner.receive()).await.is_err());
    assert_eq!(broker.runners(), 1);
}

#[tokio::test]
async fn a_message_over_the_limit_ends_the_connection() {
    let broker = start(BrokerConfig { max_payload: bytesize::ByteSize::kib(64), ..config() }).await;
    let mut runner = Runner::register(&broker, "a").await;
    let task = broker.submit(settings());
    let (task_id, _) = runner.take_task().await;
    runner.done(&task_id, json!("x".repeat(128 << 10))).await;
    assert!(matches!(result_of(task).await, TaskResult::RunnerLost));
}

#[tokio::test]
async fn large_messages_pass_in_both_directions() {
    let broker = start(config()).await;
    let mut runner = Runner::register(&broker, "a").await;
    let text = "x".repeat(8 << 20);
    let task = broker.submit(raw(&json!({"code": text})));
    let (task_id, received) = runner.take_task().await;
    runner.done(&task_id, received["code"].clone()).await;
    assert_eq!(done(&result_of(task).await).len(), text.len() + 2);
}

// What tasks ask.

fn rpc(task_id: &str, name: &str) -> Value {
    json!({"type": "runner:rpc", "callId": "c", "taskId": task_id, "name": name, "params": ["'hello'", "2"]})
}

#[tokio::test]
async fn prints_are_streamed_to_the_caller_and_answered() {
    let broker = start(config()).await;
    let mut runner = Runner::register(&broker, "a").await;
    let mut task = broker.submit(settings());
    let (task_id, _) = runner.take_task().await;
    runner.send(rpc(&task_id, "logNodeOutput")).await;
    let Some(TaskEvent::Print(print)) = soon(task.event()).await else { panic!("a print first") };
    assert_eq!(print_text(&print), "hello 2");
    let answer = runner.receive().await;
    let expected = json!({"type": "broker:rpcresponse", "callId": "c", "taskId": task_id, "status": "success"});
    assert_eq!(answer, expected);
    runner.done(&task_id, json!(null)).await;
    assert!(matches!(soon(task.event()).await, Some(TaskEvent::Ended(_))));
    assert!(soon(task.event()).await.is_none());
}

#[tokio::test]
async fn other_methods_are_not_allowed_and_foreign_tasks_not_answered() {
    let broker = start(config()).await;
    let mut runner = Runner::register(&broker, "a").await;
    let _task = broker.submit(settings());
    let (task_id, _) = runner.take_task().await;
    runner.send(rpc("another", "helpers.httpRequest")).await;
    runner.send(rpc("another", "logNodeOutput")).await;
    runner.silence().await;
    runner.send(rpc(&task_id, "helpers.httpRequest")).await;
    let answer = runner.receive().await;
    assert_eq!((&answer["status"], &answer["data"]), (&json!("error"), &json!("Method not allowed")));
}

#[tokio::test]
async fn data_requests_are_answered_with_nothing_where_there_is_no_workflow() {
    let broker = start(config()).await;
    let mut runner = Runner::register(&broker, "a").await;
    let _task = broker.submit(settings());
    let (task_id, _) = runner.take_task().await;
    let params = json!({"dataOfNodes": "all", "prevNode": true, "input": {"include": true}, "env": false});
    runner
        .send(json!({"type": "runner:taskdatarequest", "taskId": task_id, "requestId": "r", "requestParams": params}))
        .await;
    let expected = json!({"type": "broker:taskdataresponse", "taskId": task_id, "requestId": "r", "data": {}});
    assert_eq!(runner.receive().await, expected);
    let params = json!([{"name": "n8n-nodes-base.code", "version": 2}]);
    runner
        .send(json!({"type": "runner:nodetypesrequest", "taskId": task_id, "requestId": "s", "requestParams": params}))
        .await;
    let expected = json!({"type": "broker:nodetypes", "taskId": task_id, "requestId": "s", "nodeTypes": []});
    assert_eq!(runner.receive().await, expected);
}

/// A workflow whose one method answers only after task data was asked for.
#[derive(Default)]
struct Workflow(Arc<Notify>);

impl Hooks for Workflow {
    fn rpc(&self, _: &str, name: &str, params: Box<RawValue>) -> Reply<Result<Option<Box<RawValue>>, Value>> {
        let (known, asked) = (name == "helpers.httpRequest", self.0.clone());
        Box::pin(async move {
            asked.notified().await;
            if known { Ok(Some(params)) } else { Err("no".into()) }
        })
    }

    fn task_data(&self, _: &str, request: DataRequest) -> Reply<Box<RawValue>> {
        self.0.notify_one();
        Box::pin(async move { raw(&json!({"env": request.env})) })
    }

    fn node_types(&self, _: &str, request: Vec<NodeType>) -> Reply<Box<RawValue>> {
        Box::pin(async move { raw(&json!(request.len())) })
    }
}

#[tokio::test]
async fn hooks_answer_in_the_place_of_n8n_without_stopping_the_connection() {
    let broker = start(BrokerConfig { hooks: Arc::new(Workflow::default()), ..config() }).await;
    let mut runner = Runner::register(&broker, "a").await;
    let _task = broker.submit(settings());
    let (task_id, _) = runner.take_task().await;
    runner.send(rpc(&task_id, "helpers.httpRequest")).await;
    let params = json!({"dataOfNodes": [], "prevNode": false, "input": {"include": false}, "env": true});
    runner
        .send(json!({"type": "runner:taskdatarequest", "taskId": task_id, "requestId": "r", "requestParams": params}))
        .await;
    let answers = [runner.receive().await, runner.receive().await];
    let answer = |kind: &str| answers.iter().find(|answer| answer["type"] == kind).expect("an answer");
    assert_eq!(answer("broker:taskdataresponse")["data"], json!({"env": true}));
    let rpc = answer("broker:rpcresponse");
    assert_eq!((&rpc["status"], &rpc["data"]), (&json!("success"), &json!(["'hello'", "2"])));
}

// The end.

#[tokio::test]
async fn draining_lets_tasks_finish_ends_those_that_wait_and_closes() {
    let broker = start(config()).await;
    let mut runner = Runner::register(&broker, "a").await;
    let running = broker.submit(settings());
    let (task_id, _) = runner.take_task().await;
    let waiting = broker.submit(settings());
    let runner_side = async {
        assert_eq!(runner.receive().await["type"], "broker:drain");
        runner.offer("ignored", 5000).await;
        runner.done(&task_id, json!("finished")).await;
        assert_eq!(runner.closed().await, 1001);
    };
    tokio::join!(soon(broker.drain(SOON)), runner_side);
    assert_eq!(done(&result_of(running).await), r#""finished""#);
    assert!(matches!(result_of(waiting).await, TaskResult::BrokerClosed));
    assert!(matches!(result_of(broker.submit(settings())).await, TaskResult::BrokerClosed));
    let authorization = format!("Bearer {}", grant(&broker).await);
    assert_eq!(open(&broker, "/runners/_ws?id=a", Some(&authorization)).await.err(), Some(503));
}

#[tokio::test]
async fn draining_gives_up_on_tasks_that_do_not_finish() {
    let broker = start(config()).await;
    let mut runner = Runner::register(&broker, "a").await;
    let task = broker.submit(settings());
    runner.take_task().await;
    soon(broker.drain(Duration::from_millis(30))).await;
    assert!(matches!(result_of(task).await, TaskResult::BrokerClosed));
    assert_eq!(runner.closed().await, 1001);
}

#[tokio::test]
async fn a_shutdown_says_good_bye_and_frees_the_port() {
    let broker = start(config()).await;
    let uri = broker.uri();
    let mut runner = Runner::register(&broker, "a").await;
    let task = broker.submit(settings());
    runner.take_task().await;
    let code = tokio::spawn(async move { runner.closed().await });
    soon(broker.shutdown()).await;
    assert_eq!(soon(code).await.unwrap(), 1001);
    assert!(matches!(result_of(task).await, TaskResult::BrokerClosed));
    assert!(TcpStream::connect(uri.trim_start_matches("http://")).await.is_err());
}

#[tokio::test]
async fn thousands_of_tasks_pass_in_flight_at_once() {
    let broker = start(config()).await;
    let mut runner = Runner::register(&broker, "a").await;
    let tasks: Vec<_> = (0..3000).map(|_| broker.submit(settings())).collect();
    let runner_side = async {
        let mut offer = 0;
        for _ in 0..64 {
            offer += 1;
            runner.offer(&offer.to_string(), 5000).await;
        }
        let mut finished = 0;
        while finished < 3000 {
            let message = runner.receive().await;
            let task_id = message["taskId"].as_str().unwrap().to_owned();
            if message["type"] == "broker:taskofferaccept" {
                runner.answer("runner:taskaccepted", &task_id).await;
            } else {
                runner.done(&task_id, json!(finished)).await;
                finished += 1;
                offer += 1;
                runner.offer(&offer.to_string(), 5000).await;
            }
        }
    };
    let results = async {
        for task in tasks {
            assert!(matches!(result_of(task).await, TaskResult::Done(_)));
        }
    };
    tokio::join!(runner_side, results);
}
