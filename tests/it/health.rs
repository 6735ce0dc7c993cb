//! The health endpoint: liveness of the runner, and readiness for a task.

use std::{
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    time::{Duration, Instant},
};

use crate::support::script_broker::{Broker, PATIENCE, Runner, settings};
use serde_json::json;

/// Returns a port that was free just before.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

fn start(broker: u16, health: u16) -> Runner {
    let port = health.to_string();
    Runner::start_with(
        broker,
        &[
            ("N8N_RUNNERS_AUTH_TOKEN", "secret"),
            ("N8N_RUNNERS_HEALTH_CHECK_SERVER_ENABLED", "true"),
            ("N8N_RUNNERS_HEALTH_CHECK_SERVER_PORT", &port),
        ],
    )
}

/// Requests a path once the server listens. Returns the status and the text.
///
/// Asks again after a broken connection, as probes do: beside a stranger the server may end a
/// connection before its request arrives, to serve a newer one.
pub(crate) fn get(port: u16, path: &str) -> (u16, String) {
    let by = Instant::now() + PATIENCE;
    loop {
        match request(port, path) {
            Ok(answer) => return answer,
            Err(error) => assert!(Instant::now() < by, "{error}"),
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn request(port: u16, path: &str) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    Ok((head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned()))
}

#[test]
fn liveness_needs_the_runner_and_readiness_the_broker() {
    let health = free_port();
    let mut broker = Broker::start();
    let _runner = start(broker.port, health);
    for path in ["/", "/healthz", "/any/other?path"] {
        assert_eq!(get(health, path), (200, "OK".into()), "{path}");
    }
    assert_eq!(get(health, "/readyz"), (503, "not registered with a broker".into()));
    broker.register();
    broker.message("runner:taskoffer");
    assert_eq!(get(health, "/readyz"), (200, "OK".into()));
}

#[test]
fn a_runner_at_capacity_is_ready_and_one_that_drains_is_not() {
    let health = free_port();
    let mut broker = Broker::start();
    let _runner = start(broker.port, health);
    broker.register();
    for task_id in ["t1", "t2"] {
        broker.submit(task_id, settings("while True: pass"));
    }
    assert_eq!(get(health, "/readyz"), (200, "OK".into()));
    broker.send(json!({ "type": "broker:drain" }));
    broker.send(json!({ "type": "broker:taskcancel", "taskId": "t1", "reason": "test" }));
    broker.message("runner:taskerror");
    assert_eq!(get(health, "/readyz").0, 503);
    assert_eq!(get(health, "/healthz").0, 200);
}

#[test]
fn a_runner_whose_broker_is_gone_lives_and_is_not_ready() {
    let health = free_port();
    let mut broker = Broker::start();
    let _runner = start(broker.port, health);
    broker.register();
    broker.message("runner:taskoffer");
    drop(broker);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(get(health, "/readyz").0, 503);
    assert_eq!(get(health, "/healthz").0, 200);
}

#[test]
fn an_occupied_port_ends_the_runner_and_is_named() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let (code, text) = Runner::failure(
        1,
        &[
            ("N8N_RUNNERS_AUTH_TOKEN", "secret"),
            ("N8N_RUNNERS_HEALTH_CHECK_SERVER_ENABLED", "true"),
            ("N8N_RUNNERS_HEALTH_CHECK_SERVER_PORT", &port),
        ],
    );
    assert_eq!((code, text.lines().count()), (Some(1), 1), "{text}");
    assert!(text.contains("127.0.0.1") && text.contains(&port), "{text}");
}
