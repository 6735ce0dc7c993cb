//! A running broker: start, submit, drain, shutdown.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use serde_json::value::RawValue;
use tokio::{net::TcpListener, task::JoinHandle};

use super::{
    connection::CLOSE_GRACE,
    handle::TaskHandle,
    http,
    settings::{BrokerConfig, BrokerError},
    shared::SharedState,
};
use crate::net::{
    descriptors,
    server::{self, ServerLimits},
};

/// Time for open HTTP connections to end at a shutdown. A client that keeps one open would
/// otherwise block it.
const HTTP_GRACE: Duration = Duration::from_secs(1);
/// HTTP connections at most. Runners' connections leave this number with their upgrade.
const MAX_HTTP_CONNECTIONS: usize = 64;
/// Connections of runners at most.
const MAX_RUNNERS: usize = 1024;
/// HTTP connections and runners at least.
const MIN_CONNECTIONS: usize = 4;
/// HTTP connections and runners get one of this many parts of the free descriptors each. The other
/// parts are for requests that hooks make, and for the rest of the program.
const PARTS: usize = 4;

/// A running broker. Dropping it closes every connection without waiting; prefer
/// [`drain`](Self::drain) and [`shutdown`](Self::shutdown).
pub struct Broker {
    shared: Arc<SharedState>,
    address: SocketAddr,
    server: Option<JoinHandle<()>>,
    sweeper: JoinHandle<()>,
}

impl Broker {
    /// Listens and serves. Requires a tokio runtime with I/O and time enabled.
    ///
    /// # Errors
    /// The address cannot be bound, the auth token is empty, or the process may open too few files.
    pub async fn start(config: BrokerConfig) -> Result<Self, BrokerError> {
        if config.auth_token.expose_secret().is_empty() {
            return Err(BrokerError::EmptyAuthToken);
        }
        let listen_error = |source| BrokerError::Listen { address: config.listen, source };
        let listener = TcpListener::bind(config.listen).await.map_err(listen_error)?;
        let address = listener.local_addr().map_err(listen_error)?;
        descriptors::require(PARTS * MIN_CONNECTIONS)?;
        let part = descriptors::free() / PARTS;
        let limits = ServerLimits::connections(part.min(MAX_HTTP_CONNECTIONS));
        let shared = Arc::new(SharedState::new(config, part.min(MAX_RUNNERS)));
        let (app, stopping) = (http::router(shared.clone()), shared.clone());
        let server = tokio::spawn(async move {
            server::serve(listener, app, limits, stopping.stopped()).await;
        });
        let sweeper = tokio::spawn(sweep(shared.clone()));
        tracing::info!(%address, "broker listening");
        Ok(Self { shared, address, server: Some(server), sweeper })
    }

    /// Returns the broker's base address, for `N8N_RUNNERS_TASK_BROKER_URI`.
    pub fn uri(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the secret of the runners, for `N8N_RUNNERS_AUTH_TOKEN`.
    pub fn auth_token(&self) -> &SecretString {
        &self.shared.config.auth_token
    }

    /// Queues a task and returns immediately. `settings` is a JSON object that the runner gets as
    /// [`Hooks::submitted`](super::Hooks::submitted) returns it. On a draining broker the task ends
    /// at once with [`TaskResult::BrokerClosed`](super::TaskResult::BrokerClosed).
    pub fn submit(&self, settings: Box<RawValue>) -> TaskHandle {
        TaskHandle::submit(self.shared.clone(), settings)
    }

    /// Waits until at least one runner is registered.
    pub async fn runner_registered(&self) {
        self.shared.runner_registered().await;
    }

    /// Returns the number of registered runners.
    pub fn runners(&self) -> usize {
        self.shared.registered_runners()
    }

    /// Sends `broker:drain` to every runner, refuses new runners and ends queued tasks. Running
    /// tasks get `grace` to finish. Then closes every connection with code 1001.
    pub async fn drain(&self, grace: Duration) {
        self.shared.update(|matching, _| matching.drain());
        let finished = self.shared.drained_until(|matching| matching.tasks_in_flight() == 0);
        if tokio::time::timeout(grace, finished).await.is_err() {
            tracing::warn!(?grace, "some tasks did not finish while draining");
        }
        self.shared.update(|matching, _| matching.close_all());
    }

    /// Ends every task with [`TaskResult::BrokerClosed`](super::TaskResult::BrokerClosed), closes
    /// every connection with code 1001 and stops listening.
    pub async fn shutdown(mut self) {
        self.shared.update(|matching, _| matching.close_all());
        self.shared.stop();
        if let Some(mut server) = self.server.take()
            && tokio::time::timeout(HTTP_GRACE, &mut server).await.is_err()
        {
            server.abort();
        }
        let closed = self.shared.drained_until(|matching| matching.open_sockets() == 0);
        // The timeout bounds the wait for a runner that never answers the close frame.
        let _ = tokio::time::timeout(CLOSE_GRACE, closed).await;
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.shared.update(|matching, _| matching.close_all());
        if let Some(server) = &self.server {
            server.abort();
        }
        self.sweeper.abort();
    }
}

/// Handles expired deadlines: accepts without an answer, and tasks that exceed their timeout.
async fn sweep(shared: Arc<SharedState>) {
    loop {
        let next = shared.update(|matching, now| matching.sweep(now));
        let earlier = shared.earlier_deadline();
        match next {
            None => earlier.await,
            Some(at) => tokio::select! {
                () = tokio::time::sleep_until(at.into()) => {}
                () = earlier => {}
            },
        }
    }
}
