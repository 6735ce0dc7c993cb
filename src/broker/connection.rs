//! One runner's connection: the handshake, frames in, frames out, the heartbeat.
//!
//! Reading, writing and the heartbeat are three futures of one task: a large message that goes out never keeps us from
//! reading, and the first of them to end ends the connection.

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
    Shared,
    matching::{Matching, POLICY, PROTOCOL_ERROR, TOO_BIG},
    runners::{Outbox, Outgoing},
    task::TaskResult,
};
use crate::protocol::{BrokerMessage, RpcStatus, RunnerMessage};

/// How long a good-bye may take.
pub(crate) const CLOSE_GRACE: Duration = Duration::from_secs(2);
/// Calls of one runner that wait for an answer, or whose answer waits to be written. With more, it is not read.
const MAX_CALLS: usize = 4096;
/// Messages written before the socket is flushed.
const BATCH: usize = 64;

/// The code and reason of a close frame; `None` where there is nobody to send it to.
type GoodBye = Option<(u16, &'static str)>;

/// A connection, from the reader's side.
struct Connection {
    shared: Arc<Shared>,
    key: u64,
    runner_id: String,
    outbox: Outbox,
    calls: Arc<Semaphore>,
    /// Whether a pong came since the last ping.
    alive: AtomicBool,
}

/// Serves one runner until its connection ends.
pub(crate) async fn serve(shared: Arc<Shared>, runner_id: String, socket: WebSocket) {
    let (outbox, inbox) = Outbox::new();
    let Some(key) = shared.update(|matching, _| matching.connect(outbox.clone())) else {
        return;
    };
    // Also where the runtime is torn down around us.
    let _disconnect = Disconnect { shared: &shared, key };
    let heartbeat = shared.config.heartbeat;
    let calls = Arc::new(Semaphore::new(MAX_CALLS));
    let connection = Connection {
        shared: shared.clone(),
        key,
        runner_id,
        outbox,
        calls,
        alive: AtomicBool::new(true),
    };
    let (mut sink, mut stream) = socket.split();
    let good_bye = tokio::select! {
        // What is read is often answered: so the answer leaves in the same turn.
        biased;
        good_bye = connection.read(&mut stream) => good_bye,
        good_bye = connection.write(&mut sink, inbox) => good_bye,
        () = connection.outbox.overflowed() => Some((POLICY, "Messages are not read")),
        () = connection.beat(heartbeat) => Some((PROTOCOL_ERROR, "No answer to a ping")),
    };
    // The runner is gone as far as tasks go, whatever the socket still does.
    shared.update(|matching, now| matching.cut(key, None, now));
    tracing::info!(runner_id = connection.runner_id, "runner disconnected");
    if let Some((code, reason)) = good_bye {
        let frame = CloseFrame { code, reason: reason.into() };
        let _ = timeout(CLOSE_GRACE, close(&mut sink, &mut stream, frame)).await;
    }
}

/// Sends a close frame and reads until the peer has closed as well; unread data would reset the connection, and the peer
/// might never see our frame.
async fn close(
    sink: &mut SplitSink<WebSocket, Message>,
    stream: &mut SplitStream<WebSocket>,
    frame: CloseFrame,
) {
    if sink.send(Message::Close(Some(frame))).await.is_ok() {
        while let Some(Ok(_)) = stream.next().await {}
    }
}

/// Takes the connection out of the state.
struct Disconnect<'a> {
    shared: &'a Shared,
    key: u64,
}

impl Drop for Disconnect<'_> {
    fn drop(&mut self) {
        self.shared.update(|matching, now| matching.disconnected(self.key, now));
    }
}

impl Connection {
    /// Writes what the state puts into the outbox, until it says good-bye. `None`: the socket is broken.
    async fn write(
        &self,
        sink: &mut SplitSink<WebSocket, Message>,
        mut inbox: mpsc::Receiver<Outgoing>,
    ) -> GoodBye {
        feed(sink, &BrokerMessage::InfoRequest).await?;
        sink.flush().await.ok()?;
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            inbox.recv_many(&mut batch, BATCH).await;
            for outgoing in batch.drain(..) {
                match outgoing {
                    Outgoing::Message(message, _permit) => feed(sink, &message).await?,
                    Outgoing::Ping => sink.feed(Message::Ping(Default::default())).await.ok()?,
                    Outgoing::Close(code, reason) => return Some((code, reason)),
                }
            }
            sink.flush().await.ok()?;
        }
    }

    /// Pings. Ends when the runner has not answered the last one.
    async fn beat(&self, every: Duration) {
        loop {
            tokio::time::sleep(every).await;
            if !self.alive.swap(false, Ordering::Relaxed) || !self.outbox.push(Outgoing::Ping) {
                return;
            }
        }
    }

    /// Reads until the connection ends. What cannot be understood is logged and dropped.
    async fn read(&self, stream: &mut SplitStream<WebSocket>) -> GoodBye {
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
                    return is_too_big(error).then_some((TOO_BIG, "Message is too big"));
                }
            }
        }
        None
    }

    async fn frame(&self, text: &str) {
        match RunnerMessage::parse(text) {
            Ok(message) => self.receive(message).await,
            Err(error) => tracing::warn!(%error, runner_id = self.runner_id, "message dropped"),
        }
    }

    async fn receive(&self, message: RunnerMessage) {
        let key = self.key;
        if let RunnerMessage::Info { name, types } = message {
            return self.register(&name, &types);
        }
        let registered = self.shared.lock().is_registered(key);
        match message {
            _ if !registered => {
                tracing::debug!(runner_id = self.runner_id, "message before runner:info ignored")
            }
            RunnerMessage::Info { .. } => {}
            RunnerMessage::TaskOffer { offer_id, task_type, valid_for } => {
                if task_type != "python" {
                    return tracing::warn!(task_type, "offer of an unknown type ignored");
                }
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
        if self.shared.lock().is_registered(self.key) {
            return;
        }
        if !types.iter().any(|kind| kind == "python") {
            tracing::warn!(runner_id = self.runner_id, ?types, "runner takes no Python tasks");
        }
        tracing::info!(runner_id = self.runner_id, name, "runner registered");
        self.update(|matching, now| matching.register(self.key, self.runner_id.clone(), now));
    }

    /// Something that a task asks. Waits while too many answers are due.
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
        self.shared.lock().runs(self.key, task_id)
    }

    /// Sends an answer when it is there; until then the connection goes on.
    fn answer(
        &self,
        permit: OwnedSemaphorePermit,
        answer: impl Future<Output = BrokerMessage> + Send + 'static,
    ) {
        let outbox = self.outbox.clone();
        tokio::spawn(async move {
            tokio::select! {
                message = answer => { outbox.push(Outgoing::Message(message, Some(permit))); }
                () = outbox.closed() => {}
            }
        });
    }

    fn send(&self, message: BrokerMessage, permit: OwnedSemaphorePermit) {
        self.outbox.push(Outgoing::Message(message, Some(permit)));
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

/// Whether a message was longer than [`BrokerConfig::max_payload`](super::BrokerConfig::max_payload).
fn is_too_big(error: axum::Error) -> bool {
    let error = error.into_inner();
    matches!(error.downcast_ref(), Some(tungstenite::Error::Capacity(_)))
}
