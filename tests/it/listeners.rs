//! Strangers and a bad broker on the network: half-open connections, few file descriptors, answers
//! that do not end.

mod broker_listener;
mod health_listener;
mod slow_broker;

use std::{
    io::{ErrorKind, Write},
    net::TcpStream,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle, sleep},
    time::{Duration, Instant},
};

use crate::support::script_broker::PATIENCE;

/// Half-open connections that a stranger holds.
const HALF_OPEN: usize = 200;
/// Pause between two looks at a condition.
const PAUSE: Duration = Duration::from_millis(10);

/// Returns the command in a shell that limits the open files.
fn with_files(command: &Command, limit: usize) -> Command {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &format!("ulimit -n {limit} && exec \"$0\" \"$@\"")])
        .arg(command.get_program())
        .args(command.get_args())
        .env_clear()
        .envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell
}

/// Waits for a condition, at most [`PATIENCE`].
fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let by = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < by, "not {what} in time");
        sleep(PAUSE);
    }
}

/// A stranger that holds [`HALF_OPEN`] connections, each with half a request. It replaces those that
/// the server closes. Dropping it closes them.
struct Stranger {
    stop: Arc<AtomicBool>,
    opened: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

impl Stranger {
    /// Starts one. Returns once it has opened that many connections.
    fn start(port: u16) -> Self {
        let (stop, opened) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let (stopped, count) = (stop.clone(), opened.clone());
        let thread = thread::spawn(move || {
            let mut open = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                open.retain(is_open);
                while open.len() < HALF_OPEN {
                    let Some(stream) = half_request(port) else { break };
                    count.fetch_add(1, Ordering::Relaxed);
                    open.push(stream);
                }
                sleep(PAUSE);
            }
        });
        let stranger = Self { stop, opened, thread: Some(thread) };
        wait_until("200 half-open connections", || stranger.opened() >= HALF_OPEN);
        stranger
    }

    /// Returns the number of connections that it opened so far.
    fn opened(&self) -> usize {
        self.opened.load(Ordering::Relaxed)
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn half_request(port: u16) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: te").ok()?;
    stream.set_nonblocking(true).ok()?;
    Some(stream)
}

/// Returns whether the peer has not closed the connection.
fn is_open(stream: &TcpStream) -> bool {
    matches!(stream.peek(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock)
}
