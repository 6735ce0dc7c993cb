//! The phases of a session, and its end.

use std::time::{Duration, Instant};

/// The end of a session.
#[derive(Debug)]
pub(crate) enum SessionEnd {
    /// The requested shutdown is complete.
    ShutDown,
    /// The runner was idle for the time of [`RunnerConfig::auto_shutdown`](super::config::RunnerConfig::auto_shutdown).
    Idle,
    /// The connection is lost.
    Lost {
        /// The cause, for the log.
        reason: String,
        /// Time since the registration. `None`: the runner never registered.
        served: Option<Duration>,
        /// Whether the broker closed it with code 1000, as it does if another runner has the same
        /// id.
        is_normal: bool,
    },
}

/// The phase of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Waits for the registration until this deadline.
    Registering(Instant),
    /// Offers its free capacity.
    Serving,
    /// The broker drains: finishes its tasks, offers nothing.
    Draining,
    /// Shuts down: finishes its tasks until this deadline, then stops them.
    Stopping(Instant),
}
