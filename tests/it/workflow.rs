//! Requests of a task to its workflow, answered by the local broker over a real WebSocket: HTTP
//! requests, binary data, data of other nodes.

mod texts;

use std::{
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Bytes,
    extract::{Path, RawQuery},
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse, Redirect, Response},
    routing::{any, get},
};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use serpentarium::broker::{Broker, BrokerConfig, TaskResult, Workflow};
use tokio::{
    net::TcpListener,
    process::{Child, Command},
    task::JoinHandle,
};

/// A broker, its runner, and an HTTP server.
struct Setup {
    broker: Broker,
    _runner: Child,
    server: JoinHandle<()>,
    address: String,
}

impl Drop for Setup {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn echo(method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let said = json!({
        "method": method.as_str(), "query": uri.query(), "body": String::from_utf8_lossy(&body), "x": header("x-test"),
        "type": header("content-type"), "accept": header("accept"), "auth": header("authorization"),
    });
    ([("x-answer", "yes")], said.to_string()).into_response()
}

async fn status(Path(code): Path<u16>) -> Response {
    (StatusCode::from_u16(code).unwrap(), format!(r#"{{"code": {code}}}"#)).into_response()
}

async fn slow(RawQuery(ms): RawQuery) -> &'static str {
    tokio::time::sleep(Duration::from_millis(ms.unwrap().parse().unwrap())).await;
    "slept"
}

impl Setup {
    async fn start() -> Self {
        let app = Router::new()
            .route("/echo", any(echo))
            .route("/status/{code}", get(status))
            .route("/slow", get(slow))
            .route("/moved", get(|| async { Redirect::temporary("/bytes") }))
            .route("/bytes", get(|| async { vec![0_u8, 255, 10] }))
            .route("/texts/{name}", any(texts::serve));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async { axum::serve(listener, app).await.unwrap() });
        let hooks = Arc::new(Workflow::new().unwrap());
        let broker =
            Broker::start(BrokerConfig { hooks, ..BrokerConfig::default() }).await.unwrap();
        let runner = Command::new(env!("CARGO_BIN_EXE_serpentarium"))
            .arg("runner")
            .env("N8N_RUNNERS_TASK_BROKER_URI", broker.uri())
            .env("N8N_RUNNERS_AUTH_TOKEN", broker.auth_token().expose_secret())
            .env("N8N_RUNNERS_LAUNCHER_LOG_LEVEL", "warn")
            .env("SERPENTARIUM_WORKERS", "1")
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self { broker, _runner: runner, server, address }
    }

    /// Runs code and returns its result. The code has `call(name, *params)`; a failed call returns
    /// `{"failed": text}`.
    async fn value(&self, code: &str, more: Value) -> Value {
        let code = format!(
            "
import _host, json
def call(name, *params):
    try: return json.loads(_host.call(name, json.dumps(params)))
    except _host.CallError as e: return {{'failed': json.loads(str(e))}}
def http(path, **options): return call('helpers.httpRequest', {{'url': '{}' + path, **options}})
{code}",
            self.address
        );
        let mut settings = json!({ "code": code, "nodeMode": "runOnceForAllItems", "items": [], "nodeName": "Code" });
        settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let task = self.broker.submit(serde_json::value::to_raw_value(&settings).unwrap());
        match tokio::time::timeout(Duration::from_secs(30), task.result()).await.expect("it ends") {
            TaskResult::Done(data) => serde_json::from_str(data.result.get()).unwrap(),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_request_carries_its_options_and_its_answer_is_read() {
    let setup = Setup::start().await;
    let code = "
return [
    http('/echo', qs={'a': 'b c', 'n': [1, 2]}, headers={'X-Test': 'yes'}, json=True),
    http('/echo', method='POST', body={'a': [1]}),
    http('/echo', method='PUT', body='plain', auth={'username': 'u', 'password': 'p'}),
    http('/echo', method='POST', body={'a': 'b c'}, headers={'Content-Type': 'application/x-www-form-urlencoded'}),
    http('/bytes', encoding='arraybuffer'),
    http('/moved', encoding='arraybuffer'),
    http('/status/200', encoding='text'),
    http('/echo', qs={'n': [1, 2]}, arrayFormat='repeat'),
]";
    let answers = setup.value(code, json!({})).await;
    let plain = json!({
        "method": "GET", "query": "a=b+c&n%5B0%5D=1&n%5B1%5D=2", "body": "", "x": "yes", "type": null,
        "accept": "application/json", "auth": null,
    });
    assert_eq!(answers[0], plain);
    assert_eq!(
        (&answers[1]["body"], &answers[1]["type"]),
        (&json!(r#"{"a":[1]}"#), &json!("application/json"))
    );
    assert_eq!((&answers[2]["method"], &answers[2]["body"]), (&json!("PUT"), &json!("plain")));
    assert_eq!(answers[2]["auth"], "Basic dTpw");
    assert_eq!(answers[3]["body"], "a=b+c");
    let bytes = json!({ "type": "Buffer", "data": [0, 255, 10] });
    assert_eq!(
        (&answers[4], &answers[5], &answers[6]),
        (&bytes, &bytes, &json!(r#"{"code": 200}"#))
    );
    assert_eq!(answers[7]["query"], "n=1&n=2");
}

#[tokio::test]
async fn the_usual_libraries_send_through_the_broker() {
    let setup = Setup::start().await;
    let code = format!(
        "
import httpx, requests, urllib.request
moved = requests.get('{0}/moved')
sent = requests.post('{0}/echo', params={{'a': 'ä'}}, json={{'b': 1}}).json()
async with httpx.AsyncClient() as client:
    status = (await client.get('{0}/status/404')).status_code
try: httpx.get('{0}/slow?5000', timeout=0.2)
except httpx.ReadTimeout: late = True
text = urllib.request.urlopen('{0}/slow?1').read().decode()
return [list(moved.content), len(moved.history), sent['query'], sent['body'], sent['type'], status, late, text]",
        setup.address
    );
    let answers = setup.value(&code, json!({})).await;
    assert_eq!(
        answers,
        json!([[0, 255, 10], 1, "a=%C3%A4", r#"{"b": 1}"#, "application/json", 404, true, "slept"])
    );
}

#[tokio::test]
async fn a_full_response_has_status_and_headers() {
    let setup = Setup::start().await;
    let code = "return http('/echo', returnFullResponse=True), \
        http('/status/404', returnFullResponse=True, ignoreHttpStatusErrors=True)";
    let answers = setup.value(code, json!({})).await;
    assert_eq!(
        (&answers[0]["statusCode"], &answers[0]["statusMessage"]),
        (&json!(200), &json!("OK"))
    );
    assert_eq!(
        (&answers[0]["headers"]["x-answer"], &answers[0]["body"]["method"]),
        (&json!("yes"), &json!("GET"))
    );
    assert_eq!(
        (&answers[1]["statusCode"], &answers[1]["body"]),
        (&json!(404), &json!({ "code": 404 }))
    );
}

#[tokio::test]
async fn failures_are_errors_in_n8ns_form() {
    let setup = Setup::start().await;
    let code = "
return [
    http('/status/404'),
    http('/status/503'),
    http('/slow?5000', timeout=50),
    call('helpers.httpRequest', {'url': 'http://127.0.0.1:1/'}),
    call('helpers.httpRequest', {'url': 'nowhere'}),
    http('/moved', disableFollowRedirect=True),
    http('/status/404', ignoreHttpStatusErrors={'ignore': True, 'except': [404]}),
]";
    let answers = setup.value(code, json!({})).await;
    let error = |at: usize, key: &str| answers[at]["failed"][key].clone();
    let refused = "ECONNREFUSED: http://127.0.0.1:1/: Connection refused (os error 111)";
    assert_eq!(error(3, "message"), refused);
    assert_eq!(error(0, "message"), "Request failed with status code 404");
    assert_eq!((error(0, "code"), error(0, "status")), (json!("ERR_BAD_REQUEST"), json!(404)));
    assert_eq!((error(1, "code"), error(1, "status")), (json!("ERR_BAD_RESPONSE"), json!(503)));
    assert_eq!(
        (error(2, "code"), error(2, "message")),
        (json!("ECONNABORTED"), json!("timeout of 50ms exceeded"))
    );
    assert_eq!((error(3, "code"), error(3, "status")), (json!("ECONNREFUSED"), Value::Null));
    assert_eq!(error(4, "code"), "ERR_INVALID_URL");
    assert_eq!((error(5, "status"), error(6, "status")), (json!(307), json!(404)));
}

#[tokio::test]
async fn a_hundred_requests_of_a_task_run_concurrently() {
    let setup = Setup::start().await;
    let code = "
import time
start = time.monotonic()
for _ in range(100): _host.start('helpers.httpRequest', json.dumps([{'url': URL + '/slow?300'}]))
answers = {_host.wait(-1)[1:] for _ in range(100)}
return sorted(answers), time.monotonic() - start";
    let code = code.replace("URL", &format!("'{}'", setup.address));
    let started = Instant::now();
    let answer = setup.value(&code, json!({})).await;
    println!("100 requests of 300 ms each: {:.0} ms", answer[1].as_f64().unwrap() * 1e3);
    assert_eq!(answer[0], json!([[true, "\"slept\""]]));
    assert!(started.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn binary_data_is_made_changed_and_read() {
    let setup = Setup::start().await;
    let items = json!([{ "json": {}, "binary": { "data": { "mimeType": "text/plain", "data": "aGVsbG8=" } } }]);
    let code = "
def buffer(data): return {'type': 'Buffer', 'data': list(data)}
made = call('helpers.prepareBinaryData', buffer(b'{}'), 'a.json')
changed = call('helpers.setBinaryDataBuffer', made, buffer(b'[1]'))
return [
    made, changed['bytes'], changed['id'] != made['id'],
    call('helpers.assertBinaryData', 0, 'data'),
    call('helpers.getBinaryDataBuffer', 0, 'data') == buffer(b'hello'),
    call('helpers.getBinaryDataBuffer', 0, 'none'),
    call('helpers.binaryToString', buffer('é'.encode('latin-1')), 'latin1'),
]";
    let answers = setup.value(code, json!({ "items": items })).await;
    assert_eq!(answers[0]["mimeType"], "application/json");
    assert_eq!(
        (&answers[0]["fileName"], &answers[0]["fileSize"]),
        (&json!("a.json"), &json!("2 B"))
    );
    assert_eq!(
        (&answers[1], &answers[2], &answers[4], &answers[6]),
        (&json!(3), &json!(true), &json!(true), &json!("é"))
    );
    assert_eq!(answers[3]["mimeType"], "text/plain");
    assert!(
        answers[5]["failed"]["message"].as_str().unwrap().contains("binary file 'none'"),
        "{answers}"
    );
}

#[tokio::test]
async fn binary_data_is_a_file_and_a_file_is_binary_data() {
    let setup = Setup::start().await;
    let file = json!({ "mimeType": "text/plain", "fileName": "a.txt", "data": "aGVsbG8=" });
    let items = json!([{ "json": {}, "binary": { "data": file } }]);
    let code = "
path = _helpers.binary_path(0)
with open(path, 'a') as file:
    file.write(' you')
file = _helpers.save_binary(path)
return path, file['fileName'], file['mimeType'], _helpers.get_binary_data(file).decode()";
    let answer = setup.value(code, json!({ "items": items })).await;
    assert_eq!(answer, json!(["/data/0/data/a.txt", "a.txt", "text/plain", "hello you"]));
}

#[tokio::test]
async fn ten_megabytes_go_to_the_broker_and_back() {
    let setup = Setup::start().await;
    let code = "
import random, time
random.seed(1)
data = random.randbytes(10 << 20)
start = time.monotonic()
answer = _host.call('helpers.binaryToString', '[' + _host.buffer_to_json(data) + ', \"latin1\"]')
return json.loads(answer).encode('latin-1') == data, time.monotonic() - start";
    let answer = setup.value(code, json!({})).await;
    println!("10 MiB to the broker and back as text: {:.0} ms", answer[1].as_f64().unwrap() * 1e3);
    assert_eq!(answer[0], true);
}

#[tokio::test]
async fn workflow_data_is_that_of_the_task() {
    let setup = Setup::start().await;
    let data = json!({
        "workflow": { "id": "7", "name": "Flow", "staticData": { "global": { "n": 1 } } },
        "runExecutionData": { "resultData": { "runData": { "A": [{ "data": 1 }], "B": [{ "data": 2 }] } } },
    });
    let code = "
request = {'dataOfNodes': ['A'], 'prevNode': False, 'env': False, 'input': {'include': False}}
data = call('taskData', request)
return data['workflow'], data['runExecutionData']['resultData']['runData'], data['activeNodeName'], data['inputData']";
    let answer = setup.value(code, json!({ "data": data })).await;
    assert_eq!(answer, json!([data["workflow"], { "A": [{ "data": 1 }] }, "Code", {}]));
}

#[tokio::test]
async fn other_methods_are_not_allowed() {
    let setup = Setup::start().await;
    let code = "
try: _host.call('helpers.nothing', '[]')
except _host.CallError as e: return str(e)";
    assert_eq!(setup.value(code, json!({})).await, "Method not allowed");
}
