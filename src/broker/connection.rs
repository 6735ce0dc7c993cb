//! One runner's WebSocket: the handshake, frames in both directions, the heartbeat.
//!
//! Reader, writer and heartbeat are futures of one tokio task, so a large outgoing message never
//! blocks the reader. The first of them to end ends the connection.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use futures_util::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::timeout,
};
use tokio_tungstenite::tungstenite;

use super::{
    matching::Matching,
    outbox::{CloseReason, Outbox, OutgoingFrame},
    shared::SharedState,
    task::TaskResult,
};
use crate::{
    protocol::{BrokerMessage, RpcStatus, RunnerMessage},
    text::brief,
};

/// Time for the closing handshake, then the socket is dropped.
pub(crate) const CLOSE_GRACE: Duration = Duration::from_secs(2);
/// Time of a new connection to register. A connection without a registration holds a descriptor, and
/// no task.
const REGISTRATION_TIME: Duration = Duration::from_secs(10);
/// Calls of one runner whose answers are pending or unwritten. At the limit the broker stops
/// reading (backpressure).
const MAX_CALLS: usize = 4096;
/// Messages that are written between two flushes of the socket.
const FLUSH_BATCH: usize = 64;

/// A connection, from the reader's side.
struct RunnerConnection {
    shared: Arc<SharedState>,
    /// The connection's key in [`Matching`].
    key: u64,
    runner_id: String,
    outbox: Outbox,
    /// [`MAX_CALLS`] permits; a call holds one until its answer is written.
    calls: Arc<Semaphore>,
    /// Whether a pong arrived since the last ping.
    alive: AtomicBool,
}

/// Serves one runner until its connection ends.
pub(crate) async fn serve(shared: Arc<SharedState>, runner_id: String, socket: WebSocket) {
    let (outbox, queue) = Outbox::new();
    let Some(key) = shared.update(|matching, _| matching.add_connection(outbox.clone())) else {
        return;
    };
    // A guard, because a runtime that shuts down drops this future.
    let _socket = OpenSocket { shared: &shared, key };
    let heartbeat = shared.config.heartbeat;
    let calls = Arc::new(Semaphore::new(MAX_CALLS));
    let connection = RunnerConnection {
        shared: shared.clone(),
        key,
        runner_id,
        outbox,
        calls,
        alive: AtomicBool::new(true),
    };
    let (mut sink, mut stream) = socket.split();
    let reason = tokio::select! {
        // Reader first: its answers leave in the same turn of the writer.
        biased;
        reason = connection.read(&mut stream) => reason,
        reason = connection.write(&mut sink, queue) => reason,
        () = connection.outbox.overflowed() => Some(CloseReason::OVERFLOW),
        () = connection.beat(heartbeat) => Some(CloseReason::NO_PONG),
        () = connection.unregistered() => Some(CloseReason::NOT_REGISTERED),
    };
    // Before the closing handshake: tasks of this runner must not wait for it.
    shared.update(|matching, now| matching.end_connection(key, None, now));
    tracing::info!(runner_id = connection.runner_id, "runner disconnected");
    if let Some(CloseReason { code, text }) = reason {
        let frame = CloseFrame { code, reason: text.into() };
        let _ = timeout(CLOSE_GRACE, close(&mut sink, &mut stream, frame)).await;
    }
}

/// Sends a close frame, then reads until the peer closes. Unread data would turn the close into a
/// TCP reset, and the peer could lose the frame.
async fn close(
    sink: &mut SplitSink<WebSocket, Message>,
    stream: &mut SplitStream<WebSocket>,
    frame: CloseFrame,
) {
    if sink.send(Message::Close(Some(frame))).await.is_ok() {
        while let Some(Ok(_)) = stream.next().await {}
    }
}

/// Dropping it removes the connection from the state.
struct OpenSocket<'a> {
    shared: &'a SharedState,
    key: u64,
}

impl Drop for OpenSocket<'_> {
    fn drop(&mut self) {
        self.shared.update(|matching, now| matching.socket_closed(self.key, now));
    }
}

