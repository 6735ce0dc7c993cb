//! The local broker with few file descriptors, beside strangers.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
};

use super::{PATIENCE, Stranger, with_files};
use crate::{
    health::{free_port, get},
    support::script_broker::Runner,
};

const TOKEN: &str = "secret";
/// The WebSocket key of RFC 6455, section 1.3.
const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// A process with a broker. Dropping it kills it.
struct BrokerProcess(Child);

impl Drop for BrokerProcess {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a broker under a limit of files, with tasks on standard input. Returns once it listens.
fn start(port: u16, files: usize) -> BrokerProcess {
    let mut command = Command::new(env!("CARGO_BIN_EXE_serpentarium"));
    command
        .args(["broker", "-", "--listen", &format!("127.0.0.1:{port}")])
        .env("N8N_RUNNERS_AUTH_TOKEN", TOKEN);
    let mut command = with_files(&command, files);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let broker = BrokerProcess(command.spawn().unwrap());
    get(port, "/healthz");
    broker
}

fn connect(port: u16, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

fn grant(port: u16) -> String {
    let body = format!(r#"{{"token":"{TOKEN}"}}"#);
    let head = "POST /runners/auth HTTP/1.1\r\nHost: test";
    let mut stream =
        connect(port, &format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    body["data"]["token"].as_str().unwrap().to_owned()
}

/// Connects as a runner. Returns the connection and its status.
fn upgrade(port: u16, id: usize) -> (TcpStream, u16) {
    let token = grant(port);
    let head = format!("GET /runners/_ws?id=r{id} HTTP/1.1\r\nHost: test");
    let stream =
        connect(port, &format!("{head}\r\nAuthorization: Bearer {token}\r\n{UPGRADE}\r\n"));
    let mut line = String::new();
    BufReader::new(&stream).read_line(&mut line).unwrap();
    (stream, line.split(' ').nth(1).unwrap().parse().unwrap())
}

#[test]
fn a_broker_with_128_descriptors_serves_beside_half_open_ones() {
    let port = free_port();
    let mut broker = start(port, 128);
    let stranger = Stranger::start(port);
    assert_eq!(get(port, "/healthz").0, 200);
    // The runner registers and runs a task beside the stranger, and the broker reports its result.
    let _runner = Runner::start_with(port, &[("N8N_RUNNERS_AUTH_TOKEN", TOKEN)]);
    let task = r#"{"code":"return [7]","nodeMode":"runOnceForAllItems","items":[]}"#;
    broker.0.stdin.as_ref().unwrap().write_all(task.as_bytes()).unwrap();
    let mut result = String::new();
    let mut output = BufReader::new(broker.0.stdout.take().unwrap());
    drop(broker.0.stdin.take());
    output.read_line(&mut result).unwrap();
    assert_eq!(result.trim(), "[7]");
    assert!(stranger.opened() > super::HALF_OPEN, "the broker closed no half-open connection");
}

#[test]
fn the_number_of_runners_violated_is_refused() {
    let port = free_port();
    let _broker = start(port, 40);
    let mut open = Vec::new();
    let refused = loop {
        let (stream, status) = upgrade(port, open.len());
        match status {
            101 => open.push(stream),
            status => break status,
        }
        assert!(open.len() < 40, "more connections than descriptors");
    };
    assert_eq!(refused, 503);
    assert!(open.len() >= 4, "{}", open.len());
    assert_eq!(get(port, "/healthz").0, 200);
    // A place that is free is taken again.
    drop(open.pop());
    super::wait_until("a free place", || upgrade(port, 40).1 == 101);
}

#[test]
fn a_broker_names_a_limit_of_files_that_is_too_low() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_serpentarium"));
    command.args(["broker", "--listen", "127.0.0.1:0"]);
    let output = with_files(&command, 16).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), text.lines().count()), (Some(1), 1), "{text}");
    assert!(text.contains("the limit of open files is 16 (ulimit -n)"), "{text}");
}
