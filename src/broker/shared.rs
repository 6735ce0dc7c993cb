//! The state that the server, connections and task handles share, with the wake-ups after each
//! change.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Instant,
};

use tokio::sync::{Notify, Semaphore, watch};

use super::{grants::Grants, matching::Matching, settings::BrokerConfig};
use crate::sync::lock;

/// The state that the server, every connection and every task handle share.
pub(crate) struct SharedState {
    pub(crate) config: BrokerConfig,
    grants: Mutex<Grants>,
    matching: Mutex<Matching>,
    /// Permits for connections of runners. Each holds a file descriptor.
    pub(crate) runner_permits: Arc<Semaphore>,
    /// Wakes the sweeper: a new deadline precedes the one that it sleeps for.
    earlier_deadline: Notify,
    /// Fires after each change of a draining broker.
    draining: watch::Sender<()>,
    /// The number of registered runners.
    registered: watch::Sender<usize>,
    /// Ends the listener.
    stop: Notify,
}

impl SharedState {
    /// Creates the state of a broker for at most that many connections of runners.
    pub(crate) fn new(config: BrokerConfig, runners: usize) -> Self {
        Self {
            grants: Mutex::new(Grants::new(config.grant_lifetime)),
            matching: Mutex::new(Matching::new(config.ack_window, config.task_timeout)),
            runner_permits: Arc::new(Semaphore::new(runners)),
            config,
            earlier_deadline: Notify::new(),
            draining: watch::Sender::new(()),
            registered: watch::Sender::new(0),
            stop: Notify::new(),
        }
    }

    pub(crate) fn matching(&self) -> MutexGuard<'_, Matching> {
        lock(&self.matching)
    }

    pub(crate) fn grants(&self) -> MutexGuard<'_, Grants> {
        lock(&self.grants)
    }

    /// Changes the state under the lock, then notifies the waiters that [`Matching::wakeups`]
    /// names.
    pub(crate) fn update<T>(&self, change: impl FnOnce(&mut Matching, Instant) -> T) -> T {
        let (value, wakeups) = {
            let mut matching = self.matching();
            let value = change(&mut matching, Instant::now());
            (value, matching.wakeups())
        };
        if wakeups.sweeper {
            self.earlier_deadline.notify_one();
        }
        if wakeups.draining {
            self.draining.send_replace(());
        }
        if let Some(runners) = wakeups.runners {
            self.registered.send_replace(runners);
        }
        value
    }

    /// Waits until `condition` holds on a draining broker.
    pub(crate) async fn drained_until(&self, condition: impl Fn(&Matching) -> bool) {
        let mut changes = self.draining.subscribe();
        while !condition(&self.matching()) {
            // `self` owns the sender, so the channel never closes.
            let _ = changes.changed().await;
        }
    }

    pub(crate) async fn runner_registered(&self) {
        // `self` owns the sender, so the channel never closes.
        let _ = self.registered.subscribe().wait_for(|runners| *runners > 0).await;
    }

    pub(crate) fn registered_runners(&self) -> usize {
        *self.registered.borrow()
    }

    /// Waits for a deadline earlier than the one that [`Matching::sweep`] returned last.
    pub(crate) async fn earlier_deadline(&self) {
        self.earlier_deadline.notified().await;
    }

    /// Ends the listener.
    pub(crate) fn stop(&self) {
        self.stop.notify_one();
    }

    /// Waits for [`stop`](Self::stop).
    pub(crate) async fn stopped(&self) {
        self.stop.notified().await;
    }
}
