//! The processes of the demo: a broker, one worker process, and a runner.

use std::time::Duration;

use bytesize::ByteSize;
use tokio::{sync::oneshot, task::JoinHandle};

use crate::{
    broker::{Broker, BrokerConfig},
    runner::{self, Credentials, RunnerConfig},
    sandbox::Limits,
    workers::{Pool, PoolConfig},
};

/// Fuel limit in units. The endless loop reaches it in well under a second.
const FUEL: u64 = 1_000_000_000;
/// Memory limit. The memory bomb reaches it after a few allocations.
const MEMORY: ByteSize = ByteSize::mib(128);
/// Time limit. Larger than any machine needs for `FUEL`, so that the fuel limit always comes first.
const TIME: Duration = Duration::from_secs(20);

/// A broker and a runner connected to it.
pub(crate) struct LocalRunner {
    pub(crate) broker: Broker,
    /// Ends with the reason. It ends before [`stop`](Self::stop) only on an error.
    pub(crate) runner: JoinHandle<String>,
    shutdown: oneshot::Sender<()>,
}

impl LocalRunner {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let broker = Broker::start(BrokerConfig::default()).await?;
        // One worker suffices: the demo runs one task at a time.
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
                Ok(()) => "shutdown was requested".into(),
                Err(error) => error.to_string(),
            }
        });
        Ok(Self { broker, runner, shutdown })
    }

    /// Stops the runner before the broker, so that the runner can close its connection.
    pub(crate) async fn stop(self) {
        let _ = self.shutdown.send(());
        let _ = tokio::time::timeout(Duration::from_secs(10), self.runner).await;
        self.broker.shutdown().await;
    }
}
