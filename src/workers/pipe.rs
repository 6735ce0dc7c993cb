//! The messages between the parent and a worker, and the frames that carry them.
//!
//! A frame is the length of the header and of the payload (each a little-endian `u32`), the header
//! as JSON, then the raw payload. Only the payload may be large (settings, a result, parameters of
//! a call). It is neither escaped nor copied into another buffer.

use std::{io, sync::Arc};

use serde::{Deserialize, Serialize};
use tokio::{io::AsyncWriteExt, sync::mpsc};

use super::lockdown::LockdownReport;
use crate::{
    net::Backlog,
    platform::process::PipeWriter,
    sandbox::{Exit, Limits, Usage},
};

/// A message from the parent to a worker.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum WorkerRequest {
    /// Runs a job. The payload is its input.
    Run { job: u64, limits: Limits, seed: Option<u64> },
    /// Cancels a job. The worker sends no further event of it.
    Cancel { job: u64 },
    /// Answers a call. The payload is a JSON value, or an error text if `ok` is false.
    Answer { call: u64, ok: bool },
    /// Asks for a [`WorkerEvent::Pong`].
    Ping,
}

/// A message from a worker to the parent.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum WorkerEvent {
    /// The first event, once in the life of a process: it is set up and locked in.
    Ready { lockdown: LockdownReport },
    /// A job makes a call. The payload is the parameters.
    Call { job: u64, call: u64, name: String },
    /// A job stopped waiting for the answer to a call.
    DropCall { job: u64, call: u64 },
    /// A job sends a notification. The payload is the parameters.
    Notify { job: u64, name: String },
    /// A job wrote to standard error. The payload is what it wrote.
    Stderr { job: u64 },
    /// A job ended. The payload is its standard output.
    Done { job: u64, exit: Exit, usage: Usage, stderr: String },
    /// Answers a ping.
    Pong,
}

impl WorkerEvent {
    /// Returns the job of the event, if it has one.
    pub(crate) fn job(&self) -> Option<u64> {
        match self {
            Self::Call { job, .. }
            | Self::DropCall { job, .. }
            | Self::Notify { job, .. }
            | Self::Stderr { job }
            | Self::Done { job, .. } => Some(*job),
            Self::Ready { .. } | Self::Pong => None,
        }
    }

    /// Returns whether the content of the payload matters.
    pub(crate) fn has_content(&self) -> bool {
        match self {
            Self::Call { .. } | Self::Notify { .. } | Self::Stderr { .. } => true,
            Self::Done { exit, .. } => matches!(exit, Exit::Output),
            Self::Ready { .. } | Self::DropCall { .. } | Self::Pong => false,
        }
    }
}

/// Bytes of the largest header: a `Done` whose standard error takes six bytes for each escaped
/// byte.
pub(crate) const MAX_HEADER: usize = 4 << 20;

/// Bytes of the largest payload, 1 GiB: n8n's own limit for a message.
pub(crate) const MAX_PAYLOAD: usize = 1 << 30;

/// Bytes of the largest payload to copy behind its header, so that one write sends both.
pub(crate) const SMALL: usize = 64 << 10;

/// A frame that waits for the writer.
pub(crate) struct Frame {
    head: Vec<u8>,
    payload: Payload,
}

type Payload = Box<dyn AsRef<[u8]> + Send>;

/// The sending end of a queue of frames. Cheap to clone.
#[derive(Clone)]
pub(crate) struct FrameSender {
    queue: mpsc::UnboundedSender<Frame>,
    backlog: Arc<Backlog>,
}

/// The receiving end, for [`write_frames`].
pub(crate) struct FrameQueue {
    queue: mpsc::UnboundedReceiver<Frame>,
    backlog: Arc<Backlog>,
}

impl FrameSender {
    /// Queues a frame. Discards it if the writer has ended: the reading side notices that and
    /// cleans up.
    ///
    /// # Errors
    /// The header or the payload exceeds its limit.
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
        // Fails only if the writer has ended; see above.
        let _ = self.queue.send(Frame { head, payload: Box::new(payload) });
        Ok(())
    }

    /// Returns whether the backlog is full. Calls then wait: no other limit counts their sent
    /// parameters.
    pub(crate) fn is_full(&self) -> bool {
        self.backlog.is_full()
    }

    /// Returns as soon as the backlog is not full. Cancel-safe.
    pub(crate) async fn wait_for_capacity(&self) {
        self.backlog.wait_for_capacity().await;
    }
}

/// Creates a queue of frames.
pub(crate) fn frame_queue() -> (FrameSender, FrameQueue) {
    let (sender, queue) = mpsc::unbounded_channel();
    let backlog = Arc::<Backlog>::default();
    (FrameSender { queue: sender, backlog: backlog.clone() }, FrameQueue { queue, backlog })
}

/// Writes queued frames until every sender is dropped. Batches the frames that wait together.
///
/// # Errors
/// The pipe is broken.
pub(crate) async fn write_frames(unsent: FrameQueue, mut out: PipeWriter) -> io::Result<()> {
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

#[cfg(all(test, unix))]
mod tests {
    use tokio::net::UnixStream;

    use super::*;
    use crate::{platform::process::PipeReader, workers::frame_reader::FrameReader};

    fn ends() -> (PipeReader, PipeWriter) {
        let (a, b) = UnixStream::pair().unwrap();
        (a.into_split().0, b.into_split().1)
    }

    #[tokio::test]
    async fn small_and_large_frames_arrive_whole_and_in_order() {
        let (input, output) = ends();
        let (sender, queue) = frame_queue();
        for call in 0..5_u64 {
            sender
                .send(
                    &WorkerRequest::Answer { call, ok: true },
                    vec![b'x'; (call as usize) * 50_000],
                )
                .unwrap();
        }
        drop(sender);
        let writer = tokio::spawn(write_frames(queue, output));
        let mut reader = FrameReader::new(input);
        for expected in 0..5_u64 {
            let (request, payload) = reader.receive::<WorkerRequest>().await.unwrap().unwrap();
            assert!(
                matches!(request, WorkerRequest::Answer { call, ok: true } if call == expected)
            );
            assert_eq!(payload.len(), (expected as usize) * 50_000);
        }
        writer.await.unwrap().unwrap();
        assert!(reader.receive::<WorkerRequest>().await.unwrap().is_none());
    }

    /// Every task pays for its frames.
    #[test]
    fn a_trivial_task_takes_less_than_600_bytes_on_the_pipe() {
        let (sender, FrameQueue { mut queue, .. }) = frame_queue();
        let limits = Limits::default();
        let usage = Usage {
            fuel: 336_000,
            memory: 32 << 20,
            duration: std::time::Duration::from_micros(270),
        };
        let input = br#"{"code":"return 1 + 2","nodeMode":"runOnceForAllItems","items":[]}"#;
        let done =
            WorkerEvent::Done { job: 100_000, exit: Exit::Output, usage, stderr: String::new() };
        sender.send(&WorkerRequest::Run { job: 100_000, limits, seed: None }, input).unwrap();
        sender.send(&done, br#"{"result":3}"#).unwrap();
        let size = |frame: Frame| frame.head.len() + (*frame.payload).as_ref().len();
        let sizes = [queue.try_recv().unwrap(), queue.try_recv().unwrap()].map(size);
        assert!(sizes.iter().sum::<usize>() < 600, "{sizes:?}");
    }
}
