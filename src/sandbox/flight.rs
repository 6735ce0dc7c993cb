//! Calls in flight: those that a guest began with `start`, until it fetches their answers with `wait`.
//!
//! Each is a task of the runtime, so that its time-out runs, and its answer is counted, also while the guest is busy with
//! something else. All of them end with the guest.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytesize::ByteSize;
use tokio::task::{JoinError, JoinSet};

use super::{Exceeded, Limits, PendingAnswer};

/// How many times the limit of one call all answers together may have that wait for the guest to fetch them.
const WAITING: u64 = 4;

/// An answer's text and whether it is one; an error's text otherwise.
pub(super) type Text = (bool, String);

/// A call that has its answer, or whose answer is over the limit of one.
pub(super) struct Landed {
    pub number: u32,
    pub answer: Result<Text, Exceeded>,
}

/// The calls in flight of one guest.
#[derive(Default)]
pub(super) struct Flight {
    calls: JoinSet<Landed>,
    /// Calls begun so far.
    started: u32,
    /// Bytes of answers that the guest has not fetched.
    waiting: Arc<AtomicU64>,
}

impl Flight {
    /// Whether there is nothing to wait for.
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// Begins a call; returns its number, from 1. Must be called within a runtime.
    ///
    /// # Errors
    /// As many calls are in flight as may be.
    pub fn begin(&mut self, answer: PendingAnswer, limits: &Limits) -> Result<u32, Exceeded> {
        if self.calls.len() >= limits.in_flight as usize {
            return Err(Exceeded::InFlight(limits.in_flight));
        }
        self.started += 1;
        let (number, one, waiting) = (self.started, limits.call_bytes, self.waiting.clone());
        self.calls.spawn(async move {
            let answer = checked(text(answer.await), one).map(|text| counted(text, &waiting, one));
            Landed { number, answer }
        });
        Ok(number)
    }

    /// The first call that has its answer; for ever pending while none is in flight. May be dropped and called again.
    ///
    /// # Errors
    /// The host panicked.
    pub async fn landed(&mut self) -> Result<Landed, JoinError> {
        let Some(landed) = self.calls.join_next().await else { return std::future::pending().await };
        let landed = landed?;
        if let Ok((_, text)) = &landed.answer {
            self.waiting.fetch_sub(text.len() as u64, Ordering::Relaxed);
        }
        Ok(landed)
    }
}

/// An answer as the guest takes it.
pub(super) fn text(answer: super::Answer) -> Text {
    match answer {
        Ok(value) => (true, String::from(Box::<str>::from(value))),
        Err(text) => (false, text),
    }
}

/// Refuses a text that is larger than one call may carry.
pub(super) fn checked(text: Text, limit: u64) -> Result<Text, Exceeded> {
    // The guest is told the length as a signed number.
    let fits = text.1.len() as u64 <= limit && i32::try_from(text.1.len()).is_ok();
    if fits { Ok(text) } else { Err(Exceeded::CallBytes(limit)) }
}

/// Counts a text among those that wait; where they have become too large, it gives way to an error.
fn counted(text: Text, waiting: &AtomicU64, one: u64) -> Text {
    let limit = one.saturating_mul(WAITING);
    let size = text.1.len() as u64;
    let text = if waiting.load(Ordering::Relaxed) + size <= limit {
        text
    } else {
        let limit = ByteSize::b(limit).display().iec();
        (false, format!("The answers that wait to be fetched are larger than {limit} together"))
    };
    waiting.fetch_add(text.1.len() as u64, Ordering::Relaxed);
    text
}

/// The answer to the call of `name`, or after this time an error.
pub(crate) fn within(time: Duration, name: &str, answer: PendingAnswer) -> PendingAnswer {
    let name = name.to_owned();
    Box::pin(async move {
        let late = |_| Err(format!("The call of {name} timed out after {}", super::limits::seconds(&time)));
        tokio::time::timeout(time, answer).await.unwrap_or_else(late)
    })
}
