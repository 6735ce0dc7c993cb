//! The vocabulary between the parent and a worker, and the frames that carry it. Both ends use this file.
//!
//! A frame is `u32 header length, u32 payload length` (little endian), the header as JSON, then the payload as it is. The
//! payload is the one part that may be large (settings, a result, a call's parameters), so it is neither escaped nor
//! copied into another buffer.

use std::{io, sync::Arc};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, BufReader},
    net::unix::{OwnedReadHalf, OwnedWriteHalf},
    sync::mpsc,
};

use crate::{
    net::Backlog,
    sandbox::{Exit, Limits, Usage},
};

/// From the parent to a worker.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    /// Run a job; the payload is its input.
    Run { job: u64, limits: Limits, seed: Option<u64> },
    /// Stop a job, send nothing more about it.
    Cancel { job: u64 },
    /// The answer to a call; the payload is a JSON value, or where `ok` is false a text.
    Answer { call: u64, ok: bool },
    /// Are you there?
    Ping,
}

/// From a worker to the parent.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Event {
    /// A job asks; the payload is the parameters.
    Call { job: u64, call: u64, name: String },
    /// A job does not wait for the answer to a call any more.
    DropCall { job: u64, call: u64 },
    /// A job notifies; the payload is the parameters.
    Notify { job: u64, name: String },
    /// A job has stopped; the payload is its output.
    Done { job: u64, exit: Exit, usage: Usage, stderr: String },
    /// Yes.
    Pong,
}

/// Bytes of a header. The largest is a `Done` with standard error, escaped at up to six bytes for one.
const MAX_HEADER: usize = 4 << 20;

/// Bytes of a payload: n8n's own limit for a message.
const MAX_PAYLOAD: usize = 1 << 30;

/// Payloads up to this size, in bytes, are copied behind their header so that both go out in one write.
const SMALL: usize = 64 << 10;

/// A frame that waits to be written.
pub(crate) struct Frame {
    head: Vec<u8>,
    payload: Payload,
}

type Payload = Box<dyn AsRef<[u8]> + Send>;

/// The way out: frames put here are written in request. Cheap to clone.
#[derive(Clone)]
pub(crate) struct FrameSender {
    queue: mpsc::UnboundedSender<Frame>,
    backlog: Arc<Backlog>,
}

/// The other end, for [`write_frames`].
pub(crate) struct FrameQueue {
    queue: mpsc::UnboundedReceiver<Frame>,
    backlog: Arc<Backlog>,
}

impl FrameSender {
    /// Queues a frame. Where the other end is gone it is dropped: the reader of this end notices that and cleans up.
    pub(crate) fn send<H: Serialize>(
        &self,
        header: &H,
        payload: impl AsRef<[u8]> + Send + 'static,
    ) -> io::Result<()> {
        let size = payload.as_ref().len();
        if size > MAX_PAYLOAD {
            return Err(io::Error::other(format!(
                "a payload of {size} bytes is over the limit of {MAX_PAYLOAD}"
            )));
        }
        let mut head = vec![0; 8];
        serde_json::to_writer(&mut head, header)?;
        let header_size = head.len() - 8;
        if header_size > MAX_HEADER {
            return Err(io::Error::other(format!(
                "a header of {header_size} bytes is over the limit of {MAX_HEADER}"
            )));
        }
        let header_size = header_size as u32;
        head[..4].copy_from_slice(&header_size.to_le_bytes());
        head[4..8].copy_from_slice(&(size as u32).to_le_bytes());
        self.backlog.add(size);
        // A closed channel means that the writer has ended; see above.
        let _ = self.queue.send(Frame { head, payload: Box::new(payload) });
        Ok(())
    }

    /// Whether so much waits to be written that a call should wait as well: what was sent is counted nowhere else.
    pub(crate) fn is_full(&self) -> bool {
        self.backlog.is_full()
    }

    /// Waits until there is room for a call.
    pub(crate) async fn wait_for_capacity(&self) {
        self.backlog.wait_for_capacity().await;
    }
}

/// A way out, and the queue that [`write_frames`] empties.
pub(crate) fn frame_queue() -> (FrameSender, FrameQueue) {
    let (sender, queue) = mpsc::unbounded_channel();
    let backlog = Arc::<Backlog>::default();
    (FrameSender { queue: sender, backlog: backlog.clone() }, FrameQueue { queue, backlog })
}

/// Writes queued frames until the queue is closed; those that are waiting together go out together.
pub(crate) async fn write_frames(unsent: FrameQueue, mut out: OwnedWriteHalf) -> io::Result<()> {
    let FrameQueue { mut queue, backlog } = unsent;
    let mut frames = Vec::new();
    let mut buffer = Vec::new();
    while queue.recv_many(&mut frames, 64).await > 0 {
        for Frame { head, payload } in frames.drain(..) {
            let payload = (*payload).as_ref();
            buffer.extend_from_slice(&head);
            if payload.len() <= SMALL {
                buffer.extend_from_slice(payload);
            } else {
                out.write_all(&buffer).await?;
                buffer.clear();
                out.write_all(payload).await?;
            }
            backlog.sub(payload.len());
        }
        out.write_all(&buffer).await?;
        buffer.clear();
        buffer.shrink_to(SMALL);
    }
    Ok(())
}

