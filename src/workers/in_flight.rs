//! The calls of a job that wait for an answer, and the answers on their way to the worker.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex},
};

use crate::sync::lock;

/// The calls of a job that wait for an answer, and the answers on their way to the worker.
#[derive(Debug, Default)]
pub(crate) struct InFlight(Mutex<InFlightState>);

#[derive(Debug, Default)]
struct InFlightState {
    /// Bytes of parameters by call.
    calls: HashMap<u64, u64>,
    /// The sum of `calls`.
    parameters: u64,
    /// Bytes of answers that the pipe has not taken.
    answers: u64,
}

impl InFlight {
    /// Begins a call. Returns the number of calls, and the bytes of their parameters. `None`: a
    /// call with this number has not ended.
    pub(crate) fn begin_call(&self, call: u64, size: u64) -> Option<(usize, u64)> {
        let state = &mut *lock(&self.0);
        let Entry::Vacant(entry) = state.calls.entry(call) else { return None };
        entry.insert(size);
        state.parameters += size;
        Some((state.calls.len(), state.parameters))
    }

    /// Ends a call: it has its answer, or the worker does not want one. Returns false if it ended
    /// before.
    pub(crate) fn end_call(&self, call: u64) -> bool {
        let mut state = lock(&self.0);
        let Some(bytes) = state.calls.remove(&call) else { return false };
        state.parameters -= bytes;
        true
    }
}

/// The text of an answer, which counts until the pipe has taken it.
pub(crate) struct CountedAnswer {
    text: String,
    in_flight: Arc<InFlight>,
}

impl CountedAnswer {
    /// Counts an answer. Returns an error text in its place if all of them together would be over
    /// `limit` bytes: the worker does not read them.
    pub(crate) fn new(text: String, limit: u64, in_flight: Arc<InFlight>) -> Result<Self, String> {
        let mut state = lock(&in_flight.0);
        let bytes = text.len() as u64;
        if state.answers.saturating_add(bytes) > limit {
            return Err("the answers on their way to the task are too large together".into());
        }
        state.answers += bytes;
        drop(state);
        Ok(Self { text, in_flight })
    }
}

impl AsRef<[u8]> for CountedAnswer {
    fn as_ref(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

impl Drop for CountedAnswer {
    fn drop(&mut self) {
        lock(&self.in_flight.0).answers -= self.text.len() as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_count_until_the_pipe_has_taken_them() {
        let in_flight = Arc::new(InFlight::default());
        let answer = |size: usize| CountedAnswer::new("x".repeat(size), 100, in_flight.clone());
        let first = answer(60).unwrap();
        assert_eq!(first.as_ref().len(), 60);
        assert!(answer(41).is_err());
        let _second = answer(40).unwrap();
        drop(first);
        assert!(answer(60).is_ok());
    }
}
