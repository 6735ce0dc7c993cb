//! The runner's outer loop: connects, serves one session, reconnects.

use std::{
    pin::{Pin, pin},
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::task::JoinSet;
use tracing::{info, warn};

use super::{
    auth::Auth,
    backoff::Backoff,
    config::{HealthConfig, RunnerConfig},
    connection::BrokerConnection,
    error::{ConnectError, RunnerError},
    health::{self, Health},
    phase::SessionEnd,
    session,
};
use crate::{net::tls, text::brief, workers::Pool};

/// Time that the workers have before the runner registers without them. Jobs then wait for them.
const SET_UP: Duration = Duration::from_secs(5);

/// A session of at least this length resets the backoff.
const STABLE: Duration = Duration::from_secs(1);

/// Runs tasks for a broker until `shutdown` is ready and the running tasks have ended.
///
/// Retries failed connections with a backoff of at most five seconds.
///
/// # Errors
/// No token is left for another connection, another runner has the same id, no root certificate is
/// usable for an `https` broker, or the health endpoint cannot listen.
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
    // Dropping it at the end closes the health endpoint.
    let _endpoint = serve_health(config.health.as_ref(), &health).await?;
    let mut auth = Auth::new(&config.broker, tls.clone(), config.credentials.clone());
    let mut backoff = Backoff::default();
    let mut disconnected = Instant::now();
    loop {
        let connected = tokio::select! {
            () = &mut shutdown => return Ok(()),
            connected = connect_to_serve(&config, &tls, &mut auth, &pool) => connected,
        };
        let (reason, retry_after) = match connected {
            Ok(connection) => {
                match session::serve(connection, &config, &pool, &health, shutdown.as_mut()).await {
                    SessionEnd::ShutDown | SessionEnd::Idle => return Ok(()),
                    SessionEnd::Lost { reason, served, is_normal } => {
                        health.set_registered(false);
                        disconnected = Instant::now();
                        if is_normal && served.is_some() && config.id_is_given {
                            return Err(RunnerError::Replaced(config.id));
                        }
                        if served.is_some_and(|time| time >= STABLE) {
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
        if let Some(time) = config.auto_shutdown.filter(|&time| disconnected.elapsed() >= time) {
            info!("idle for {time:?}: ending");
            return Ok(());
        }
        if !wait(&reason, backoff.next(retry_after), shutdown.as_mut()).await {
            return Ok(());
        }
    }
}

/// Starts the health endpoint, if one is configured.
///
/// # Errors
/// The endpoint cannot listen.
async fn serve_health(
    config: Option<&HealthConfig>,
    health: &Arc<Health>,
) -> Result<JoinSet<()>, RunnerError> {
    let mut endpoint = JoinSet::new();
    if let Some(config) = config {
        let listener = health::bind(config).await.map_err(RunnerError::Health)?;
        endpoint.spawn(health::serve(listener, health.clone()));
    }
    Ok(endpoint)
}

/// Waits before the next attempt. Returns false if the shutdown came first.
async fn wait(reason: &str, time: Duration, shutdown: Pin<&mut impl Future<Output = ()>>) -> bool {
    warn!("{}; trying again in {} ms", brief(reason), time.as_millis());
    tokio::select! {
        () = shutdown => false,
        () = tokio::time::sleep(time) => true,
    }
}

/// Connects while the workers are set up and locked in. The runner registers after both, so that no
/// task meets a worker that is not locked in.
async fn connect_to_serve(
    config: &RunnerConfig,
    tls: &rustls::ClientConfig,
    auth: &mut Auth,
    pool: &Pool,
) -> Result<BrokerConnection, ConnectError> {
    let set_up = async {
        // Without a ready worker, tasks wait for one.
        let _late = tokio::time::timeout(SET_UP, pool.ready()).await;
        Ok(())
    };
    // A refused connection does not wait for the workers.
    let (connection, ()) = tokio::try_join!(connect(config, tls, auth), set_up)?;
    Ok(connection)
}

async fn connect(
    config: &RunnerConfig,
    tls: &rustls::ClientConfig,
    auth: &mut Auth,
) -> Result<BrokerConnection, ConnectError> {
    let grant = auth.grant().await?;
    let opened = BrokerConnection::open(config, tls, &grant).await;
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
