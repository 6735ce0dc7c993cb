//! The queue of messages to the broker, and the task that writes them as frames of a WebSocket
//! client (RFC 6455, section 5).
//!
//! Queueing never blocks, so the session keeps reading frames while a large result is sent. A large
//! result is sent in fragments (section 5.4). Pings and pongs go between fragments, so a pong waits
//! for at most one of them.

use std::{
    io,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    sync::mpsc::{self, UnboundedReceiver, UnboundedSender},
    task::JoinHandle,
};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use crate::{net::Backlog, protocol::RunnerMessage, sync::lock};

/// Bytes of a fragment. Larger messages are split, so that a pong waits for 256 KiB at most, and
/// the connection's other work for the copy and the mask of as many.
const FRAGMENT: usize = 256 << 10;

/// Bits of a frame's first byte (section 5.2): the last frame of its message.
const LAST: u8 = 0x80;
/// Types of frames (section 5.2).
mod opcode {
    pub(super) const CONTINUATION: u8 = 0;
    pub(super) const TEXT: u8 = 1;
    pub(super) const CLOSE: u8 = 8;
    pub(super) const PING: u8 = 9;
    pub(super) const PONG: u8 = 10;
}

/// An unbounded queue of messages to the broker. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct MessageQueue {
    queue: UnboundedSender<QueuedFrame>,
    backlog: Arc<Backlog>,
    pong: Arc<Mutex<Option<Bytes>>>,
    max_payload: usize,
}

/// A frame that waits for the writer.
#[derive(Debug)]
pub(crate) enum QueuedFrame {
    /// The text of a message, in consecutive parts.
    Text(Vec<String>),
    /// A ping.
    Ping,
    /// A pong, whose payload is in [`MessageQueue::pong`] until it is written.
    Pong,
    /// A close frame. The writer ends after it.
    Close(CloseFrame),
}

