//! What goes out to the broker: a queue that nobody waits for, and the task that empties it.
//!
//! Because nobody waits for a write, frames are read, and pings answered, also while a large result is on its way out.
//! Such a result goes out in fragments, so that a pong (which WebSocket allows between fragments) never waits for more
//! than one of them.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{SinkExt, stream::SplitSink};
use tokio::{
    sync::mpsc::{self, UnboundedReceiver, UnboundedSender},
    task::JoinHandle,
};
use tokio_tungstenite::tungstenite::{
    self, Message,
    protocol::{
        CloseFrame,
        frame::{
            Frame,
            coding::{Data, OpCode},
        },
    },
};

use super::connection::Socket;
use crate::{net::Backlog, protocol::RunnerMessage};

/// The size of the pieces that a larger frame is sent in.
const FRAGMENT: usize = 256 << 10;

/// Where messages to the broker go: a queue that never blocks.
#[derive(Debug, Clone)]
pub(super) struct Outbox {
    queue: UnboundedSender<Outgoing>,
    backlog: Arc<Backlog>,
    max_payload: usize,
}

/// What the writer is handed.
#[derive(Debug)]
pub(super) enum Outgoing {
    /// A message's text, in parts.
    Frame(Vec<String>),
    /// A ping.
    Ping,
    /// The close frame, after which there is nothing.
    Close(CloseFrame),
}

/// A message is larger than the broker accepts; the limit in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("larger than a message to the broker may be ({0} bytes)")]
pub(super) struct TooLarge(pub usize);

impl Outbox {
    /// An empty one, and its other end.
    pub(super) fn new(max_payload: usize) -> (Self, UnboundedReceiver<Outgoing>) {
        let (queue, unsent) = mpsc::unbounded_channel();
        (Self { queue, backlog: Arc::default(), max_payload }, unsent)
    }

    /// Queues a message; returns the size of its frame. Once the connection is over, messages vanish.
    ///
    /// # Errors
    /// The frame would be larger than the payload limit, which costs the connection and all its tasks.
    pub(super) fn send(&self, message: RunnerMessage) -> Result<usize, TooLarge> {
        let frame = message.into_parts().map_err(|_| TooLarge(self.max_payload))?;
        let size = size(&frame);
        if size > self.max_payload {
            return Err(TooLarge(self.max_payload));
        }
        self.backlog.add(size);
        let _ = self.queue.send(Outgoing::Frame(frame));
        Ok(size)
    }

    /// Queues what is no message; nothing, once the connection is over: the reading side reports that.
    pub(super) fn control(&self, outgoing: Outgoing) {
        let _ = self.queue.send(outgoing);
    }

    /// Starts the task that writes what is queued.
    pub(super) fn spawn_writer(
        &self,
        sink: SplitSink<Socket, Message>,
        unsent: UnboundedReceiver<Outgoing>,
    ) -> JoinHandle<()> {
        tokio::spawn(write(sink, unsent, self.backlog.clone()))
    }

    /// Whether the queue is as full as it should get: the broker reads slower than tasks write. Prints are dropped then.
    pub(super) fn is_full(&self) -> bool {
        self.backlog.is_full()
    }

    /// Waits until the queue is not full, as tasks that call do.
    pub(super) async fn wait_for_capacity(&self) {
        self.backlog.wait_for_capacity().await;
    }
}

/// The task that writes: everything queued, in order, flushed when the queue is empty.
async fn write(
    mut sink: SplitSink<Socket, Message>,
    mut unsent: UnboundedReceiver<Outgoing>,
    backlog: Arc<Backlog>,
) {
    while let Some(first) = unsent.recv().await {
        let mut next = Some(first);
        while let Some(outgoing) = next {
            let sent = match outgoing {
                Outgoing::Frame(frame) => {
                    let size = size(&frame);
                    let sent = feed(&mut sink, frame).await;
                    backlog.sub(size);
                    sent
                }
                Outgoing::Ping => sink.feed(Message::Ping(Bytes::new())).await,
                Outgoing::Close(frame) => {
                    // What breaks it now is over in any case.
                    let _ = sink.send(Message::Close(Some(frame))).await;
                    return;
                }
            };
            // What broke the connection, the reading side reports.
            if sent.is_err() {
                return;
            }
            next = unsent.try_recv().ok();
        }
        if sink.flush().await.is_err() {
            return;
        }
    }
}

/// Bytes of a frame.
fn size(parts: &[String]) -> usize {
    parts.iter().map(String::len).sum()
}

async fn feed(
    sink: &mut SplitSink<Socket, Message>,
    parts: Vec<String>,
) -> Result<(), tungstenite::Error> {
    let mut left = size(&parts);
    if left <= FRAGMENT {
        return sink.feed(Message::text(parts.concat())).await;
    }
    let mut kind = Data::Text;
    for part in parts {
        let mut rest = Bytes::from(part);
        while !rest.is_empty() {
            let piece = rest.split_to(rest.len().min(FRAGMENT));
            left -= piece.len();
            sink.feed(Message::Frame(Frame::message(piece, OpCode::Data(kind), left == 0))).await?;
            kind = Data::Continue;
        }
    }
    Ok(())
}
