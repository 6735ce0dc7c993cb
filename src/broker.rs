//! A small broker that speaks n8n's task-broker protocol: what stands in for n8n in the demo, in tests and benches, and
//! for people who have none.
//!
//! ```text
//! submit ──▶ matching ◀──offers── connection ◀──▶ runner
//! TaskHandle ◀──events──┘            ▲
//!                                  http (auth, upgrade)
//! ```
//! `matching` is the whole state behind one short lock and does no I/O: it puts messages into the outboxes of connections.
//! `connection` moves frames. `http` lets runners in. `hooks` is what tasks ask, and `workflow` who answers where there is
//! no n8n. Nothing here knows how a runner works.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use axum::serve::ListenerExt;
use bytesize::ByteSize;
use secrecy::{ExposeSecret, SecretString};
use serde_json::value::RawValue;
use tokio::{
    net::TcpListener,
    sync::{Notify, watch},
    task::JoinHandle,
};

mod connection;
mod grants;
mod hooks;
mod http;
mod matching;
mod runners;
mod task;
mod workflow;

pub use hooks::{Hooks, NoWorkflow, Reply};
pub use task::{TaskEvent, TaskHandle, TaskReport, TaskResult, print_text};
pub use workflow::Workflow;

use self::{grants::Grants, matching::Matching};

/// The settings of a broker. The defaults are n8n's own (protocol, sections 1 and 3).
#[derive(Clone)]
pub struct BrokerConfig {
    /// Where to listen. Default `127.0.0.1:0`: a free port, which [`Broker::uri`] tells.
    pub listen: SocketAddr,
    /// The secret that a runner shows for a grant token (`N8N_RUNNERS_AUTH_TOKEN`). Default: 64 random hex digits.
    pub auth_token: SecretString,
    /// How long a grant token may be used. Default 30 s.
    pub grant_lifetime: Duration,
    /// Time between two pings; a runner that has not answered by the next one is cut off. Default 30 s.
    pub heartbeat: Duration,
    /// How long a runner may take to accept or reject a task. Default 2 s.
    pub ack_window: Duration,
    /// How long a task may run, from its settings to its end. Default 300 s.
    pub task_timeout: Duration,
    /// The longest message that a runner may send. Default 1 GiB.
    pub max_payload: ByteSize,
    /// Who answers what tasks ask. Default [`NoWorkflow`].
    pub hooks: Arc<dyn Hooks>,
}

impl Default for BrokerConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            auth_token: grants::random_token().into(),
            grant_lifetime: Duration::from_secs(30),
            heartbeat: Duration::from_secs(30),
            ack_window: Duration::from_secs(2),
            task_timeout: Duration::from_secs(300),
            max_payload: ByteSize::gib(1),
            hooks: Arc::new(NoWorkflow),
        }
    }
}

/// Why a broker could not start.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// The address is taken, not ours, or not allowed.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// Without a secret every local process could take tasks.
    #[error("the auth token must not be empty")]
    EmptyAuthToken,
}

/// A running broker. Dropping it stops it at once; [`drain`](Self::drain) and [`shutdown`](Self::shutdown) are kinder.
pub struct Broker {
    shared: Arc<Shared>,
    address: SocketAddr,
    server: Option<JoinHandle<()>>,
    sweeper: JoinHandle<()>,
}

/// What connections, handles and the broker have in common.
struct Shared {
    config: BrokerConfig,
    grants: Mutex<Grants>,
    matching: Mutex<Matching>,
    /// A deadline came up that is earlier than the one that the sweeper sleeps for.
    earlier: Notify,
    /// Something changed while draining.
    draining: watch::Sender<()>,
    /// Runners that are registered now.
    registered: watch::Sender<usize>,
    /// No new connections, please.
    stop: Notify,
}

