//! The runner's side of a connection to a broker that answers slowly, without end, or not at all.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    process::Stdio,
    thread::sleep,
    time::{Duration, Instant},
};

use tokio_tungstenite::tungstenite::{self, Message, WebSocket};

use super::PATIENCE;
use crate::support::script_broker::{Runner, command};

/// A token for the first request of a connection.
type Token = (&'static str, &'static str);
/// The first request is the upgrade.
const GRANT: Token = ("N8N_RUNNERS_GRANT_TOKEN", "given");
/// The first request is for a grant token.
const AUTH: Token = ("N8N_RUNNERS_AUTH_TOKEN", "secret");

fn accept(listener: &TcpListener) -> TcpStream {
    listener.set_nonblocking(true).unwrap();
    let by = Instant::now() + PATIENCE;
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false).unwrap();
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                return stream;
            }
            Err(_) => assert!(Instant::now() < by, "the runner does not connect"),
        }
        sleep(Duration::from_millis(10));
    }
}

/// Reads the head of a request.
fn read_head(stream: &mut TcpStream) {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let mut bytes = [0; 1024];
        let count = stream.read(&mut bytes).unwrap();
        assert!(count > 0, "the runner left");
        head.extend_from_slice(&bytes[..count]);
    }
}

/// Answers the first request with `head`, then repeats `more` until the runner leaves. Returns the
/// number of bytes written.
fn answer_without_end(stream: &mut TcpStream, head: &str, more: &str) -> usize {
    let pause = Duration::from_millis(if more.len() > 100 { 0 } else { 20 });
    let mut written = 0;
    let by = Instant::now() + PATIENCE;
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    let mut next = head;
    while stream.write_all(next.as_bytes()).is_ok() {
        assert!(Instant::now() < by, "the runner stays after {written} bytes");
        written += next.len();
        next = more;
        sleep(pause);
    }
    written
}

/// A runner leaves the connection within [`PATIENCE`], reads little of it, and tries again.
fn leaves(token: Token, head: &str, more: &str) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let _runner = Runner::start_with(port, &[token]);
    let mut stream = accept(&listener);
    read_head(&mut stream);
    let written = answer_without_end(&mut stream, head, more);
    // The kernel's buffers take some megabytes more than the runner reads.
    assert!(written < 64 << 20, "{written} bytes");
    accept(&listener);
}

const HEAD: &str = "HTTP/1.1 200 OK\r\n";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nX: ";

#[test]
fn an_upgrade_without_an_answer_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let _runner = Runner::start_with(listener.local_addr().unwrap().port(), &[GRANT]);
    let mut stream = accept(&listener);
    stream.read_to_end(&mut Vec::new()).expect("the runner leaves");
    accept(&listener);
}

#[test]
fn an_upgrade_byte_by_byte_is_given_up() {
    leaves(GRANT, SWITCH, "x");
}

#[test]
fn an_upgrade_with_endless_headers_is_given_up() {
    leaves(GRANT, SWITCH, &format!("{}\r\nX: ", "x".repeat(1000)));
}

#[test]
fn a_tls_handshake_without_an_answer_is_given_up() {
    let roots = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/root.pem");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("https://{}", listener.local_addr().unwrap());
    let uri = ("N8N_RUNNERS_TASK_BROKER_URI", address.as_str());
    let _runner = Runner::run(command(1, &[GRANT, uri, ("SSL_CERT_FILE", roots)]));
    let mut stream = accept(&listener);
    stream.read_to_end(&mut Vec::new()).expect("the runner leaves");
    accept(&listener);
}

#[test]
fn a_token_answer_byte_by_byte_is_given_up() {
    leaves(AUTH, CHUNKED, "1\r\nx\r\n");
}

#[test]
fn a_token_answer_with_endless_headers_is_given_up() {
    leaves(AUTH, HEAD, &format!("X: {}\r\n", "x".repeat(1000)));
}

#[test]
fn a_token_answer_with_an_endless_body_is_given_up() {
    leaves(AUTH, CHUNKED, &format!("400\r\n{}\r\n", "x".repeat(1024)));
}

/// Upgrades a runner with a heartbeat of a second, and announces a text frame of this size.
fn announce(size: u64) -> (std::process::Child, WebSocket<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let heartbeat = ("N8N_RUNNERS_HEARTBEAT_INTERVAL", "1");
    let runner = command(listener.local_addr().unwrap().port(), &[GRANT, heartbeat])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut socket = tungstenite::accept(accept(&listener)).unwrap();
    socket.get_mut().write_all(&[0x81, 127]).unwrap();
    socket.get_mut().write_all(&size.to_be_bytes()).unwrap();
    (runner, socket)
}

#[test]
fn progress_of_a_frame_obeyed_keeps_the_connection() {
    let mut frame = br#"{"type":"broker:inforequest"}"#.to_vec();
    frame.resize(64 << 10, b' ');
    let (mut runner, mut socket) = announce(frame.len() as u64);
    // 16 KiB/s: sixteen times as fast as needed, over four heartbeats.
    for part in frame.chunks(4 << 10) {
        socket.get_mut().write_all(part).unwrap();
        sleep(Duration::from_millis(250));
    }
    let info = loop {
        if let Message::Text(text) = socket.read().unwrap() {
            break text;
        }
    };
    assert!(info.contains("runner:info"), "{info}");
    let _ = runner.kill();
    let _ = runner.wait();
}

#[test]
fn progress_of_a_frame_violated_ends_the_connection() {
    let (mut runner, mut socket) = announce(900 << 20);
    let by = Instant::now() + PATIENCE;
    while socket.get_mut().write_all(b" ").is_ok() {
        assert!(Instant::now() < by, "the runner stays");
        sleep(Duration::from_millis(50));
    }
    let mut text = String::new();
    runner.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(runner.wait().unwrap().code(), Some(1));
    assert!(text.contains("bytes of a frame in 1s"), "{text}");
}