impl RunnerConnection {
    /// Writes the outbox until its close frame. `None`: the socket is broken.
    async fn write(
        &self,
        sink: &mut SplitSink<WebSocket, Message>,
        mut queue: mpsc::Receiver<OutgoingFrame>,
    ) -> Option<CloseReason> {
        feed(sink, &BrokerMessage::InfoRequest).await?;
        sink.flush().await.ok()?;
        let mut batch = Vec::with_capacity(FLUSH_BATCH);
        loop {
            queue.recv_many(&mut batch, FLUSH_BATCH).await;
            for frame in batch.drain(..) {
                match frame {
                    OutgoingFrame::Message(message, _permit) => feed(sink, &message).await?,
                    OutgoingFrame::Ping => {
                        sink.feed(Message::Ping(Default::default())).await.ok()?
                    }
                    OutgoingFrame::Close(reason) => return Some(reason),
                }
            }
            sink.flush().await.ok()?;
        }
    }

    /// Sends pings. Ends if the last ping has no pong, or if the outbox is full.
    async fn beat(&self, every: Duration) {
        loop {
            tokio::time::sleep(every).await;
            if !self.alive.swap(false, Ordering::Relaxed) || !self.outbox.push(OutgoingFrame::Ping)
            {
                return;
            }
        }
    }

    /// Ends if the runner has not registered within [`REGISTRATION_TIME`].
    async fn unregistered(&self) {
        tokio::time::sleep(REGISTRATION_TIME).await;
        if self.shared.matching().is_registered(self.key) {
            std::future::pending().await
        }
    }

    /// Reads until the connection ends. Logs and drops frames that are no valid message.
    async fn read(&self, stream: &mut SplitStream<WebSocket>) -> Option<CloseReason> {
        while let Some(frame) = stream.next().await {
            match frame {
                Ok(Message::Text(text)) => self.frame(&text).await,
                Ok(Message::Binary(bytes)) => match std::str::from_utf8(&bytes) {
                    Ok(text) => self.frame(text).await,
                    Err(error) => {
                        tracing::warn!(%error, runner_id = self.runner_id, "binary frame dropped")
                    }
                },
                Ok(Message::Pong(_)) => self.alive.store(true, Ordering::Relaxed),
                Ok(Message::Ping(_) | Message::Close(_)) => {}
                Err(error) => {
                    tracing::warn!(%error, runner_id = self.runner_id, "connection broken");
                    return is_too_big(error).then_some(CloseReason::TOO_BIG);
                }
            }
        }
        None
    }

    async fn frame(&self, text: &str) {
        match RunnerMessage::parse(text) {
            Ok(message) => self.receive(message).await,
            Err(error) => {
                let error = error.to_string();
                let error = brief(&error);
                tracing::warn!(%error, runner_id = self.runner_id, "message dropped")
            }
        }
    }

    async fn receive(&self, message: RunnerMessage) {
        let key = self.key;
        if let RunnerMessage::Info { name, types } = message {
            return self.register(&name, &types);
        }
        let registered = self.shared.matching().is_registered(key);
        match message {
            _ if !registered => {
                tracing::debug!(runner_id = self.runner_id, "message before runner:info ignored")
            }
            RunnerMessage::Info { .. } => {}
            RunnerMessage::TaskOffer { offer_id, task_type, valid_for } => {
                if task_type != "python" {
                    return tracing::warn!(task_type, "offer of an unknown type ignored");
                }
                // A negative number means that the offer never expires.
                let valid_for = u64::try_from(valid_for).ok().map(Duration::from_millis);
                self.update(|matching, now| matching.offer(key, offer_id, valid_for, now));
            }
            RunnerMessage::TaskAccepted { task_id } => {
                self.update(|matching, now| matching.accepted(key, &task_id, now));
            }
            RunnerMessage::TaskRejected { task_id, reason } => {
                tracing::debug!(task_id, reason, "task rejected");
                self.update(|matching, now| matching.rejected(key, &task_id, now));
            }
            RunnerMessage::TaskDone { task_id, data } => {
                self.update(|matching, now| {
                    matching.finished(key, &task_id, TaskResult::Done(data), now)
                });
            }
            RunnerMessage::TaskError { task_id, error } => {
                self.update(|matching, now| {
                    matching.finished(key, &task_id, TaskResult::Failed(error), now)
                });
            }
            call => self.call(call).await,
        }
    }

