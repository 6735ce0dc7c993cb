//! The machinery behind the demo: a broker, worker processes, and a runner between them, as in production but small.

use std::time::Duration;

use bytesize::ByteSize;
use tokio::{sync::oneshot, task::JoinHandle};

use crate::{
    broker::{Broker, BrokerConfig},
    runner::{self, Credentials, RunnerConfig},
    sandbox::Limits,
    workers::{Pool, PoolConfig},
};

/// What stops the endless loop: a moment of computing.
const FUEL: u64 = 1_000_000_000;
/// What stops the hoarder.
const MEMORY: ByteSize = ByteSize::mib(128);
/// More than the slowest machine takes for that fuel.
const TIME: Duration = Duration::from_secs(20);

/// A broker and a runner that is connected to it.
pub(crate) struct Machine {
    pub(crate) broker: Broker,
    /// Says why it ended; before [`stop`](Self::stop) it should not.
    pub(crate) runner: JoinHandle<String>,
    shutdown: oneshot::Sender<()>,
}

impl Machine {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let broker = Broker::start(BrokerConfig::default()).await?;
        // One task at a time, one worker: what is shown does not need more.
        let pool = Pool::start(&PoolConfig { workers: 1, ..PoolConfig::default() })?;
        let credentials = Credentials { grant: None, auth: Some(broker.auth_token().clone()) };
        let config = RunnerConfig {
            max_concurrency: 1,
            max_payload: 64 << 20,
            graceful_shutdown: Duration::from_secs(5),
            limits: Limits { fuel: FUEL, memory: MEMORY.as_u64(), time: TIME, ..Limits::default() },
            ..RunnerConfig::new(broker.uri().parse()?, credentials)
        };
        let (shutdown, stopped) = oneshot::channel();
        let runner = tokio::spawn(async move {
            let shutdown = async { stopped.await.unwrap_or(()) };
            match runner::run(config, pool, shutdown).await {
                Ok(()) => "it was told to".into(),
                Err(error) => error.to_string(),
            }
        });
        Ok(Self { broker, runner, shutdown })
    }

    /// The runner first, so that it says good-bye.
    pub(crate) async fn stop(self) {
        let _ = self.shutdown.send(());
        let _ = tokio::time::timeout(Duration::from_secs(10), self.runner).await;
        self.broker.shutdown().await;
    }
}
