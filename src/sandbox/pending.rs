//! Pending calls: those that a guest began with `start` and whose answers it has not fetched with
//! `wait`.
//!
//! Each is a task of the runtime, so its time-out runs and its answer is counted while the guest
//! does something else. The end of the guest cancels all of them.

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

use super::{
    host::{Answer, PendingAnswer},
    limits::{self, Exceeded, Limits},
};

/// Bounds the parameters of all calls without an answer, and separately all answers that the guest
/// has not fetched: each to this many times [`Limits::call_bytes`].
pub(crate) const TOTAL_PER_CALL: u64 = 4;

/// An answer as the guest takes it: whether it is a value, and the value or the error's text.
pub(crate) type AnswerText = (bool, String);

/// A call that has its answer.
pub(crate) struct CompletedCall {
    pub number: u32,
    pub answer: AnswerText,
    /// Counts the answer as unfetched until the guest takes it.
    _reserved: Reserved,
}

/// The pending calls of one guest.
#[derive(Default)]
pub(crate) struct PendingCalls {
    calls: JoinSet<CompletedCall>,
    /// Calls that [`begin`](Self::begin) found completed, for
    /// [`next_completed`](Self::next_completed).
    completed: VecDeque<Result<CompletedCall, JoinError>>,
    /// Calls whose answers the guest may still fetch, by number.
    wanted: HashMap<u32, AbortHandle>,
    /// Calls begun so far.
    started: u32,
    /// Bytes of parameters of calls without an answer.
    unanswered: Arc<AtomicU64>,
    /// Bytes of answers that the guest has not fetched.
    unfetched: Arc<AtomicU64>,
}

/// Bytes that a total counts for as long as this lives.
struct Reserved {
    bytes: u64,
    total: Arc<AtomicU64>,
}

impl Reserved {
    /// Reserves the bytes, unless the total would go over `limit`.
    fn within(limit: u64, bytes: u64, total: &Arc<AtomicU64>) -> Option<Self> {
        (total.load(Ordering::Relaxed).saturating_add(bytes) <= limit)
            .then(|| Self::new(bytes, total))
    }