    fn update<T>(&self, change: impl FnOnce(&mut Matching, Instant) -> T) -> T {
        self.shared.update(change)
    }

    fn register(&self, name: &str, types: &[String]) {
        if self.shared.matching().is_registered(self.key) {
            return;
        }
        if !types.iter().any(|kind| kind == "python") {
            tracing::warn!(runner_id = self.runner_id, ?types, "runner takes no Python tasks");
        }
        tracing::info!(runner_id = self.runner_id, name, "runner registered");
        self.update(|matching, now| matching.register(self.key, self.runner_id.clone(), now));
    }

    /// Answers a call of a task. Waits for one of [`MAX_CALLS`] permits.
    async fn call(&self, message: RunnerMessage) {
        let Ok(permit) = self.calls.clone().acquire_owned().await else {
            return;
        };
        let hooks = &self.shared.config.hooks;
        match message {
            RunnerMessage::Rpc { call_id, task_id, name, params } => {
                let id = task_id.clone();
                let respond =
                    |status, data| BrokerMessage::RpcResponse { call_id, task_id, status, data };
                if name == "logNodeOutput" {
                    if self.update(|matching, _| matching.print(self.key, &id, params)) {
                        self.send(respond(RpcStatus::Success, None), permit);
                    }
                } else if self.runs(&id) {
                    let answer = hooks.rpc(&id, &name, params);
                    self.answer(permit, async move {
                        match answer.await {
                            Ok(data) => respond(RpcStatus::Success, data),
                            Err(error) => respond(
                                RpcStatus::Error,
                                serde_json::value::to_raw_value(&error).ok(),
                            ),
                        }
                    });
                }
            }
            RunnerMessage::TaskDataRequest { task_id, request_id, request_params }
                if self.runs(&task_id) =>
            {
                let answer = hooks.task_data(&task_id, request_params);
                self.answer(permit, async move {
                    BrokerMessage::TaskDataResponse { task_id, request_id, data: answer.await }
                });
            }
            RunnerMessage::NodeTypesRequest { task_id, request_id, request_params }
                if self.runs(&task_id) =>
            {
                let answer = hooks.node_types(&task_id, request_params);
                self.answer(permit, async move {
                    BrokerMessage::NodeTypes { task_id, request_id, node_types: answer.await }
                });
            }
            _ => {}
        }
    }

    fn runs(&self, task_id: &str) -> bool {
        self.shared.matching().runs(self.key, task_id)
    }

    /// Sends an answer when its future completes. Spawned, so the reader continues.
    fn answer(
        &self,
        permit: OwnedSemaphorePermit,
        answer: impl Future<Output = BrokerMessage> + Send + 'static,
    ) {
        let outbox = self.outbox.clone();
        tokio::spawn(async move {
            tokio::select! {
                message = answer => { outbox.push(OutgoingFrame::Message(message, Some(permit))); }
                () = outbox.closed() => {}
            }
        });
    }

    fn send(&self, message: BrokerMessage, permit: OwnedSemaphorePermit) {
        self.outbox.push(OutgoingFrame::Message(message, Some(permit)));
    }
}

/// Puts a message into the socket's buffer. `None`: the socket is broken.
async fn feed(sink: &mut SplitSink<WebSocket, Message>, message: &BrokerMessage) -> Option<()> {
    match serde_json::to_string(message) {
        Ok(text) => sink.feed(Message::Text(text.into())).await.ok(),
        Err(error) => {
            tracing::error!(%error, "a message cannot be written as JSON");
            Some(())
        }
    }
}

/// Returns whether a message exceeded
/// [`BrokerConfig::max_payload`](super::BrokerConfig::max_payload).
fn is_too_big(error: axum::Error) -> bool {
    let error = error.into_inner();
    matches!(error.downcast_ref(), Some(tungstenite::Error::Capacity(_)))
}
