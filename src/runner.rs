//! A task runner for n8n's broker: connects, registers, offers its free places, runs the tasks, reconnects.
//!
//! One file for each thing: `connection` (the WebSocket), `auth` (the grant token), `session` (one connection's
//! life), `offers` and `task` (its state), `calls` (a task's host calls), `answer` (what the broker is told at a task's
//! end), `report` (what the log is told), `health` (what a supervisor is told), `heard` (silence), `shutdown` (signals).

mod answer;
mod auth;
mod calls;
mod config;
mod connection;
mod health;
mod heard;
mod offers;
mod outbox;
mod report;
mod session;
pub mod shutdown;
mod task;
pub(crate) mod variables;

use std::{
    pin::{Pin, pin},
    sync::Arc,
    time::{Duration, Instant},
};

use rand::Rng;
use tokio::task::JoinSet;
use tracing::{info, warn};

use crate::{net::tls, workers::Pool};
use auth::Auth;
pub use config::{Credentials, HealthConfig, RunnerConfig};
use connection::Connection;
use health::Health;
use session::Ended;

/// Why the runner ends by itself.
#[derive(Debug, thiserror::Error)]
pub enum RunnerError {
    /// The only grant token is no good, so trying again cannot help.
    #[error(
        "the broker refused the grant token: it is wrong, expired or used (a grant token is good for one connection, within 30 seconds)"
    )]
    GrantRefused,
    /// The connection is gone, and there is no token for another one.
    #[error(
        "connection to the broker lost: {0}; the grant token is spent, and without N8N_RUNNERS_AUTH_TOKEN there is no other"
    )]
    GrantSpent(String),
    /// Another runner of the same id took this one's place.
    #[error(
        "the broker closed the connection: another runner has the id '{0}' (N8N_RUNNERS_ID); give each its own"
    )]
    Replaced(String),
    /// The address of the health endpoint cannot be used.
    #[error("{0}")]
    Health(String),
    /// An `https` broker without a way to trust it.
    #[error("cannot use https: {0}")]
    Tls(String),
}

/// Why one attempt to connect failed.
#[derive(Debug, thiserror::Error)]
enum ConnectError {
    /// No connection, or not one that speaks the protocol.
    #[error("cannot reach the broker: {0}")]
    Unreachable(String),
    /// The broker took too long.
    #[error("the broker did not answer within {:?}", connection::CONNECT_TIMEOUT)]
    TimedOut,
    /// The broker answered with an HTTP status that refuses.
    #[error("the broker refused {what}: {}", status_text(*.status))]
    Refused {
        /// What was asked for.
        what: &'static str,
        /// The status.
        status: u16,
        /// When to try again.
        retry_after: Option<Duration>,
    },
    /// The broker's answer holds no usable grant token.
    #[error("the broker's answer holds no usable grant token")]
    NoGrant,
    /// There is no token left to connect with.
    #[error("the grant token is spent")]
    GrantSpent,
}

/// Runs tasks for a broker until `shutdown` is ready and what runs is finished, or until there is no way on.
///
/// # Errors
/// There is no token for another connection, another runner has this one's id, there is no way to trust the broker, or the
/// health endpoint's address cannot be used.
/// Anything else is tried again.
pub async fn run(
    config: RunnerConfig,
    pool: Pool,
    shutdown: impl Future<Output = ()>,
) -> Result<(), RunnerError> {
    let mut shutdown = pin!(shutdown);
    let tls = match config.broker.scheme() {
        "https" => tls::native().map_err(RunnerError::Tls)?,
        _ => tls::plain(),
    };
    let health = Arc::new(Health::new(pool.clone()));
    // Dropped, and with it the endpoint closed, when the runner ends.
    let mut side_tasks = JoinSet::new();
    if let Some(config) = &config.health {
        let listener = health::bind(config).await.map_err(RunnerError::Health)?;
        side_tasks.spawn(health::serve(listener, health.clone()));
    }
    let mut auth = Auth::new(&config.broker, tls.clone(), config.credentials.clone());
    let mut backoff = Backoff::default();
    // Since when there is no connection, and so nothing to do.
    let mut idle = Instant::now();
    loop {
        let connected = tokio::select! {
            () = &mut shutdown => return Ok(()),
            connected = connect(&config, &tls, &mut auth) => connected,
        };
        let (reason, retry_after) = match connected {
            Ok(connection) => {
                match session::serve(connection, &config, &pool, &health, shutdown.as_mut()).await {
                    Ended::ShutDown | Ended::Idle => return Ok(()),
                    Ended::Lost { reason, served, is_normal } => {
                        health.set_registered(false);
                        idle = Instant::now();
                        if is_normal && served.is_some() && config.id_is_given {
                            return Err(RunnerError::Replaced(config.id));
                        }
                        if served.is_some_and(|time| time >= Backoff::SERVED) {
                            backoff = Backoff::default();
                        }
                        if !auth.can_reconnect() {
                            return Err(RunnerError::GrantSpent(reason));
                        }
                        (format!("connection to the broker lost: {reason}"), None)
                    }
                }
            }
            Err(ConnectError::Refused { status: 403, .. } | ConnectError::GrantSpent)
                if !auth.can_reconnect() =>
            {
                return Err(RunnerError::GrantRefused);
            }
            Err(error) => (error.to_string(), error.retry_after()),
        };
        if let Some(time) = config.auto_shutdown.filter(|&time| idle.elapsed() >= time) {
            info!("idle for {time:?}: ending");
            return Ok(());
        }
        if !wait(&reason, backoff.next(retry_after), shutdown.as_mut()).await {
            return Ok(());
        }
    }
}