/// The way in.
pub(crate) struct FrameReader(BufReader<OwnedReadHalf>);

impl FrameReader {
    pub(crate) fn new(input: OwnedReadHalf) -> Self {
        Self(BufReader::with_capacity(SMALL, input))
    }

    /// The next frame; `None` when the other end has closed.
    ///
    /// # Errors
    /// The other end broke off within a frame, or sent what is no frame.
    pub(crate) async fn receive<H: DeserializeOwned>(
        &mut self,
    ) -> io::Result<Option<(H, Vec<u8>)>> {
        let mut sizes = [0; 8];
        match self.0.read_exact(&mut sizes).await {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            other => other?,
        };
        let [a, b, c, d, e, f, g, h] = sizes;
        let header = self.part(u32::from_le_bytes([a, b, c, d]), MAX_HEADER).await?;
        let payload = self.part(u32::from_le_bytes([e, f, g, h]), MAX_PAYLOAD).await?;
        Ok(Some((serde_json::from_slice(&header)?, payload)))
    }

    /// Reads `size` bytes. The buffer grows with what arrives, not with what was announced.
    async fn part(&mut self, size: u32, limit: usize) -> io::Result<Vec<u8>> {
        let size = size as usize;
        if size > limit {
            return Err(io::Error::other(format!(
                "a frame announces {size} bytes where {limit} are allowed"
            )));
        }
        let mut bytes = Vec::with_capacity(size.min(8 << 20));
        (&mut self.0).take(size as u64).read_to_end(&mut bytes).await?;
        if bytes.len() < size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::UnixStream;

    use super::*;

    fn ends() -> (OwnedReadHalf, OwnedWriteHalf) {
        let (a, b) = UnixStream::pair().unwrap();
        (a.into_split().0, b.into_split().1)
    }

    #[tokio::test]
    async fn small_and_large_frames_arrive_in_order_and_whole() {
        let (input, output) = ends();
        let (sender, queue) = frame_queue();
        for call in 0..5_u64 {
            sender
                .send(&Request::Answer { call, ok: true }, vec![b'x'; (call as usize) * 50_000])
                .unwrap();
        }
        drop(sender);
        let writer = tokio::spawn(write_frames(queue, output));
        let mut reader = FrameReader::new(input);
        for expected in 0..5_u64 {
            let (request, payload) = reader.receive::<Request>().await.unwrap().unwrap();
            assert!(matches!(request, Request::Answer { call, ok: true } if call == expected));
            assert_eq!(payload.len(), (expected as usize) * 50_000);
        }
        writer.await.unwrap().unwrap();
        assert!(reader.receive::<Request>().await.unwrap().is_none());
    }

    /// Frames are small next to a task, and stay so: every task pays for them.
    #[test]
    fn a_trivial_task_takes_less_than_550_bytes_on_the_pipe() {
        let (sender, FrameQueue { mut queue, .. }) = frame_queue();
        let limits = Limits::default();
        let usage = Usage {
            fuel: 336_000,
            memory: 32 << 20,
            duration: std::time::Duration::from_micros(270),
        };
        let input = br#"{"code":"return 1 + 2","nodeMode":"runOnceForAllItems","items":[]}"#;
        let done = Event::Done { job: 100_000, exit: Exit::Output, usage, stderr: String::new() };
        sender.send(&Request::Run { job: 100_000, limits, seed: None }, input).unwrap();
        sender.send(&done, br#"{"result":3}"#).unwrap();
        let size = |frame: Frame| frame.head.len() + (*frame.payload).as_ref().len();
        let sizes = [queue.try_recv().unwrap(), queue.try_recv().unwrap()].map(size);
        assert!(sizes.iter().sum::<usize>() < 550, "{sizes:?}");
    }

    #[tokio::test]
    async fn an_announced_length_over_the_limit_is_refused_before_anything_is_allocated() {
        let (input, mut output) = ends();
        output.write_all(&[4, 0, 0, 0, 255, 255, 255, 255]).await.unwrap();
        output.write_all(b"null").await.unwrap();
        let error = FrameReader::new(input).receive::<Request>().await.unwrap_err();
        assert!(error.to_string().contains("4294967295"), "{error}");
    }

    #[tokio::test]
    async fn a_frame_that_breaks_off_is_an_error() {
        let (input, mut output) = ends();
        output.write_all(&[9, 0, 0, 0, 0, 0, 0, 0, b'"']).await.unwrap();
        drop(output);
        assert!(FrameReader::new(input).receive::<Request>().await.is_err());
    }
}
