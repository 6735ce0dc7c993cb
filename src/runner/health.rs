//! The health endpoint: liveness on every path, readiness on `/readyz`.

use std::{
    future::pending,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::{net::TcpListener, sync::Mutex};
use tracing::info;

use super::{config::HealthConfig, descriptors};
use crate::{
    net::server::{self, ServerLimits},
    protocol::{NodeMode, TaskSettings},
    sandbox::{Job, Limits, NoHost},
    sync::lock,
    workers::Pool,
};

/// A task that ended within this time proves that tasks run. It saves the probe task, so that
/// frequent checks cost little.
const RECENT_TASK: Duration = Duration::from_secs(10);
/// Time limit of the probe task. It takes milliseconds, unless the workers are overloaded.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// State behind the health endpoint.
#[derive(Debug)]
pub(crate) struct Health {
    pool: Pool,
    /// Whether the broker may assign tasks.
    registered: AtomicBool,
    /// End of the last task that ran.
    last_task: std::sync::Mutex<Option<Instant>>,
    /// The last probe. Locked while one runs.
    probe: Mutex<Option<EndedProbe>>,
}

/// The end of a probe. Requests that came before it share its result.
#[derive(Debug)]
struct EndedProbe {
    ended: Instant,
    result: Result<(), String>,
}

impl Health {
    /// Starts unregistered.
    pub(crate) fn new(pool: Pool) -> Self {
        Self {
            pool,
            registered: AtomicBool::new(false),
            last_task: std::sync::Mutex::default(),
            probe: Mutex::default(),
        }
    }

    /// Records whether the broker may assign tasks.
    pub(crate) fn set_registered(&self, registered: bool) {
        self.registered.store(registered, Ordering::Relaxed);
    }

    /// Records that a task ran, whatever its outcome.
    pub(crate) fn record_task(&self) {
        *lock(&self.last_task) = Some(Instant::now());
    }

    /// Checks liveness.
    ///
    /// # Errors
    /// No worker process runs.
    fn alive(&self) -> Result<(), String> {
        if self.pool.process_ids().is_empty() {
            Err("no worker process runs".into())
        } else {
            Ok(())
        }
    }

    /// Checks readiness: the runner is registered, and a task ran lately or the probe task runs.
    ///
    /// # Errors
    /// The reason why no task can run.
    async fn ready(&self) -> Result<(), String> {
        if !self.registered.load(Ordering::Relaxed) {
            return Err("not registered with a broker".into());
        }
        let asked = Instant::now();
        let mut last_probe = self.probe.lock().await;
        let last_task = *lock(&self.last_task);
        if last_task.is_some_and(|at| at.elapsed() < RECENT_TASK) {
            return Ok(());
        }
        match &*last_probe {
            Some(probe) if probe.ended >= asked => probe.result.clone(),
            _ => {
                let result = self.probe().await;
                *last_probe = Some(EndedProbe { ended: Instant::now(), result: result.clone() });
                result
            }
        }
    }

    async fn probe(&self) -> Result<(), String> {
        let items = serde_json::value::to_raw_value::<[(); 0]>(&[]);
        let input = items
            .and_then(|items| TaskSettings::new("return []", NodeMode::AllItems, items).to_input());
        let input = input.map_err(|error| error.to_string())?;
        let limits = Limits { time: PROBE_TIMEOUT, ..Limits::default() };
        let job = self.pool.run(Job::new(input, limits), Arc::new(NoHost));
        let ended = tokio::time::timeout(PROBE_TIMEOUT, job).await;
        match ended.map(|outcome| outcome.result) {
            Ok(Ok(_)) => {
                self.record_task();
                Ok(())
            }
            Ok(Err(failure)) => Err(format!("the probe task failed: {failure:?}")),
            Err(_elapsed) => Err(format!("the probe task took longer than {PROBE_TIMEOUT:?}")),
        }
    }
}

/// Binds the endpoint.
///
/// # Errors
/// The address is unusable; the text names it.
pub(crate) async fn bind(config: &HealthConfig) -> Result<TcpListener, String> {
    let HealthConfig { host, port } = config;
    let name = |error: io::Error| {
        format!("health check server cannot listen on {host}, port {port}: {error}")
    };
    let listener = TcpListener::bind((host.trim_matches(['[', ']']), *port)).await.map_err(name)?;
    let port = listener.local_addr().map_err(name)?.port();
    info!("Health check server listening on {host}, port {port}");
    Ok(listener)
}

/// Serves until the future is dropped.
pub(crate) async fn serve(listener: TcpListener, health: Arc<Health>) {
    let alive = async |State(health): State<Arc<Health>>| answer(health.alive());
    let ready = async |State(health): State<Arc<Health>>| answer(health.ready().await);
    let router = Router::new()
        .route("/readyz", get(ready))
        .route("/readyz/", get(ready))
        .fallback(alive)
        .with_state(health);
    let limits = ServerLimits::connections(descriptors::health_connections());
    server::serve(listener, router, limits, pending()).await;
}

fn answer(healthy: Result<(), String>) -> Response {
    match healthy {
        Ok(()) => "OK".into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, why).into_response(),
    }
}
