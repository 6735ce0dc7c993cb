//! Doors for fuzz/: the parent's side of a worker, without a process.

use std::sync::Arc;

use tokio::{
    io::AsyncWriteExt,
    net::UnixStream,
    sync::oneshot::{self, Receiver},
};

use super::{
    pipe::{FrameQueue, FrameReader, WorkerEvent, frame_queue},
    pool::Pool,
    slot::WorkerSlot,
};
use crate::sandbox::{HostCalls, Job, Outcome};

/// A slot that takes events as if a process had sent them.
pub struct FuzzSlot {
    slot: Arc<WorkerSlot>,
    /// The requests to the process that does not exist.
    _requests: FrameQueue,
}

impl Default for FuzzSlot {
    fn default() -> Self {
        let (sender, requests) = frame_queue();
        Self { slot: Arc::new(WorkerSlot::new(sender)), _requests: requests }
    }
}

impl FuzzSlot {
    pub(crate) fn pool(&self) -> Pool {
        Pool::of_slot(self.slot.clone())
    }

    /// Begins a job; returns its outcome to be.
    pub fn begin(&self, id: u64, job: Job, host: Arc<dyn HostCalls>) -> Receiver<Outcome> {
        let (sender, receiver) = oneshot::channel();
        self.slot.begin(id, job, host, sender).complete();
        receiver
    }

    /// Handles an event, or says why the worker would be killed.
    pub fn event(&self, header: &[u8], payload: Vec<u8>) -> Result<(), String> {
        let event: WorkerEvent = serde_json::from_slice(header).map_err(|e| e.to_string())?;
        self.slot.handle(event, payload).map_err(|error| error.to_string())
    }

    /// Reads and handles the frames of a pipe that carries these bytes.
    pub async fn pipe(&self, bytes: &[u8]) -> Result<(), String> {
        let text = |error: std::io::Error| error.to_string();
        let (ours, mut theirs) = UnixStream::pair().map_err(text)?;
        let mut reader = FrameReader::new(ours.into_split().0);
        let write = async {
            let _ = theirs.write_all(bytes).await;
            drop(theirs);
        };
        let read = async {
            while let Some((event, payload)) =
                reader.receive::<WorkerEvent>().await.map_err(text)?
            {
                self.slot.handle(event, payload).map_err(text)?;
            }
            Ok(())
        };
        tokio::join!(write, read).1
    }

    /// Ends all jobs, as the loss of the process does.
    pub fn reset(&self) {
        self.slot.reset("fuzzing");
    }
}