    fn new(bytes: u64, total: &Arc<AtomicU64>) -> Self {
        total.fetch_add(bytes, Ordering::Relaxed);
        Self { bytes, total: total.clone() }
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.total.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl PendingCalls {
    /// Returns true if no call is pending.
    pub(crate) fn is_empty(&self) -> bool {
        self.wanted.is_empty()
    }

    /// Begins a call whose parameters have `size` bytes; returns its number, from 1. If the
    /// parameters of all unanswered calls together would be too large, the call fails without a
    /// call of `make`. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`Limits::in_flight`] calls are pending.
    pub(crate) fn begin(
        &mut self,
        size: u64,
        limits: &Limits,
        make: impl FnOnce() -> PendingAnswer,
    ) -> Result<u32, Exceeded> {
        if self.wanted.len() >= limits.in_flight as usize {
            return Err(Exceeded::InFlight(limits.in_flight));
        }
        // Collect forgotten calls here: `next_completed` may never be called for them.
        while let Some(ended) = self.calls.try_join_next() {
            self.keep(ended);
        }
        self.started += 1;
        let (number, one, unfetched) = (self.started, limits.call_bytes, self.unfetched.clone());
        let total = one.saturating_mul(TOTAL_PER_CALL);
        let reserved = Reserved::within(total, size, &self.unanswered);
        let answer = match reserved {
            Some(_) => make(),
            None => Box::pin(std::future::ready(Err(too_large_together(
                "The parameters of calls without an answer",
                one,
            )))),
        };
        let handle = self.calls.spawn(async move {
            let answer = limit_answer(answer_text(answer.await), one);
            drop(reserved);
            let (answer, reserved) = reserve_answer(answer, &unfetched, one);
            CompletedCall { number, answer, _reserved: reserved }
        });
        self.wanted.insert(number, handle);
        Ok(number)
    }

    /// Cancels a call. It is not pending any more.
    pub(crate) fn forget(&mut self, number: u32) {
        if let Some(handle) = self.wanted.remove(&number) {
            handle.abort();
        }
    }

    /// Returns the next call that has its answer. Pends while no call is pending. Cancel-safe.
    ///
    /// # Errors
    /// The host panicked.
    pub(crate) async fn next_completed(&mut self) -> Result<CompletedCall, JoinError> {
        loop {
            while let Some(ended) = self.completed.pop_front() {
                let completed = ended?;
                // The guest may have forgotten it since.
                if self.wanted.remove(&completed.number).is_some() {
                    return Ok(completed);
                }
            }
            match self.calls.join_next().await {
                None => return std::future::pending().await,
                Some(ended) => self.keep(ended),
            }
        }
    }

    /// Queues an ended call for [`next_completed`](Self::next_completed), unless the guest has
    /// forgotten it.
    fn keep(&mut self, ended: Result<CompletedCall, JoinError>) {
        let is_wanted = match &ended {
            Ok(completed) => self.wanted.contains_key(&completed.number),
            Err(error) => !error.is_cancelled(),
        };
        if is_wanted {
            self.completed.push_back(ended);
        }
    }
}

/// Converts an answer to the form that the guest takes.
pub(crate) fn answer_text(answer: Answer) -> AnswerText {
    match answer {
        Ok(value) => (true, String::from(Box::<str>::from(value))),
        Err(text) => (false, text),
    }
}

/// Returns the answer, or an error if it is larger than `limit` bytes.
pub(crate) fn limit_answer(answer: AnswerText, limit: u64) -> AnswerText {
    check_answer_size(answer.1.len(), limit).map_or_else(|error| (false, error), |()| answer)
}

/// Checks the size of an answer.
///
/// # Errors
/// The answer is larger than `limit` bytes.
pub(crate) fn check_answer_size(size: usize, limit: u64) -> Result<(), String> {
    // The guest takes the length as an `i32`.
    let fits = size as u64 <= limit && i32::try_from(size).is_ok();
    if fits { Ok(()) } else { Err(too_large("The answer of a host call is", limit)) }
}

/// Returns the error of a call whose part `what` is larger than `limit` bytes.
pub(crate) fn too_large(what: &str, limit: u64) -> String {
    let limit = ByteSize::b(limit).display().iec();
    format!("{what} too large: the limit is {limit}")
}

/// Returns the error if all of `what` together is too large, for a limit of `one` call.
fn too_large_together(what: &str, one: u64) -> String {
    let limit = ByteSize::b(one.saturating_mul(TOTAL_PER_CALL)).display().iec();
    format!("{what} are larger than {limit} together")
}

/// Counts an answer as unfetched. Replaces it by an error if all of them together would be too
/// large.
fn reserve_answer(
    answer: AnswerText,
    unfetched: &Arc<AtomicU64>,
    one: u64,
) -> (AnswerText, Reserved) {
    let total = one.saturating_mul(TOTAL_PER_CALL);
    if let Some(reserved) = Reserved::within(total, answer.1.len() as u64, unfetched) {
        return (answer, reserved);
    }
    let text = too_large_together("The answers that wait to be fetched", one);
    let reserved = Reserved::new(text.len() as u64, unfetched);
    ((false, text), reserved)
}

/// Returns the answer to the call of `name`, or an error after `time`.
pub(crate) fn time_out(time: Duration, name: &str, answer: PendingAnswer) -> PendingAnswer {
    let name = name.to_owned();
    Box::pin(async move {
        let late =
            |_| Err(format!("The call of {name} timed out after {}", limits::seconds(&time)));
        tokio::time::timeout(time, answer).await.unwrap_or_else(late)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn forgotten_calls_leave_nothing() {
        let mut calls = PendingCalls::default();
        for _ in 0..1000 {
            let number =
                calls.begin(0, &Limits::default(), || Box::pin(std::future::pending())).unwrap();
            calls.forget(number);
            tokio::task::yield_now().await;
        }
        assert!(calls.calls.len() < 10, "{} calls", calls.calls.len());
        assert!(calls.is_empty());
    }

    #[tokio::test]
    async fn an_answer_is_kept_while_another_call_begins() {
        let mut calls = PendingCalls::default();
        let answered =
            || -> PendingAnswer { Box::pin(std::future::ready(Err("an answer".into()))) };
        let first = calls.begin(0, &Limits::default(), answered).unwrap();
        tokio::task::yield_now().await;
        calls.begin(0, &Limits::default(), || Box::pin(std::future::pending())).unwrap();
        let completed = calls.next_completed().await.unwrap();
        assert_eq!((completed.number, completed.answer), (first, (false, "an answer".into())));
    }
}
