//! An HTTP/1.1 server for short requests from strangers: health checks, grant tokens, upgrades.
//!
//! It bounds connections, time and bytes. A connection serves one request, so neither idle
//! connections nor pipelined requests exist. A WebSocket leaves the server with its upgrade.

use std::{
    collections::VecDeque,
    convert::Infallible,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::Request,
    http::{HeaderValue, StatusCode, header::CONNECTION},
    response::{IntoResponse, Response},
};
use hyper::{
    body::Incoming,
    server::conn::http1,
    service::{Service, service_fn},
};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::{
    net::{TcpListener, TcpStream},
    task::{AbortHandle, JoinSet, yield_now},
    time::sleep,
};

/// Bytes of a request's head, and of its body. Requests of probes and runners have a few hundred.
const MAX_BYTES: usize = 16 << 10;
/// Pause after a failed accept, which usually means that no descriptor is free. Without it the
/// loop would spin, because the connection stays in the queue of the kernel.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Interval between two log lines about failed accepts.
const WARN_INTERVAL: Duration = Duration::from_secs(60);

/// What connections may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ServerLimits {
    /// Open connections, at least 2. A further one ends the oldest that has not sent its whole
    /// request, else the oldest.
    pub(crate) connections: usize,
    /// Time to send a whole request.
    pub(crate) request_time: Duration,
    /// Time after that to compute and read the answer.
    pub(crate) answer_time: Duration,
}

impl ServerLimits {
    /// Limits for that many connections, at least 2.
    pub(crate) fn connections(connections: usize) -> Self {
        Self {
            connections: connections.max(2),
            request_time: Duration::from_secs(5),
            answer_time: Duration::from_secs(10),
        }
    }
}

/// Serves requests until `stopped` is ready, then ends after the answers in progress. Dropping the
/// future closes every connection.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    limits: ServerLimits,
    stopped: impl Future<Output = ()>,
) {
    let mut connections = Connections::new(limits);
    tokio::select! {
        () = stopped => {}
        never = accept(&listener, &router, &mut connections) => match never {},
    }
    drop(listener);
    connections.finish().await;
}

async fn accept(
    listener: &TcpListener,
    router: &Router,
    connections: &mut Connections,
) -> Infallible {
    let mut warned: Option<Instant> = None;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                connections.add(stream, router).await;
                // Lets it read a request that is there before a burst of others ends it.
                yield_now().await;
            }
            // The peer left before it was served.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                if warned.is_none_or(|at| at.elapsed() > WARN_INTERVAL) {
                    tracing::warn!("cannot accept a connection: {error}");
                    warned = Some(Instant::now());
                }
                connections.end_one().await;
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// The open connections.
struct Connections {
    limits: ServerLimits,
    tasks: JoinSet<()>,
    /// Oldest first.
    open: VecDeque<OpenConnection>,
}

struct OpenConnection {
    task: AbortHandle,
    /// Whether the whole request arrived.
    received: Arc<AtomicBool>,
}

impl Connections {
    fn new(limits: ServerLimits) -> Self {
        Self { limits, tasks: JoinSet::new(), open: VecDeque::new() }
    }

    /// Serves a connection. At the limit it ends another one first.
    async fn add(&mut self, stream: TcpStream, router: &Router) {
        self.forget_ended();
        while self.open.len() >= self.limits.connections {
            self.end_one().await;
        }
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot set TCP_NODELAY");
        }
        let received = Arc::<AtomicBool>::default();
        let task =
            self.tasks.spawn(converse(stream, router.clone(), received.clone(), self.limits));
        self.open.push_back(OpenConnection { task, received });
    }

    /// Ends the oldest connection that has not sent its whole request, else the oldest. Returns
    /// when its descriptor is closed.
    async fn end_one(&mut self) {
        let waiting = self.open.iter().position(|open| !open.received.load(Ordering::Relaxed));
        let Some(open) = self.open.remove(waiting.unwrap_or(0)) else { return };
        open.task.abort();
        while !open.task.is_finished() && self.tasks.join_next().await.is_some() {}
        self.forget_ended();
    }

    fn forget_ended(&mut self) {
        while self.tasks.try_join_next().is_some() {}
        self.open.retain(|open| !open.task.is_finished());
    }

    /// Waits for the answers in progress. Ends the other connections.
    async fn finish(&mut self) {
        for open in self.open.iter().filter(|open| !open.received.load(Ordering::Relaxed)) {
            open.task.abort();
        }
        while self.tasks.join_next().await.is_some() {}
    }
}

/// Serves the one request of a connection.
async fn converse(
    stream: TcpStream,
    router: Router,
    received: Arc<AtomicBool>,
    limits: ServerLimits,
) {
    let arrived = received.clone();
    let app = TowerToHyperService::new(router);
    let service = service_fn(move |request| answer(request, app.clone(), received.clone()));
    let mut builder = http1::Builder::new();
    builder.max_buf_size(MAX_BYTES);
    let connection = builder.serve_connection(TokioIo::new(stream), service).with_upgrades();
    let too_late = async {
        sleep(limits.request_time).await;
        if arrived.load(Ordering::Relaxed) {
            sleep(limits.answer_time).await;
        }
    };
    tokio::select! {
        // An error is the peer's: it sent no HTTP, or left.
        _ = connection => {}
        () = too_late => {}
    }
}

/// Reads the whole request before it calls the router, so that no handler waits for a peer.
async fn answer(
    request: hyper::Request<Incoming>,
    app: TowerToHyperService<Router>,
    received: Arc<AtomicBool>,
) -> Result<Response, Infallible> {
    let (head, body) = request.into_parts();
    let body = to_bytes(Body::new(body), MAX_BYTES).await;
    received.store(true, Ordering::Relaxed);
    let mut response = match body {
        Ok(body) => app.call(Request::from_parts(head, Body::from(body))).await?,
        Err(_) => StatusCode::PAYLOAD_TOO_LARGE.into_response(),
    };
    // Not `http1::Builder::keep_alive`, which would spoil the header of an upgrade.
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response)
}

#[cfg(test)]
mod tests;