impl Broker {
    /// Listens and serves. Must be called within a tokio runtime with I/O and time.
    ///
    /// # Errors
    /// The address cannot be listened on, or the auth token is empty.
    pub async fn start(config: BrokerConfig) -> Result<Self, BrokerError> {
        if config.auth_token.expose_secret().is_empty() {
            return Err(BrokerError::EmptyAuthToken);
        }
        let refused = |source| BrokerError::Listen { address: config.listen, source };
        let listener = TcpListener::bind(config.listen).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let shared = Arc::new(Shared {
            grants: Mutex::new(Grants::new(config.grant_lifetime)),
            matching: Mutex::new(Matching::new(config.ack_window, config.task_timeout)),
            config,
            earlier: Notify::new(),
            draining: watch::Sender::new(()),
            registered: watch::Sender::new(0),
            stop: Notify::new(),
        });
        let listener = listener.tap_io(|stream| {
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "cannot turn off Nagle's algorithm");
            }
        });
        let (app, stopping) = (http::router(shared.clone()), shared.clone());
        let server = tokio::spawn(async move {
            let serve = axum::serve(listener, app);
            if let Err(error) =
                serve.with_graceful_shutdown(async move { stopping.stop.notified().await }).await
            {
                tracing::error!(%error, "the broker stopped listening");
            }
        });
        let sweeper = tokio::spawn(sweep(shared.clone()));
        tracing::info!(%address, "broker listening");
        Ok(Self { shared, address, server: Some(server), sweeper })
    }

    /// The address that runners connect to, for `N8N_RUNNERS_TASK_BROKER_URI`.
    pub fn uri(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The secret that runners show, for `N8N_RUNNERS_AUTH_TOKEN`.
    pub fn auth_token(&self) -> &SecretString {
        &self.shared.config.auth_token
    }

    /// Queues a task. `settings` go to the runner as they are (protocol, section 4). Never waits; on a broker that drains,
    /// the task ends at once with [`TaskResult::BrokerClosed`].
    pub fn submit(&self, settings: Box<RawValue>) -> TaskHandle {
        let (handle, task) = task::new(self.shared.clone(), settings);
        self.shared.update(|matching, now| matching.submit(handle.key().clone(), task, now));
        handle
    }

    /// Waits until a runner is registered. Returns at once if one is.
    pub async fn runner_registered(&self) {
        // The sender lives in `shared`, so the only error, a closed channel, cannot come.
        let _ = self.shared.registered.subscribe().wait_for(|runners| *runners > 0).await;
    }

    /// The number of registered runners.
    pub fn runners(&self) -> usize {
        *self.shared.registered.borrow()
    }

    /// Tells every runner to drain, refuses new ones, ends the tasks that wait, lets those in flight finish for at most
    /// `grace`, then closes every connection with 1001 (protocol, section 3).
    pub async fn drain(&self, grace: Duration) {
        self.shared.update(|matching, _| matching.drain());
        let finished = self.shared.drained_until(|matching| matching.tasks_in_flight() == 0);
        if tokio::time::timeout(grace, finished).await.is_err() {
            tracing::warn!(?grace, "some tasks did not finish while draining");
        }
        self.shared.update(|matching, _| matching.close_all());
    }

    /// Ends every task that is left with [`TaskResult::BrokerClosed`], closes every connection with 1001 and stops
    /// listening.
    pub async fn shutdown(mut self) {
        self.shared.update(|matching, _| matching.close_all());
        self.shared.stop.notify_one();
        if let Some(mut server) = self.server.take() {
            // A client that keeps an HTTP connection open must not hold us.
            if tokio::time::timeout(Duration::from_secs(1), &mut server).await.is_err() {
                server.abort();
            }
        }
        let good_byes = self.shared.drained_until(|matching| matching.sockets() == 0);
        // A runner that does not say good-bye is left behind.
        let _ = tokio::time::timeout(connection::CLOSE_GRACE, good_byes).await;
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

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Matching> {
        crate::sync::lock(&self.matching)
    }

    fn grants(&self) -> MutexGuard<'_, Grants> {
        crate::sync::lock(&self.grants)
    }

    /// Changes the state, then wakes whom the change concerns.
    fn update<T>(&self, change: impl FnOnce(&mut Matching, Instant) -> T) -> T {
        let (value, wake) = {
            let mut matching = self.lock();
            let value = change(&mut matching, Instant::now());
            (value, matching.wake())
        };
        if wake.sweeper {
            self.earlier.notify_one();
        }
        if wake.draining {
            self.draining.send_replace(());
        }
        if let Some(runners) = wake.runners {
            self.registered.send_replace(runners);
        }
        value
    }

    /// Waits, while draining, until the state is so.
    async fn drained_until(&self, so: impl Fn(&Matching) -> bool) {
        let mut changes = self.draining.subscribe();
        while !so(&self.lock()) {
            // The sender lives in `self`, so the channel is open.
            let _ = changes.changed().await;
        }
    }
}

/// Acts on deadlines: late answers to an accept, tasks that ran out of time.
async fn sweep(shared: Arc<Shared>) {
    loop {
        let next = shared.update(|matching, now| matching.sweep(now));
        let earlier = shared.earlier.notified();
        match next {
            None => earlier.await,
            Some(at) => tokio::select! {
                () = tokio::time::sleep_until(at.into()) => {}
                () = earlier => {}
            },
        }
    }
}
