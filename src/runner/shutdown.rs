//! Signals that end the runner: the first starts a graceful shutdown, the second exits at once.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{info, warn};

/// Catches SIGTERM and SIGINT from now on.
///
/// The future completes at the first signal. A second one exits the process with status 128 plus
/// the signal's number, the convention of shells.
///
/// # Errors
/// The signal handlers cannot be installed.
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
