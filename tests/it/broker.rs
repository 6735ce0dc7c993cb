//! The embedded broker against a raw WebSocket client in the role of the runner (protocol sections
//! 1 to 3).

mod calls;
mod entry;
mod failures;
mod shutdown;
mod tasks;

use std::{future::Future, sync::Arc, time::Duration};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json, value::RawValue};
use serpentarium::{
    broker::{
        Broker, BrokerConfig, HookFuture, Hooks, TaskEvent, TaskHandle, TaskResult, print_text,
    },
    protocol::{DataRequest, NodeType},
};
use tokio::{net::TcpStream, sync::Notify, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{self, Message, client::IntoClientRequest},
};

const AUTH_TOKEN: &str = "a secret of the test";
const SOON: Duration = Duration::from_secs(5);
/// Long enough for a message in transit to arrive.
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

/// Awaits a future, for at most [`SOON`].
async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(SOON, future).await.expect("it should have come by now")
}

/// Requests a grant token. Returns the status and the body.
async fn auth(broker: &Broker, body: &str) -> (u16, Value) {
    let client = client();
    let request = client
        .post(format!("{}/runners/auth", broker.uri()))
        .header("content-type", "application/json");
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
    let mut request =
        format!("{}{path}", broker.uri().replace("http", "ws")).into_client_request().unwrap();
    if let Some(authorization) = authorization {
        request.headers_mut().insert("authorization", authorization.parse().unwrap());
    }
    match soon(connect_async(request)).await {
        Ok((socket, _)) => Ok(socket),
        Err(tungstenite::Error::Http(response)) => Err(response.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

/// A runner that the test controls step by step.
struct Runner(Socket);

impl Runner {
    /// Connects without registering.
    async fn connect(broker: &Broker, id: &str) -> Self {
        let token = grant(broker).await;
        let socket =
            open(broker, &format!("/runners/_ws?id={id}"), Some(&format!("Bearer {token}"))).await;
        Self(socket.expect("a connection"))
    }

    /// Connects and registers.
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

    /// Awaits the broker's close frame and returns its code.
    async fn closed(&mut self) -> u16 {
        loop {
            match soon(self.0.next()).await {
                Some(Ok(Message::Close(frame))) => return frame.expect("a code").code.into(),
                Some(Ok(_)) => {}
                other => panic!("expected a close frame, got {other:?}"),
            }
        }
    }

    /// Receives the acceptance of an offer and returns the task's id.
    async fn accept_of(&mut self, offer: &str) -> String {
        let message = self.receive().await;
        assert_eq!(message["type"], "broker:taskofferaccept");
        assert_eq!(message["offerId"], offer);
        message["taskId"].as_str().unwrap().to_owned()
    }

    async fn answer(&mut self, kind: &str, task_id: &str) {
        self.send(json!({"type": kind, "taskId": task_id, "reason": "test"})).await;
    }

    /// Accepts a task and receives its settings.
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
        self.send(
            json!({"type": "runner:taskdone", "taskId": task_id, "data": {"result": result}}),
        )
        .await;
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
