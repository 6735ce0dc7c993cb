//! The health endpoint: whether the runner lives, and whether a task can run now.

use std::{
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

use super::config::HealthConfig;
use crate::{
    protocol::{NodeMode, TaskSettings},
    sandbox::{End, Job, Limits, NoHost},
    sync::lock,
    workers::Pool,
};

/// How long a task that ran speaks for the next one.
const FRESH: Duration = Duration::from_secs(10);
/// How long the task that is run to see whether tasks run may take.
const TEST_TIMEOUT: Duration = Duration::from_secs(5);

/// What is known of the runner's health.
#[derive(Debug)]
pub(super) struct Health {
    pool: Pool,
    /// Whether the broker may give us tasks.
    registered: AtomicBool,
    /// When a task last ran.
    ran: std::sync::Mutex<Option<Instant>>,
    /// Held by the one test that runs.
    test: Mutex<()>,
}

impl Health {
    /// Of a runner that has not registered yet.
    pub(super) fn new(pool: Pool) -> Self {
        Self {
            pool,
            registered: AtomicBool::new(false),
            ran: std::sync::Mutex::default(),
            test: Mutex::default(),
        }
    }

    /// Notes whether the broker may give us tasks.
    pub(super) fn set_registered(&self, registered: bool) {
        self.registered.store(registered, Ordering::Relaxed);
    }

    /// Notes that a task ran, whatever it came to.
    pub(super) fn task_ran(&self) {
        *lock(&self.ran) = Some(Instant::now());
    }

    /// Whether the runner lives.
    ///
    /// # Errors
    /// Why it does not: no worker process is there.
    fn alive(&self) -> Result<(), String> {
        if self.pool.process_ids().is_empty() {
            Err("no worker process runs".into())
        } else {
            Ok(())
        }
    }

    /// Whether a task can run now.
    ///
    /// # Errors
    /// Why it cannot.
    async fn ready(&self) -> Result<(), String> {
        if !self.registered.load(Ordering::Relaxed) {
            return Err("not registered with a broker".into());
        }
        let _one = self.test.lock().await;
        let ran = *lock(&self.ran);
        if ran.is_some_and(|at| at.elapsed() < FRESH) { Ok(()) } else { self.test().await }
    }

    async fn test(&self) -> Result<(), String> {
        let items = serde_json::value::to_raw_value::<[(); 0]>(&[]);
        let input = items
            .and_then(|items| TaskSettings::new("return []", NodeMode::AllItems, items).to_input());
        let input = input.map_err(|error| error.to_string())?;
        let limits = Limits { time: TEST_TIMEOUT, ..Limits::default() };
        let job = self.pool.run(Job { input, limits, deterministic: None }, Arc::new(NoHost));
        let ended = tokio::time::timeout(TEST_TIMEOUT, job).await;
        match ended.map(|outcome| outcome.end) {
            Ok(End::Returned(_)) => {
                self.task_ran();
                Ok(())
            }
            Ok(end) => Err(format!("a task of the runner's own failed: {end:?}")),
            Err(_elapsed) => {
                Err(format!("a task of the runner's own took longer than {TEST_TIMEOUT:?}"))
            }
        }
    }
}

/// Binds the endpoint.
///
/// # Errors
/// The address cannot be used; the text names it.
pub(super) async fn bind(config: &HealthConfig) -> Result<TcpListener, String> {
    let HealthConfig { host, port } = config;
    let name = |error: io::Error| {
        format!("health check server cannot listen on {host}, port {port}: {error}")
    };
    let listener = TcpListener::bind((host.trim_matches(['[', ']']), *port)).await.map_err(name)?;
    let port = listener.local_addr().map_err(name)?.port();
    info!("Health check server listening on {host}, port {port}");
    Ok(listener)
}

/// Answers until it is dropped.
///
/// # Errors
/// None in practice: the server outlives failed connections.
pub(super) async fn serve(listener: TcpListener, health: Arc<Health>) -> io::Result<()> {
    let alive = async |State(health): State<Arc<Health>>| answer(health.alive());
    let ready = async |State(health): State<Arc<Health>>| answer(health.ready().await);
    let router = Router::new()
        .route("/readyz", get(ready))
        .route("/readyz/", get(ready))
        .fallback(alive)
        .with_state(health);
    axum::serve(listener, router).await
}

fn answer(healthy: Result<(), String>) -> Response {
    match healthy {
        Ok(()) => "OK".into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, why).into_response(),
    }
}
