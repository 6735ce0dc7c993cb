//! The signals that end the runner: the first asks it to finish, the second ends it at once.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{info, warn};

/// SIGTERM and SIGINT, caught from now on. The future ends at the first; after that, the second exits the process with
/// 128 and the signal's number, as a shell reports it.
///
/// # Errors
/// The handlers cannot be installed.
pub fn requested() -> io::Result<impl Future<Output = ()>> {
    let mut signals =
        Signals { term: signal(SignalKind::terminate())?, int: signal(SignalKind::interrupt())? };
    Ok(async move {
        let (name, _) = signals.next().await;
        info!("{name}: shutting down");
        tokio::spawn(async move {
            let (name, number) = signals.next().await;
            warn!("{name} again: exiting at once");
            std::process::exit(128 + number);
        });
    })
}

struct Signals {
    term: Signal,
    int: Signal,
}

impl Signals {
    async fn next(&mut self) -> (&'static str, i32) {
        tokio::select! {
            _ = self.term.recv() => ("SIGTERM", SignalKind::terminate().as_raw_value()),
            _ = self.int.recv() => ("SIGINT", SignalKind::interrupt().as_raw_value()),
        }
    }
}
