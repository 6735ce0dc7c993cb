//! Signals that end the runner: the first starts a graceful shutdown, the second exits at once.

use std::io;

use tracing::{info, warn};

use crate::platform::signals::EndSignals;

/// Catches SIGTERM and SIGINT, or the events of a Windows console, from now on.
///
/// The future completes at the first signal. A second one exits the process with status 128 plus
/// the signal's number, the convention of shells.
///
/// # Errors
/// The signal handlers cannot be installed.
pub fn requested() -> io::Result<impl Future<Output = ()>> {
    let mut signals = EndSignals::catch()?;
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
