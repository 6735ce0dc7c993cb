//! The runners that are connected, with what they offer: one part of the state that `matching` keeps.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::{Notify, OwnedSemaphorePermit, mpsc};

use super::task::TaskKey;
use crate::protocol::BrokerMessage;

/// Open offers of one runner; more are ignored.
const MAX_OFFERS: usize = 2048;
/// Messages that wait to be written to one runner: room for an accept, settings and a cancel for each offer, and for the
/// answers to its calls. A runner that lets more pile up is cut off.
const OUTBOX: usize = 4 * MAX_OFFERS;
/// Late answers to an accept in a row until the runner is cut off (protocol, section 3).
const MAX_MISSED: u32 = 3;

/// What the state hands to a connection's writer.
pub(crate) enum Outgoing {
    /// A message; the permit of the call that it answers is given back when it is written.
    Message(BrokerMessage, Option<OwnedSemaphorePermit>),
    /// A heartbeat.
    Ping,
    /// Say good-bye with this code and reason, and nothing after that.
    Close(u16, &'static str),
}

/// The way to one connection's writer.
#[derive(Clone)]
pub(crate) struct Outbox {
    sender: mpsc::Sender<Outgoing>,
    full: Arc<Notify>,
}

impl Outbox {
    /// An empty one, and what its writer reads.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Outgoing>) {
        let (sender, inbox) = mpsc::channel(OUTBOX);
        (Self { sender, full: Arc::new(Notify::new()) }, inbox)
    }

    /// Never waits. False where the runner does not read what we write, which ends the connection, or where it has ended.
    pub(crate) fn push(&self, outgoing: Outgoing) -> bool {
        let pushed = self.sender.try_send(outgoing);
        if let Err(mpsc::error::TrySendError::Full(_)) = pushed {
            self.full.notify_one();
        }
        pushed.is_ok()
    }

    /// Waits until something found no room.
    pub(crate) async fn overflowed(&self) {
        self.full.notified().await;
    }

    /// Waits until the writer is gone.
    pub(crate) async fn closed(&self) {
        self.sender.closed().await;
    }
}

/// One connection.
pub(crate) struct Connection {
    outbox: Outbox,
    /// The runner's id, once it is registered.
    runner: Option<String>,
    offers: VecDeque<Offer>,
    /// Whether it stands in line for the next task.
    in_line: bool,
    /// Tasks that are matched with it or run on it.
    pub(crate) tasks: HashSet<TaskKey>,
    missed: u32,
}

struct Offer {
    id: String,
    /// `None`: never.
    expires: Option<Instant>,
}

impl Offer {
    fn stands(&self, now: Instant) -> bool {
        self.expires.is_none_or(|end| now < end)
    }
}

impl Connection {
    /// False where the runner does not read what we write, or the connection is gone.
    #[must_use]
    pub(crate) fn send(&self, message: BrokerMessage) -> bool {
        self.outbox.push(Outgoing::Message(message, None))
    }

    pub(crate) fn is_registered(&self) -> bool {
        self.runner.is_some()
    }

    /// The runner answered an accept in time.
    pub(crate) fn answered(&mut self) {
        self.missed = 0;
    }

    /// The runner did not. Its offers are void; true if that was once too often.
    pub(crate) fn missed(&mut self) -> bool {
        self.offers.clear();
        self.missed += 1;
        self.missed >= MAX_MISSED
    }
}

/// All connections. Runners with offers stand in line; each gets one task, then goes to the end of it.
#[derive(Default)]
pub(crate) struct Runners {
    connections: HashMap<u64, Connection>,
    by_id: HashMap<String, u64>,
    line: VecDeque<u64>,
    next: u64,
}

impl Runners {
    pub(crate) fn add(&mut self, outbox: Outbox) -> u64 {
        self.next += 1;
        let connection = Connection {
            outbox,
            runner: None,
            offers: VecDeque::new(),
            in_line: false,
            tasks: HashSet::new(),
            missed: 0,
        };
        self.connections.insert(self.next, connection);
        self.next
    }

    pub(crate) fn get(&mut self, key: u64) -> Option<&mut Connection> {
        self.connections.get_mut(&key)
    }

    /// Registers the runner behind a connection. Gives back the connection that had this id until now.
    pub(crate) fn register(&mut self, key: u64, id: String) -> Option<u64> {
        self.connections.get_mut(&key)?.runner = Some(id.clone());
        self.by_id.insert(id, key)
    }

    pub(crate) fn registered(&self) -> usize {
        self.by_id.len()
    }

    pub(crate) fn keys(&self) -> Vec<u64> {
        self.connections.keys().copied().collect()
    }

    /// Forgets a connection, after a good-bye if one is given.
    pub(crate) fn remove(
        &mut self,
        key: u64,
        good_bye: Option<(u16, &'static str)>,
    ) -> Option<Connection> {
        let connection = self.connections.remove(&key)?;
        if let Some((code, reason)) = good_bye {
            connection.outbox.push(Outgoing::Close(code, reason));
        }
        if connection.in_line {
            self.line.retain(|other| *other != key);
        }
        // After a registration under the same id, the id belongs to the other connection.
        if let Some(id) = &connection.runner
            && self.by_id.get(id) == Some(&key)
        {
            self.by_id.remove(id);
        }
        Some(connection)
    }

    /// Notes an offer; `valid_for` is `None` where it stands for ever.
    pub(crate) fn offer(
        &mut self,
        key: u64,
        id: String,
        valid_for: Option<Duration>,
        now: Instant,
    ) {
        let Some(connection) = self.connections.get_mut(&key) else {
            return;
        };
        let offers = &mut connection.offers;
        while offers.front().is_some_and(|offer| !offer.stands(now)) {
            offers.pop_front();
        }
        if offers.len() >= MAX_OFFERS {
            offers.retain(|offer| offer.stands(now));
        }
        if offers.len() >= MAX_OFFERS {
            tracing::warn!(offer_id = id, "runner has too many open offers; this one is ignored");
            return;
        }
        offers.push_back(Offer { id, expires: valid_for.and_then(|time| now.checked_add(time)) });
        if !connection.in_line {
            connection.in_line = true;
            self.line.push_back(key);
        }
    }

    /// Takes the oldest offer that still stands of the runner that is next in line.
    pub(crate) fn take_offer(&mut self, now: Instant) -> Option<(u64, String)> {
        while let Some(key) = self.line.pop_front() {
            let Some(connection) = self.connections.get_mut(&key) else {
                continue;
            };
            connection.in_line = false;
            while let Some(offer) = connection.offers.pop_front() {
                if !offer.stands(now) {
                    continue;
                }
                if !connection.offers.is_empty() {
                    connection.in_line = true;
                    self.line.push_back(key);
                }
                return Some((key, offer.id));
            }
        }
        None
    }

    /// Voids every offer.
    pub(crate) fn clear_offers(&mut self) {
        for connection in self.connections.values_mut() {
            connection.offers.clear();
        }
    }
}
