//! The binary as a runner, and a bare WebSocket as its broker: no library hides a second answer or a
//! late pong.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    process::{Child, Command},
};
use tokio_tungstenite::{
    WebSocketStream, accept_async_with_config,
    tungstenite::{Message, protocol::WebSocketConfig},
};

/// A runner, its connection, and the listener to which it reconnects.
pub(crate) struct LoadedRunner {
    listener: TcpListener,
    socket: WebSocketStream<TcpStream>,
    process: Child,
}

impl LoadedRunner {
    /// Starts the binary for a new port, with two workers, and registers it.
    pub(crate) async fn start(settings: &[(&str, &str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("http://{}", listener.local_addr().unwrap());
        let process = Command::new(env!("CARGO_BIN_EXE_serpentarium"))
            .arg("runner")
            .env("N8N_RUNNERS_TASK_BROKER_URI", uri)
            .env("N8N_RUNNERS_AUTH_TOKEN", "a")
            .env("SERPENTARIUM_WORKERS", "2")
            .envs(settings.iter().copied())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let socket = accept(&listener).await;
        let mut runner = Self { listener, socket, process };
        runner.register().await;
        runner
    }

    /// Returns the id of the runner's own process.
    pub(crate) fn id(&self) -> u32 {
        self.process.id().unwrap()
    }

    async fn register(&mut self) {
        self.send(json!({"type": "broker:inforequest"})).await;
        assert_eq!(self.next().await["type"], "runner:info");
        self.send(json!({"type": "broker:runnerregistered"})).await;
    }

    /// Cuts the connection without a close frame and waits until the runner has reconnected.
    pub(crate) async fn cut(&mut self) {
        self.socket.get_mut().shutdown().await.unwrap();
        self.socket = accept(&self.listener).await;
        self.register().await;
    }

    /// Sends a message.
    pub(crate) async fn send(&mut self, message: Value) {
        self.send_frame(Message::text(message.to_string())).await;
    }

    /// Sends a frame.
    pub(crate) async fn send_frame(&mut self, frame: Message) {
        self.socket.send(frame).await.unwrap();
    }

    /// Returns the next frame.
    pub(crate) async fn next_frame(&mut self) -> Message {
        let frame = tokio::time::timeout(Duration::from_secs(60), self.socket.next()).await;
        frame.expect("the runner says something within a minute").unwrap().unwrap()
    }

    /// Returns the next message of a type. Skips others.
    pub(crate) async fn message(&mut self, kind: &str) -> Value {
        loop {
            let message = self.next().await;
            if message["type"] == kind {
                return message;
            }
        }
    }

    /// Matches a task with the runner's next offer, and waits for its acceptance.
    pub(crate) async fn place(&mut self, task_id: &str) {
        let offer = self.message("runner:taskoffer").await["offerId"].take();
        self.send(json!({"type": "broker:taskofferaccept", "taskId": task_id, "offerId": offer}))
            .await;
        assert_eq!(self.message("runner:taskaccepted").await["taskId"], task_id);
    }

    /// Returns the next message. Skips pings and pongs.
    pub(crate) async fn next(&mut self) -> Value {
        loop {
            match self.next_frame().await {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Pong(_) | Message::Ping(_) => {}
                other => panic!("not a message: {other:?}"),
            }
        }
    }

    /// Sends 100 pings, one after the other. Returns the times to their answers, in ascending
    /// order.
    pub(crate) async fn ping_times(&mut self) -> Vec<Duration> {
        let mut times = Vec::new();
        for ping in 0..100_u32 {
            let ping = Message::Ping(ping.to_le_bytes().to_vec().into());
            let sent = Instant::now();
            self.socket.send(ping.clone()).await.unwrap();
            loop {
                let message = self.socket.next().await.unwrap().unwrap();
                if message.is_pong() && message.into_data() == ping.clone().into_data() {
                    break;
                }
            }
            times.push(sent.elapsed());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        times.sort();
        times
    }

    /// Returns the processes of the runner and its workers.
    fn processes(&self) -> impl Iterator<Item = String> {
        let runner = self.process.id().unwrap();
        let children =
            std::fs::read_to_string(format!("/proc/{runner}/task/{runner}/children")).unwrap();
        let children: Vec<_> = children.split_whitespace().map(str::to_owned).collect();
        children.into_iter().chain([runner.to_string()])
    }

    /// Returns the memory of all processes, in MiB.
    pub(crate) fn memory(&self) -> f64 {
        self.processes().map(|process| memory_kib(&process) / 1024.0).sum()
    }

    /// Returns the memory once the runner is idle. A message other than an offer is an excess
    /// answer.
    pub(crate) async fn memory_at_rest(&mut self) -> f64 {
        while let Ok(frame) =
            tokio::time::timeout(Duration::from_millis(500), self.socket.next()).await
        {
            let frame = frame.unwrap().unwrap();
            assert!(
                !frame.is_text() || frame.to_text().unwrap().contains("runner:taskoffer"),
                "{frame:?}"
            );
        }
        self.memory()
    }

    /// Returns the CPU time of all processes.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        self.processes().map(|process| cpu_ticks(&process) / 100.0).sum()
    }
}

/// Returns the CPU time of a process in ticks of 10 ms (`USER_HZ` is 100).
fn cpu_ticks(process: &str) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()
}

/// Accepts the runner's next WebSocket. Answers its requests for a grant token.
async fn accept(listener: &TcpListener) -> WebSocketStream<TcpStream> {
    const GRANT: &str = r#"{"data":{"token":"grant"}}"#;
    loop {
        let wait = tokio::time::timeout(Duration::from_secs(60), listener.accept()).await;
        let (mut stream, _) = wait.expect("the runner comes within a minute").unwrap();
        stream.set_nodelay(true).unwrap();
        let mut first = [0; 4];
        while stream.peek(&mut first).await.unwrap() < 4 {}
        if first != *b"POST" {
            let unlimited = WebSocketConfig::default().max_message_size(None).max_frame_size(None);
            return accept_async_with_config(stream, Some(unlimited)).await.unwrap();
        }
        let mut request = String::new();
        while !request.ends_with('}') {
            let mut part = [0; 1024];
            let length = stream.read(&mut part).await.unwrap();
            request.push_str(std::str::from_utf8(&part[..length]).unwrap());
        }
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{GRANT}",
            GRANT.len()
        );
        stream.write_all(answer.as_bytes()).await.unwrap();
    }
}

/// Returns the anonymous and shared memory of a process in KiB. Omits the share of file pages,
/// which depends on the number of other tests that run the binary at the same time.
fn memory_kib(process: &str) -> f64 {
    let rollup = std::fs::read_to_string(format!("/proc/{process}/smaps_rollup")).unwrap();
    let field = |name| {
        let value = rollup.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        value.split_whitespace().next().unwrap().parse::<f64>().unwrap()
    };
    field("Pss_Anon:") + field("Pss_Shmem:")
}
