//! Calls in flight: those that a guest began with `start`, until it fetches their answers with `wait`.
//!
//! Each is a task of the runtime, so that its time-out runs, and its answer is counted, also while the guest is busy with
//! something else. All of them end with the guest.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytesize::ByteSize;
use tokio::task::{AbortHandle, JoinError, JoinSet};

use super::{Exceeded, Limits, PendingAnswer};

/// How many times the limit of one call all parameters of calls without an answer may have together, and all answers that
/// wait for the guest to fetch them.
const WAITING: u64 = 4;

/// An answer's text and whether it is one; an error's text otherwise.
pub(crate) type Text = (bool, String);

/// A call that has its answer.
pub(crate) struct Landed {
    pub number: u32,
    pub answer: Text,
    /// The answer, counted among those that wait.
    _held: Held,
}

/// The calls in flight of one guest.
#[derive(Default)]
pub(crate) struct Flight {
    calls: JoinSet<Landed>,
    /// What came of calls while room was made for another one.
    ended: VecDeque<Result<Landed, JoinError>>,
    /// Those of them whose answers the guest may still fetch, by number.
    places: HashMap<u32, AbortHandle>,
    /// Calls begun so far.
    started: u32,
    /// Bytes of parameters of calls without an answer.
    asking: Arc<AtomicU64>,
    /// Bytes of answers that the guest has not fetched.
    waiting: Arc<AtomicU64>,
}

/// Bytes that are counted for as long as this is kept.
struct Held {
    bytes: u64,
    among: Arc<AtomicU64>,
}

impl Held {
    /// Counts them, where they do not make too many together.
    fn within(limit: u64, bytes: u64, among: &Arc<AtomicU64>) -> Option<Self> {
        (among.load(Ordering::Relaxed).saturating_add(bytes) <= limit)
            .then(|| Self::new(bytes, among))
    }

    fn new(bytes: u64, among: &Arc<AtomicU64>) -> Self {
        among.fetch_add(bytes, Ordering::Relaxed);
        Self { bytes, among: among.clone() }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.among.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Flight {
    /// Whether there is nothing to wait for.
    pub(crate) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Begins a call whose parameters have this size; returns its number, from 1. Where the parameters are too large
    /// beside those of others, it fails without being made. Must be called within a runtime.
    ///
    /// # Errors
    /// As many calls are in flight as may be.
    pub(crate) fn begin(
        &mut self,
        size: u64,
        limits: &Limits,
        make: impl FnOnce() -> PendingAnswer,
    ) -> Result<u32, Exceeded> {
        if self.places.len() >= limits.in_flight as usize {
            return Err(Exceeded::InFlight(limits.in_flight));
        }
        // Also those that were given up, which nobody waits for.
        while let Some(ended) = self.calls.try_join_next() {
            self.keep(ended);
        }
        self.started += 1;
        let (number, one, waiting) = (self.started, limits.call_bytes, self.waiting.clone());
        let asking = Held::within(one.saturating_mul(WAITING), size, &self.asking);
        let answer = match asking {
            Some(_) => make(),
            None => Box::pin(std::future::ready(Err(too_large(
                "The parameters of calls without an answer",
                one,
            )))),
        };
        let place = self.calls.spawn(async move {
            let answer = fitting(text(answer.await), one);
            drop(asking);
            let (answer, held) = counted(answer, &waiting, one);
            Landed { number, answer, _held: held }
        });
        self.places.insert(number, place);
        Ok(number)
    }

    /// Gives up a call: its answer is not waited for any longer, and it is not in flight any more.
    pub(crate) fn forget(&mut self, number: u32) {
        if let Some(place) = self.places.remove(&number) {
            place.abort();
        }
    }

    /// The first call that has its answer; for ever pending while none is in flight. May be dropped and called again.
    ///
    /// # Errors
    /// The host panicked.
    pub(crate) async fn landed(&mut self) -> Result<Landed, JoinError> {
        loop {
            while let Some(ended) = self.ended.pop_front() {
                let landed = ended?;
                // It may have been given up meanwhile.
                if self.places.remove(&landed.number).is_some() {
                    return Ok(landed);
                }
            }
            match self.calls.join_next().await {
                None => return std::future::pending().await,
                Some(ended) => self.keep(ended),
            }
        }
    }

    /// Keeps what came of a call for [`landed`](Self::landed), unless the call was given up.
    fn keep(&mut self, ended: Result<Landed, JoinError>) {
        let given_up = match &ended {
            Ok(landed) => !self.places.contains_key(&landed.number),
            Err(error) => error.is_cancelled(),
        };
        if !given_up {
            self.ended.push_back(ended);
        }
    }
}

/// An answer as the guest takes it.
pub(crate) fn text(answer: super::Answer) -> Text {
    match answer {
        Ok(value) => (true, String::from(Box::<str>::from(value))),
        Err(text) => (false, text),
    }
}

/// The answer, or where it is larger than one call may carry a short failure.
pub(crate) fn fitting(answer: Text, limit: u64) -> Text {
    // The guest is told the length as a signed number.
    let fits = answer.1.len() as u64 <= limit && i32::try_from(answer.1.len()).is_ok();
    if fits { answer } else { (false, refusal("The answer of a host call is", limit)) }
}

/// Why something was refused that is larger than one call may carry.
pub(crate) fn refusal(what: &str, limit: u64) -> String {
    let limit = ByteSize::b(limit).display().iec();
    format!("{what} too large: the limit is {limit} (SERPENTARIUM_MAX_CALL_BYTES)")
}

/// Why something is too large beside what was there before.
fn too_large(what: &str, one: u64) -> String {
    let limit = ByteSize::b(one.saturating_mul(WAITING)).display().iec();
    format!("{what} are larger than {limit} together")
}

/// Counts an answer among those that wait; where they have become too large, it gives way to an error.
fn counted(answer: Text, waiting: &Arc<AtomicU64>, one: u64) -> (Text, Held) {
    if let Some(held) = Held::within(one.saturating_mul(WAITING), answer.1.len() as u64, waiting) {
        return (answer, held);
    }
    let text = too_large("The answers that wait to be fetched", one);
    let held = Held::new(text.len() as u64, waiting);
    ((false, text), held)
}

/// The answer to the call of `name`, or after this time an error.
pub(crate) fn within(time: Duration, name: &str, answer: PendingAnswer) -> PendingAnswer {
    let name = name.to_owned();
    Box::pin(async move {
        let late = |_| {
            Err(format!("The call of {name} timed out after {}", super::limits::seconds(&time)))
        };
        tokio::time::timeout(time, answer).await.unwrap_or_else(late)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn calls_that_are_given_up_leave_nothing() {
        let mut flight = Flight::default();
        for _ in 0..1000 {
            let number =
                flight.begin(0, &Limits::default(), || Box::pin(std::future::pending())).unwrap();
            flight.forget(number);
            tokio::task::yield_now().await;
        }
        assert!(flight.calls.len() < 10, "{} calls", flight.calls.len());
        assert!(flight.is_empty());
    }

    #[tokio::test]
    async fn an_answer_is_there_also_where_room_was_made_for_another_call() {
        let mut flight = Flight::default();
        let answered =
            || -> PendingAnswer { Box::pin(std::future::ready(Err("an answer".into()))) };
        let first = flight.begin(0, &Limits::default(), answered).unwrap();
        tokio::task::yield_now().await;
        flight.begin(0, &Limits::default(), || Box::pin(std::future::pending())).unwrap();
        let landed = flight.landed().await.unwrap();
        assert_eq!((landed.number, landed.answer), (first, (false, "an answer".into())));
    }
}