/// Waits before the next attempt. False if the shutdown came first.
async fn wait(reason: &str, time: Duration, shutdown: Pin<&mut impl Future<Output = ()>>) -> bool {
    warn!("{}; trying again in {} ms", report::Shown(reason), time.as_millis());
    tokio::select! {
        () = shutdown => false,
        () = tokio::time::sleep(time) => true,
    }
}

async fn connect(
    config: &RunnerConfig,
    tls: &rustls::ClientConfig,
    auth: &mut Auth,
) -> Result<Connection, ConnectError> {
    let grant = auth.grant().await?;
    let opened = Connection::open(config, tls, &grant).await;
    match &opened {
        Ok(_) => {
            auth.spend();
            info!("connected to the broker at {}", config.broker);
        }
        Err(ConnectError::Refused { status: 403, .. }) => auth.spend(),
        Err(_) => {}
    }
    opened
}

impl ConnectError {
    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// What an operator should make of a status.
fn status_text(status: u16) -> String {
    let meaning = match status {
        400 | 401 | 403 => "the token is wrong, expired or used",
        404 => "nothing of the broker's is at this address",
        429 => "too many attempts",
        503 => "it is shutting down or overloaded",
        _ => return format!("status {status}"),
    };
    format!("{meaning} (status {status})")
}

/// How long to wait before the next attempt: short at first, doubled with each failure in a row.
#[derive(Debug, Default)]
struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The wait after the first failure.
    const FIRST: Duration = Duration::from_millis(100);
    /// The longest wait. A runner should be back soon after its broker.
    const MOST: Duration = Duration::from_secs(5);
    /// A connection that served for so long was a good one, and waits begin anew.
    const SERVED: Duration = Duration::from_secs(1);

    /// The wait after one more failure. A quarter of it is random, so that runners that lost the same broker do not
    /// return all at once; what the broker asked for is the least.
    fn next(&mut self, retry_after: Option<Duration>) -> Duration {
        let doubled = Self::FIRST.saturating_mul(1 << self.failures.min(16)).min(Self::MOST);
        self.failures += 1;
        let wait = doubled.mul_f64(rand::rng().random_range(0.75..=1.0));
        wait.max(retry_after.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_from_short_to_a_few_seconds() {
        let mut backoff = Backoff::default();
        assert!(backoff.next(None) <= Backoff::FIRST);
        let waits: Vec<_> = (0..100).map(|_| backoff.next(None)).collect();
        assert!(waits[0] < waits[9] && waits.iter().all(|&wait| wait <= Backoff::MOST));
    }

    #[test]
    fn the_broker_may_ask_for_a_longer_wait() {
        let asked = Duration::from_secs(7);
        assert_eq!(Backoff::default().next(Some(asked)), asked);
    }

    #[test]
    fn a_refusal_says_what_it_means() {
        let error = ConnectError::Refused { what: "a grant token", status: 403, retry_after: None };
        let expected =
            "the broker refused a grant token: the token is wrong, expired or used (status 403)";
        assert_eq!(error.to_string(), expected);
    }
}
