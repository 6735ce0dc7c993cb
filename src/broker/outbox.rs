//! The bounded queue to one connection's writer.

use std::sync::Arc;

use tokio::sync::{Notify, OwnedSemaphorePermit, mpsc};

use crate::protocol::BrokerMessage;

/// Open offers of one runner; the broker ignores more.
pub(crate) const MAX_OFFERS: usize = 2048;
/// Messages that may wait for one runner's writer. Each offer can need an accept, settings and a
/// cancel; the rest is for answers to calls. A full queue disconnects the runner, so a runner that
/// does not read cannot fill the broker's memory.
const OUTBOX_CAPACITY: usize = 4 * MAX_OFFERS;

/// Why the broker closes a WebSocket: code (RFC 6455, section 7.4.1) and text, equal to those of
/// n8n's broker.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CloseReason {
    pub(crate) code: u16,
    pub(crate) text: &'static str,
}

impl CloseReason {
    pub(crate) const REPLACED: Self = Self { code: 1000, text: "Runner connected again" };
    pub(crate) const BROKER_CLOSING: Self = Self { code: 1001, text: "Broker is closing" };
    pub(crate) const NO_PONG: Self = Self { code: 1002, text: "No answer to a ping" };
    pub(crate) const LATE_ACCEPTS: Self =
        Self { code: 1002, text: "Too many late answers to accepts" };
    pub(crate) const NOT_REGISTERED: Self = Self { code: 1008, text: "No runner:info" };
    pub(crate) const OVERFLOW: Self = Self { code: 1008, text: "Messages are not read" };
    pub(crate) const TOO_BIG: Self = Self { code: 1009, text: "Message is too big" };
}

/// One entry of the queue.
pub(crate) enum OutgoingFrame {
    /// A message. Writing it releases the permit of the call that it answers.
    Message(BrokerMessage, Option<OwnedSemaphorePermit>),
    /// A heartbeat.
    Ping,
    /// The close frame; the writer ignores everything after it.
    Close(CloseReason),
}

/// The sender's side of the queue.
#[derive(Clone)]
pub(crate) struct Outbox {
    sender: mpsc::Sender<OutgoingFrame>,
    overflow: Arc<Notify>,
}

impl Outbox {
    /// Creates an empty queue and its reader.
    pub(crate) fn new() -> (Self, mpsc::Receiver<OutgoingFrame>) {
        let (sender, queue) = mpsc::channel(OUTBOX_CAPACITY);
        (Self { sender, overflow: Arc::new(Notify::new()) }, queue)
    }

    /// Queues a frame without waiting. Returns false if the queue is full, which ends the
    /// connection, or closed.
    pub(crate) fn push(&self, frame: OutgoingFrame) -> bool {
        let pushed = self.sender.try_send(frame);
        if let Err(mpsc::error::TrySendError::Full(_)) = pushed {
            self.overflow.notify_one();
        }
        pushed.is_ok()
    }

    /// Waits until a frame found the queue full.
    pub(crate) async fn overflowed(&self) {
        self.overflow.notified().await;
    }

    /// Waits until the writer has ended.
    pub(crate) async fn closed(&self) {
        self.sender.closed().await;
    }
}