/// Returns the text of a message.
#[cfg(fuzzing)]
pub(crate) fn text_of(frame: QueuedFrame) -> Option<String> {
    match frame {
        QueuedFrame::Text(parts) => Some(parts.concat()),
        QueuedFrame::Ping | QueuedFrame::Pong | QueuedFrame::Close(_) => None,
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
        (Self { queue, backlog: Arc::default(), pong: Arc::default(), max_payload }, unsent)
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

    /// Answers a ping. Of several unanswered pings it answers the last one, as section 5.5.3
    /// permits: a broker cannot fill the queue with them.
    pub(crate) fn send_pong(&self, payload: Bytes) {
        if lock(&self.pong).replace(payload).is_none() {
            let _ = self.queue.send(QueuedFrame::Pong);
        }
    }

    /// Starts the task that writes the queued frames.
    pub(crate) fn spawn_writer(
        &self,
        stream: impl AsyncWrite + Unpin + Send + 'static,
        unsent: UnboundedReceiver<QueuedFrame>,
    ) -> JoinHandle<()> {
        let (backlog, pong) = (self.backlog.clone(), self.pong.clone());
        let writer = FrameWriter { stream, bytes: Vec::new(), backlog, pong };
        // The reading side reports the error.
        tokio::spawn(async move { writer.run(unsent).await.unwrap_or_default() })
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

/// Writes queued frames in order.
struct FrameWriter<W> {
    stream: W,
    /// Frames that are not written yet: small ones are written together.
    bytes: Vec<u8>,
    backlog: Arc<Backlog>,
    pong: Arc<Mutex<Option<Bytes>>>,
}

impl<W: AsyncWrite + Unpin> FrameWriter<W> {
    /// Writes until a close frame, and flushes when the queue is empty.
    async fn run(mut self, mut unsent: UnboundedReceiver<QueuedFrame>) -> io::Result<()> {
        while let Some(first) = unsent.recv().await {
            let mut next = Some(first);
            while let Some(outgoing) = next {
                match outgoing {
                    QueuedFrame::Text(parts) => self.text(parts).await?,
                    QueuedFrame::Ping => put_frame(&mut self.bytes, LAST | opcode::PING, &[]),
                    QueuedFrame::Pong => self.put_pong(),
                    QueuedFrame::Close(frame) => {
                        put_frame(&mut self.bytes, LAST | opcode::CLOSE, &[&close_payload(&frame)]);
                        return self.flush().await;
                    }
                }
                next = unsent.try_recv().ok();
            }
            self.flush().await?;
        }
        Ok(())
    }

    async fn text(&mut self, parts: Vec<String>) -> io::Result<()> {
        let size = size(&parts);
        if size <= FRAGMENT {
            let parts: Vec<&[u8]> = parts.iter().map(String::as_bytes).collect();
            put_frame(&mut self.bytes, LAST | opcode::TEXT, &parts);
            self.backlog.sub(size);
            if self.bytes.len() >= FRAGMENT {
                self.write().await?;
            }
            return Ok(());
        }
        let mut left = size;
        let mut kind = opcode::TEXT;
        for part in parts {
            for piece in part.as_bytes().chunks(FRAGMENT) {
                left -= piece.len();
                let last = if left == 0 { LAST } else { 0 };
                put_frame(&mut self.bytes, last | kind, &[piece]);
                kind = opcode::CONTINUATION;
                self.put_pong();
                self.write().await?;
                // A broker that reads fast would keep this task busy until the message ends.
                tokio::task::yield_now().await;
            }
        }
        self.backlog.sub(size);
        Ok(())
    }

    fn put_pong(&mut self) {
        if let Some(payload) = lock(&self.pong).take() {
            put_frame(&mut self.bytes, LAST | opcode::PONG, &[&payload]);
        }
    }

    async fn write(&mut self) -> io::Result<()> {
        self.stream.write_all(&self.bytes).await?;
        self.bytes.clear();
        Ok(())
    }

    async fn flush(&mut self) -> io::Result<()> {
        self.write().await?;
        self.bytes.shrink_to(FRAGMENT / 16);
        self.stream.flush().await
    }
}

/// Appends a frame whose payload is these parts. Masks it with a random key: section 5.3.
fn put_frame(bytes: &mut Vec<u8>, first: u8, parts: &[&[u8]]) {
    /// Marks a frame as masked.
    const MASKED: u8 = 0x80;
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let key: [u8; 4] = rand::random();
    bytes.reserve(14 + length);
    bytes.push(first);
    match length {
        0..=125 => bytes.push(MASKED | length as u8),
        126..=0xffff => {
            bytes.push(MASKED | 126);
            bytes.extend((length as u16).to_be_bytes());
        }
        _ => {
            bytes.push(MASKED | 127);
            bytes.extend((length as u64).to_be_bytes());
        }
    }
    bytes.extend(key);
    let begin = bytes.len();
    parts.iter().for_each(|part| bytes.extend_from_slice(part));
    mask(&mut bytes[begin..], key);
}

/// Combines each byte with the byte of the key at its place.
fn mask(payload: &mut [u8], key: [u8; 4]) {
    let (words, rest) = payload.as_chunks_mut::<4>();
    let word_key = u32::from_ne_bytes(key);
    for word in words {
        *word = (u32::from_ne_bytes(*word) ^ word_key).to_ne_bytes();
    }
    rest.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
}

/// Returns the payload of a close frame. Cuts its reason to the size of a control frame.
fn close_payload(frame: &CloseFrame) -> Vec<u8> {
    let reason = frame.reason.as_str();
    let reason = &reason[..reason.floor_char_boundary(123)];
    [&u16::from(frame.code).to_be_bytes(), reason.as_bytes()].concat()
}

/// Returns the size of a message in bytes.
fn size(parts: &[String]) -> usize {
    parts.iter().map(String::len).sum()
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;
    use tokio_tungstenite::{
        WebSocketStream,
        tungstenite::{Message, protocol::Role},
    };

    use super::*;
    use crate::protocol::random_id;

    /// Writes frames and returns what tungstenite reads as a server.
    async fn received(send: impl FnOnce(&MessageQueue)) -> Vec<Message> {
        let (ours, theirs) = tokio::io::duplex(10_000);
        let (queue, unsent) = MessageQueue::new(8 << 20);
        send(&queue);
        let writer = queue.spawn_writer(ours, unsent);
        drop(queue);
        let server = WebSocketStream::from_raw_socket(theirs, Role::Server, None).await;
        let read = server.filter_map(async |message| message.ok()).collect().await;
        writer.await.unwrap();
        read
    }

    fn message(size: usize) -> RunnerMessage {
        RunnerMessage::TaskRejected { task_id: random_id(), reason: "é".repeat(size / 2) }
    }

    fn done(size: usize) -> RunnerMessage {
        let result = serde_json::value::to_raw_value(&"é".repeat(size / 2)).unwrap();
        let data = crate::protocol::TaskData { result, custom_data: None, static_data: None };
        RunnerMessage::TaskDone { task_id: random_id(), data }
    }

    #[tokio::test]
    async fn messages_of_every_size_are_written() {
        let sizes = [0, 1, 10, 126, 1000, 65_000, 66_000, FRAGMENT, 3 * FRAGMENT + 7];
        let messages: Vec<_> =
            sizes.iter().flat_map(|size| [message(*size), done(*size)]).collect();
        let frames: Vec<_> =
            messages.iter().map(|message| Message::text(message.to_frame().unwrap())).collect();
        let read = received(|queue| {
            for message in messages {
                queue.send(message).unwrap();
            }
            queue.send_control(QueuedFrame::Ping);
        })
        .await;
        assert_eq!(read[..frames.len()], frames);
        assert_eq!(read[frames.len()..], [Message::Ping(Bytes::new())]);
    }

    #[tokio::test]
    async fn a_pong_goes_between_fragments_and_the_last_one_counts() {
        let read = received(|queue| {
            queue.send(done(4 * FRAGMENT)).unwrap();
            queue.send_pong(Bytes::from_static(b"1"));
            queue.send_pong(Bytes::from_static(b"2"));
        })
        .await;
        assert_eq!(read[0], Message::Pong(Bytes::from_static(b"2")));
        assert!(read.len() == 2 && read[1].is_text());
    }

    #[tokio::test]
    async fn nothing_follows_a_close_frame() {
        let close = CloseFrame { code: 1000.into(), reason: "é".repeat(100).into() };
        let read = received(|queue| {
            queue.send_control(QueuedFrame::Close(close));
            queue.send_control(QueuedFrame::Ping);
        })
        .await;
        let [Message::Close(Some(frame))] = &read[..] else { panic!("{read:?}") };
        assert_eq!((u16::from(frame.code), frame.reason.as_str()), (1000, "é".repeat(61).as_str()));
    }
}
