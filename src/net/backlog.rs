//! Backpressure for an unbounded queue of bytes: senders wait while too much is unsent.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Unsent bytes above which senders should wait, because the peer reads slower than this process
/// writes. 64 MiB is the default limit of one host call's parameters (`Limits::call_bytes`).
const CAPACITY: usize = 64 << 20;

/// Counts the queued bytes and wakes waiting senders when the count falls.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    bytes: AtomicUsize,
    decreased: Notify,
}

impl Backlog {
    /// Counts `bytes` as queued.
    pub(crate) fn add(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts `bytes` as written or discarded.
    pub(crate) fn sub(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.decreased.notify_waiters();
    }

    /// Returns whether more than 64 MiB are queued.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) > CAPACITY
    }

    /// Returns as soon as the queue is not full. Cancel-safe.
    pub(crate) async fn wait_for_capacity(&self) {
        loop {
            // Create it before the check: `notify_waiters` reaches only futures that exist already.
            let decreased = self.decreased.notified();
            if !self.is_full() {
                return;
            }
            decreased.await;
        }
    }
}
