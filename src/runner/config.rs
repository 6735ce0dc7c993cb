//! The settings of the runner, checked and typed. `config` makes them from flags and variables.

use std::time::Duration;

use reqwest::Url;
use secrecy::SecretString;

use crate::{
    protocol::{Addition, random_id},
    sandbox::Limits,
};

/// The settings of one runner. [`RunnerConfig::new`] gives those that n8n's own runner has by
/// default.
#[derive(Debug, Clone)]
pub struct RunnerConfig {
    /// The broker's base address, `http` or `https`.
    pub broker: Url,
    /// The tokens that authenticate this runner.
    pub credentials: Credentials,
    /// Tasks that run at once.
    pub max_concurrency: usize,
    /// The largest WebSocket message in bytes, both ways.
    pub max_payload: usize,
    /// Time that running tasks have to finish after a request to shut down.
    pub graceful_shutdown: Duration,
    /// Idle time after which the runner ends. `None`: it never ends by itself.
    pub auto_shutdown: Option<Duration>,
    /// Interval between pings to the broker. Silence for one interval ends the connection.
    pub heartbeat: Duration,
    /// The address of the health endpoint. `None`: there is no endpoint.
    pub health: Option<HealthConfig>,
    /// This runner's id at the broker.
    pub id: String,
    /// Whether an operator chose the id. A chosen id may clash with another runner's.
    pub id_is_given: bool,
    /// The limits of each task.
    pub limits: Limits,
    /// The addition to the settings of each task: the policy, and the environment.
    pub addition: Addition,
}

/// The address of the health endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthConfig {
    /// An IP address or a host name.
    pub host: String,
    /// The port. 0 takes any free one.
    pub port: u16,
}

/// The tokens that an operator gave. At least one is present.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// A grant token. Valid for one connection.
    pub grant: Option<SecretString>,
    /// The token shared with n8n. It fetches a grant token for each connection.
    pub auth: Option<SecretString>,
}

impl RunnerConfig {
    /// Returns the default settings, with a random id, no policy and no health endpoint.
    pub fn new(broker: Url, credentials: Credentials) -> Self {
        Self {
            broker,
            credentials,
            max_concurrency: 5,
            max_payload: 1 << 30,
            graceful_shutdown: Duration::from_secs(10),
            auto_shutdown: None,
            heartbeat: Duration::from_secs(30),
            health: None,
            id: random_id(),
            id_is_given: false,
            limits: Limits::default(),
            addition: Addition::default(),
        }
    }
}
