//! The connected runners and their offers: one part of the state in `matching`.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    time::{Duration, Instant},
};

use super::{
    outbox::{CloseReason, MAX_OFFERS, Outbox, OutgoingFrame},
    task::TaskKey,
};
use crate::protocol::BrokerMessage;

/// Consecutive accepts without an answer in time that disconnect a runner.
const MAX_MISSED: u32 = 3;

/// One connected runner.
pub(crate) struct ConnectedRunner {
    outbox: Outbox,
    /// The runner's id; `None` before its registration.
    id: Option<String>,
    offers: VecDeque<OpenOffer>,
    /// Whether [`Runners::ready`] holds its key.
    is_ready: bool,
    /// Tasks that it runs or has to accept.
    pub(crate) tasks: HashSet<TaskKey>,
    missed: u32,
}

struct OpenOffer {
    id: String,
    /// `None`: never.
    expires: Option<Instant>,
}

impl OpenOffer {
    fn is_valid(&self, now: Instant) -> bool {
        self.expires.is_none_or(|end| now < end)
    }
}

impl ConnectedRunner {
    /// Returns false if the outbox is full or closed.
    #[must_use]
    pub(crate) fn send(&self, message: BrokerMessage) -> bool {
        self.outbox.push(OutgoingFrame::Message(message, None))
    }

    pub(crate) fn is_registered(&self) -> bool {
        self.id.is_some()
    }

    /// Notes that the runner answered an accept in time.
    pub(crate) fn answered(&mut self) {
        self.missed = 0;
    }

    /// Notes an accept without an answer in time and drops the runner's offers. True at
    /// [`MAX_MISSED`].
    pub(crate) fn missed(&mut self) -> bool {
        self.offers.clear();
        self.missed += 1;
        self.missed >= MAX_MISSED
    }
}

/// All connected runners. Tasks go to runners with offers in round-robin order.
#[derive(Default)]
pub(crate) struct Runners {
    connections: HashMap<u64, ConnectedRunner>,
    by_id: HashMap<String, u64>,
    /// The round-robin queue: runners with an offer.
    ready: VecDeque<u64>,
    last_key: u64,
}

impl Runners {
    pub(crate) fn add(&mut self, outbox: Outbox) -> u64 {
        self.last_key += 1;
        let runner = ConnectedRunner {
            outbox,
            id: None,
            offers: VecDeque::new(),
            is_ready: false,
            tasks: HashSet::new(),
            missed: 0,
        };
        self.connections.insert(self.last_key, runner);
        self.last_key
    }

    pub(crate) fn get(&mut self, key: u64) -> Option<&mut ConnectedRunner> {
        self.connections.get_mut(&key)
    }

    /// Registers the runner of a connection. Returns the connection that had this id before.
    pub(crate) fn register(&mut self, key: u64, id: String) -> Option<u64> {
        self.connections.get_mut(&key)?.id = Some(id.clone());
        self.by_id.insert(id, key)
    }

    pub(crate) fn registered(&self) -> usize {
        self.by_id.len()
    }

    pub(crate) fn keys(&self) -> Vec<u64> {
        self.connections.keys().copied().collect()
    }

    /// Removes a connection and, if `reason` is set, sends its close frame.
    pub(crate) fn remove(
        &mut self,
        key: u64,
        reason: Option<CloseReason>,
    ) -> Option<ConnectedRunner> {
        let runner = self.connections.remove(&key)?;
        if let Some(reason) = reason {
            runner.outbox.push(OutgoingFrame::Close(reason));
        }
        if runner.is_ready {
            self.ready.retain(|other| *other != key);
        }
        // A later registration under the same id owns the entry.
        if let Some(id) = &runner.id
            && self.by_id.get(id) == Some(&key)
        {
            self.by_id.remove(id);
        }
        Some(runner)
    }

    /// Adds an offer; `None` for `valid_for` means that it never expires.
    pub(crate) fn offer(
        &mut self,
        key: u64,
        id: String,
        valid_for: Option<Duration>,
        now: Instant,
    ) {
        let Some(runner) = self.connections.get_mut(&key) else {
            return;
        };
        let offers = &mut runner.offers;
        while offers.front().is_some_and(|offer| !offer.is_valid(now)) {
            offers.pop_front();
        }
        if offers.len() >= MAX_OFFERS {
            offers.retain(|offer| offer.is_valid(now));
        }
        if offers.len() >= MAX_OFFERS {
            tracing::warn!(offer_id = id, "runner has too many open offers; this one is ignored");
            return;
        }
        offers
            .push_back(OpenOffer { id, expires: valid_for.and_then(|time| now.checked_add(time)) });
        if !runner.is_ready {
            runner.is_ready = true;
            self.ready.push_back(key);
        }
    }

    /// Takes the oldest valid offer of the next runner in round-robin order.
    pub(crate) fn take_offer(&mut self, now: Instant) -> Option<(u64, String)> {
        while let Some(key) = self.ready.pop_front() {
            let Some(runner) = self.connections.get_mut(&key) else {
                continue;
            };
            runner.is_ready = false;
            while let Some(offer) = runner.offers.pop_front() {
                if !offer.is_valid(now) {
                    continue;
                }
                if !runner.offers.is_empty() {
                    runner.is_ready = true;
                    self.ready.push_back(key);
                }
                return Some((key, offer.id));
            }
        }
        None
    }

    /// Drops every offer.
    pub(crate) fn clear_offers(&mut self) {
        for runner in self.connections.values_mut() {
            runner.offers.clear();
        }
    }
}
