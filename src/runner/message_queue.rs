//! The queue of messages to the broker, and the task that writes them.
//!
//! Queueing never blocks, so the session keeps reading frames while a large result is sent. A large
//! result is sent in fragments (RFC 6455, section 5.4). Control frames may go between fragments, so
//! a pong waits for at most one of them.

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

use super::socket::Socket;
use crate::{net::Backlog, protocol::RunnerMessage};

/// Bytes of a fragment. Larger messages are split, so that a pong waits for 256 KiB at most.
const FRAGMENT: usize = 256 << 10;

/// An unbounded queue of messages to the broker. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct MessageQueue {
    queue: UnboundedSender<QueuedFrame>,
    backlog: Arc<Backlog>,
    max_payload: usize,
}

/// A frame that waits for the writer.
#[derive(Debug)]
pub(crate) enum QueuedFrame {
    /// The text of a message, in consecutive parts.
    Text(Vec<String>),
    /// A ping.
    Ping,
    /// A close frame. The writer ends after it.
    Close(CloseFrame),
}

/// Returns the text of a message.
#[cfg(fuzzing)]
pub(crate) fn text_of(frame: QueuedFrame) -> Option<String> {
    match frame {
        QueuedFrame::Text(parts) => Some(parts.concat()),
        QueuedFrame::Ping | QueuedFrame::Close(_) => None,
    }
}

/// A message exceeds the payload limit, in bytes. The broker would close the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("larger than a message to the broker may be ({0} bytes)")]
pub(crate) struct TooLarge(pub(crate) usize);

impl MessageQueue {
    /// Creates an empty queue, and its receiver for [`spawn_writer`](Self::spawn_writer).
    pub(crate) fn new(max_payload: usize) -> (Self, UnboundedReceiver<QueuedFrame>) {
        let (queue, unsent) = mpsc::unbounded_channel();
        (Self { queue, backlog: Arc::default(), max_payload }, unsent)
    }

    /// Queues a message and returns the size of its frame in bytes. Discards the message if the
    /// connection is over.
    ///
    /// # Errors
    /// The frame exceeds the payload limit.
    pub(crate) fn send(&self, message: RunnerMessage) -> Result<usize, TooLarge> {
        let frame = message.into_parts().map_err(|_| TooLarge(self.max_payload))?;
        let size = size(&frame);
        if size > self.max_payload {
            return Err(TooLarge(self.max_payload));
        }
        self.backlog.add(size);
        let _ = self.queue.send(QueuedFrame::Text(frame));
        Ok(size)
    }

    /// Queues a control frame. Discards it if the connection is over: the reading side reports
    /// that.
    pub(crate) fn send_control(&self, outgoing: QueuedFrame) {
        let _ = self.queue.send(outgoing);
    }

    /// Starts the task that writes the queued frames.
    pub(crate) fn spawn_writer(
        &self,
        sink: SplitSink<Socket, Message>,
        unsent: UnboundedReceiver<QueuedFrame>,
    ) -> JoinHandle<()> {
        tokio::spawn(write(sink, unsent, self.backlog.clone()))
    }

    /// Returns whether the backlog is full: the broker reads slower than tasks write.
    pub(crate) fn is_full(&self) -> bool {
        self.backlog.is_full()
    }

    /// Returns as soon as the backlog is not full. Cancel-safe.
    pub(crate) async fn wait_for_capacity(&self) {
        self.backlog.wait_for_capacity().await;
    }
}

/// Writes queued frames in order and flushes when the queue is empty.
async fn write(
    mut sink: SplitSink<Socket, Message>,
    mut unsent: UnboundedReceiver<QueuedFrame>,
    backlog: Arc<Backlog>,
) {
    while let Some(first) = unsent.recv().await {
        let mut next = Some(first);
        while let Some(outgoing) = next {
            let sent = match outgoing {
                QueuedFrame::Text(frame) => {
                    let size = size(&frame);
                    let sent = feed(&mut sink, frame).await;
                    backlog.sub(size);
                    sent
                }
                QueuedFrame::Ping => sink.feed(Message::Ping(Bytes::new())).await,
                QueuedFrame::Close(frame) => {
                    // The connection ends here, whether or not the frame arrives.
                    let _ = sink.send(Message::Close(Some(frame))).await;
                    return;
                }
            };
            // The reading side reports the error.
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

/// Returns the size of a message in bytes.
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
