//! How much waits in a queue to be written.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Unsent bytes above which whoever can wait should: the other end reads slower than this one writes.
const FULL: usize = 64 << 20;

/// How many bytes are queued, and a bell for when that falls.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    bytes: AtomicUsize,
    fell: Notify,
}

impl Backlog {
    /// So many bytes were queued.
    pub(crate) fn add(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// So many bytes were written, or given up.
    pub(crate) fn sub(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.fell.notify_waiters();
    }

    /// Whether the queue is as full as it should get.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) > FULL
    }

    /// Waits until the queue is not full.
    pub(crate) async fn room(&self) {
        loop {
            let fell = self.fell.notified();
            if !self.is_full() {
                return;
            }
            fell.await;
        }
    }
}
