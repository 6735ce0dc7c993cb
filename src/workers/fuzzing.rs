//! Doors for fuzz/: the parent's side of a worker, without a process.

use std::sync::Arc;

use tokio::sync::oneshot::{self, Receiver};

use super::{
    frame_reader::FrameReader,
    pipe::{FrameQueue, frame_queue},
    pool::Pool,
    process::receive,
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
        Self { slot: Arc::new(WorkerSlot::new(8, sender)), _requests: requests }
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
    ///
    /// # Errors
    /// The worker would be killed.
    pub async fn event(&self, header: &[u8], payload: Vec<u8>) -> Result<(), String> {
        let sizes = [header.len(), payload.len()].map(|size| (size as u32).to_le_bytes());
        self.pipe(&[sizes.as_flattened(), header, &payload].concat()).await
    }

    /// Reads and handles the frames of a pipe that carries these bytes.
    ///
    /// # Errors
    /// The worker would be killed.
    pub async fn pipe(&self, bytes: &[u8]) -> Result<(), String> {
        receive(&self.slot, FrameReader::new(bytes)).await.map_err(|fault| fault.to_string())
    }

    /// Ends all jobs, as the loss of the process does.
    pub fn reset(&self) {
        self.slot.reset("fuzzing");
    }
}
