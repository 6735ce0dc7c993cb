use std::net::SocketAddr;

use axum::{body::Bytes, routing::get};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::Notify,
    task::JoinHandle,
    time::timeout,
};

use super::*;

const GET: &str = "GET / HTTP/1.1\r\nHost: test\r\n\r\n";
/// Longer than a machine under load needs for an answer.
const LONG: Duration = Duration::from_secs(20);
/// Shorter than the test's patience. Violations wait for it.
const SHORT: Duration = Duration::from_millis(300);

fn limits(connections: usize) -> ServerLimits {
    ServerLimits { request_time: LONG, answer_time: LONG, ..ServerLimits::connections(connections) }
}

/// A running server. `/` answers `OK`, or with the body of a POST. `/later` answers after the
/// notification.
struct TestServer {
    address: SocketAddr,
    later: Arc<Notify>,
    stop: Arc<Notify>,
    server: JoinHandle<()>,
}

impl TestServer {
    async fn start(limits: ServerLimits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (later, stop) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (answered, stopped) = (later.clone(), stop.clone());
        let router = Router::new()
            .route("/", get(async || "OK").post(async |body: Bytes| body))
            .route("/later", get(async move || answered.notified().await));
        let server = tokio::spawn(async move {
            serve(listener, router, limits, stopped.notified()).await;
        });
        Self { address, later, stop, server }
    }

    async fn send(&self, bytes: impl AsRef<[u8]>) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes.as_ref()).await.unwrap();
        stream
    }

    async fn exchange(&self, bytes: impl AsRef<[u8]>) -> String {
        received(&mut self.send(bytes).await).await
    }
}

/// Reads until the server closes the connection.
async fn received(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // A reset ends the connection as well.
    let _ = timeout(LONG, stream.read_to_end(&mut bytes)).await.expect("an end");
    String::from_utf8(bytes).unwrap()
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or_default()
}

fn post(bytes: usize) -> String {
    let body = "x".repeat(bytes);
    format!("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: {bytes}\r\n\r\n{body}")
}

#[tokio::test]
async fn a_connection_serves_one_request() {
    let server = TestServer::start(limits(4)).await;
    let answer = server.exchange(GET.repeat(3)).await;
    assert!(answer.contains("connection: close"), "{answer}");
    assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 1, "{answer}");
}

#[tokio::test]
async fn request_time_obeyed_byte_by_byte() {
    let server = TestServer::start(limits(4)).await;
    let mut stream = server.send("").await;
    for byte in GET.as_bytes() {
        stream.write_all(&[*byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(status(&received(&mut stream).await), "200");
}

#[tokio::test]
async fn request_time_violated_ends_the_connection() {
    let server = TestServer::start(ServerLimits { request_time: SHORT, ..limits(4) }).await;
    let head = "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 9\r\n\r\n";
    for part in ["", "GET / HTTP/1.1\r\nHost: te", head, &format!("{head}12345678")] {
        assert_eq!(server.exchange(part).await, "", "{part}");
    }
    // Bytes that arrive do not prolong it.
    let mut stream = server.send("GET / HTTP/1.1\r\n").await;
    while stream.write_all(b"A: b\r\n").await.is_ok() {
        tokio::time::sleep(SHORT / 10).await;
    }
}

#[tokio::test]
async fn answer_time_obeyed() {
    let server = TestServer::start(limits(4)).await;
    let mut stream = server.send("GET /later HTTP/1.1\r\nHost: test\r\n\r\n").await;
    server.later.notify_one();
    assert_eq!(status(&received(&mut stream).await), "200");
}

#[tokio::test]
async fn answer_time_violated_ends_the_connection() {
    let limits = ServerLimits { request_time: SHORT, answer_time: SHORT, ..limits(4) };
    let server = TestServer::start(limits).await;
    assert_eq!(server.exchange("GET /later HTTP/1.1\r\nHost: test\r\n\r\n").await, "");
}

#[tokio::test]
async fn connections_obeyed_stay_open() {
    let server = TestServer::start(limits(4)).await;
    let mut half_open = Vec::new();
    for _ in 0..3 {
        half_open.push(server.send("GET / HTTP/1.1\r\n").await);
    }
    assert_eq!(status(&server.exchange(GET).await), "200");
    for mut stream in half_open {
        stream.write_all(b"Host: test\r\n\r\n").await.unwrap();
        assert_eq!(status(&received(&mut stream).await), "200");
    }
}

#[tokio::test]
async fn connections_violated_end_the_oldest_half_open_one() {
    let server = TestServer::start(limits(3)).await;
    let mut later = server.send("GET /later HTTP/1.1\r\nHost: test\r\n\r\n").await;
    let mut oldest = server.send("GET / HTTP/1.1\r\n").await;
    for _ in 0..50 {
        drop(server.send("GET / HTTP/1.1\r\n").await);
        assert_eq!(status(&server.exchange(GET).await), "200");
    }
    assert_eq!(received(&mut oldest).await, "");
    // A request that arrived whole is not ended in favour of one that did not.
    server.later.notify_one();
    assert_eq!(status(&received(&mut later).await), "200");
}

#[tokio::test]
async fn connections_violated_by_slow_answers_end_the_oldest() {
    let server = TestServer::start(limits(2)).await;
    let mut later = Vec::new();
    for _ in 0..2 {
        later.push(server.send("GET /later HTTP/1.1\r\nHost: test\r\n\r\n").await);
    }
    assert_eq!(status(&server.exchange(GET).await), "200");
    assert_eq!(received(&mut later[0]).await, "");
}

#[tokio::test]
async fn the_size_of_a_request_obeyed() {
    let server = TestServer::start(limits(4)).await;
    let head = format!("GET / HTTP/1.1\r\nHost: test\r\nA: {}\r\n\r\n", "x".repeat(8 << 10));
    assert_eq!(status(&server.exchange(head).await), "200");
    let answer = server.exchange(post(MAX_BYTES)).await;
    assert!(status(&answer) == "200" && answer.len() > MAX_BYTES, "{}", answer.len());
}

#[tokio::test]
async fn the_size_of_a_request_violated() {
    let server = TestServer::start(limits(4)).await;
    let endless = format!("GET / HTTP/1.1\r\nHost: test\r\nA: {}", "x".repeat(MAX_BYTES));
    assert_eq!(status(&server.exchange(endless).await), "431");
    assert_eq!(status(&server.exchange(post(MAX_BYTES + 1)).await), "413");
}

#[tokio::test]
async fn a_stop_waits_for_answers_and_for_nothing_else() {
    let server = TestServer::start(limits(4)).await;
    let mut half_open = server.send("GET / HTTP/1.1\r\n").await;
    let mut later = server.send("GET /later HTTP/1.1\r\nHost: test\r\n\r\n").await;
    // The answer proves that the server accepted the connections before it.
    assert_eq!(status(&server.exchange(GET).await), "200");
    server.stop.notify_one();
    assert_eq!(received(&mut half_open).await, "");
    assert!(!server.server.is_finished());
    server.later.notify_one();
    assert_eq!(status(&received(&mut later).await), "200");
    timeout(LONG, server.server).await.expect("an end").unwrap();
}
