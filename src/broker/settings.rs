//! The settings of a broker, and the errors of its start.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytesize::ByteSize;
use secrecy::SecretString;

use super::{
    grants::random_token,
    hooks::{Hooks, NoWorkflow},
};
use crate::net::descriptors::TooFewDescriptors;

/// The settings of a broker. The defaults are those of n8n's broker.
#[derive(Clone)]
pub struct BrokerConfig {
    /// The address to listen on. Default `127.0.0.1:0`, a free port;
    /// [`Broker::uri`](super::Broker::uri) names it.
    pub listen: SocketAddr,
    /// The secret that a runner exchanges for a grant token (`N8N_RUNNERS_AUTH_TOKEN`). Default: 64
    /// random hex digits.
    pub auth_token: SecretString,
    /// Time until an unused grant token expires. Default 30 s.
    pub grant_lifetime: Duration,
    /// Time between two WebSocket pings. The broker disconnects a runner without a pong by the next
    /// ping. Default 30 s.
    pub heartbeat: Duration,
    /// Time for a runner to accept or reject a task. Default 2 s.
    pub ack_window: Duration,
    /// Run time of a task, from its settings to its end. Default 300 s.
    pub task_timeout: Duration,
    /// Maximum size of one message from a runner. Default 1 GiB.
    pub max_payload: ByteSize,
    /// Answers the calls of tasks. Default [`NoWorkflow`].
    pub hooks: Arc<dyn Hooks>,
}

impl Default for BrokerConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            auth_token: random_token().into(),
            grant_lifetime: Duration::from_secs(30),
            heartbeat: Duration::from_secs(30),
            ack_window: Duration::from_secs(2),
            task_timeout: Duration::from_secs(300),
            max_payload: ByteSize::gib(1),
            hooks: Arc::new(NoWorkflow),
        }
    }
}

/// A broker cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BrokerError {
    /// The address is in use, not local, or not permitted.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The requested address.
        address: SocketAddr,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// An empty secret would let every local process take tasks.
    #[error("the auth token is empty: set a secret")]
    EmptyAuthToken,
    /// The process may open too few files for connections.
    #[error(transparent)]
    TooFewDescriptors(#[from] TooFewDescriptors),
}
