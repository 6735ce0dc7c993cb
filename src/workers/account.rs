//! What one job may still send to its parent.
//!
//! A worker enforces the limits of its jobs. The parent counts again, before it reads a payload: a
//! guest may have taken the worker over. The counts are exact. Each is at most the worker's own at
//! the time of the event, because the pipe keeps the order of events.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{fault::Violation, in_flight::InFlight, pipe::WorkerEvent};
use crate::sandbox::{Exit, FORGET, Limits, MAX_MEMORY, TOTAL_PER_CALL, Usage, is_call_name};

/// Bytes of standard error for each byte that the guest wrote: U+FFFD replaces an invalid one.
const STDERR_PER_BYTE: u64 = 3;

/// Difference between the duration that a worker states and the one that its parent measures. Both
/// read the same clock, so this only covers rounding.
const CLOCK_SLACK: Duration = Duration::from_millis(100);

/// The counts of one job.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    limits: Limits,
    /// The time at which the parent gave the job to the worker.
    begun: Instant,
    /// Calls and notifications so far.
    requests: u32,
    /// Calls so far.
    calls: u32,
    /// Calls so far that the worker stopped waiting for.
    dropped: u32,
    /// Bytes of notifications so far.
    notified: u64,
    /// Bytes of standard error so far.
    stderr: u64,
    in_flight: Arc<InFlight>,
}

impl Account {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            begun: Instant::now(),
            requests: 0,
            calls: 0,
            dropped: 0,
            notified: 0,
            stderr: 0,
            in_flight: Arc::default(),
        }
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(crate) fn in_flight(&self) -> &Arc<InFlight> {
        &self.in_flight
    }

    /// Returns whether the job made a call. Its end may still be on the way when the job ends.
    pub(crate) fn has_called(&self) -> bool {
        self.calls > 0
    }

    /// Returns the time since the worker got the job.
    pub(crate) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Returns the bytes that all calls without an answer may have together, and separately all
    /// answers on their way. A guest counts the calls that it started; one more may block it.
    pub(crate) fn total_bytes(limits: &Limits) -> u64 {
        limits.call_bytes.saturating_mul(TOTAL_PER_CALL + 1)
    }

    /// Counts an event of the job whose payload has `size` bytes. Its payload is not read yet.
    ///
    /// # Errors
    /// The event is over a limit of the job, or contradicts an earlier one.
    pub(crate) fn admit(&mut self, event: &WorkerEvent, size: u64) -> Result<(), Violation> {
        match event {
            WorkerEvent::Call { call, name, .. } => self.call(*call, name, size),
            WorkerEvent::Notify { name, .. } => self.notify(name, size),
            WorkerEvent::Stderr { .. } => self.stderr(size),
            WorkerEvent::DropCall { call, .. } => self.drop_call(*call, size),
            WorkerEvent::Done { exit, usage, stderr, .. } => self.done(exit, usage, stderr, size),
            WorkerEvent::Ready { .. } | WorkerEvent::Pong => Ok(()),
        }
    }

    fn call(&mut self, call: u64, name: &str, size: u64) -> Result<(), Violation> {
        self.request(name, size)?;
        self.calls = self.calls.saturating_add(1);
        let (calls, bytes) = self.in_flight.begin_call(call, size).ok_or(Violation::ReusedCall)?;
        let what = "parameters of host calls without an answer";
        Violation::check_bytes(what, bytes, Self::total_bytes(&self.limits))?;
        // One more call than the guest may start: the one that blocks it.
        let most = u64::from(self.limits.in_flight) + 1;
        Violation::check_number("host calls in flight", calls as u64, most)
    }

    fn notify(&mut self, name: &str, size: u64) -> Result<(), Violation> {
        self.request(name, size)?;
        if name == FORGET {
            return Err(Violation::Name);
        }
        self.notified = self.notified.saturating_add(size);
        Violation::check_bytes("all prints", self.notified, self.limits.notified)
    }

    /// A worker sends no empty piece, so the number of pieces has the same limit.
    fn stderr(&mut self, size: u64) -> Result<(), Violation> {
        self.stderr = self.stderr.saturating_add(size.max(1));
        Violation::check_bytes("standard error", self.stderr, self.limits.stderr)
    }

    /// Counts a call or a notification.
    fn request(&mut self, name: &str, size: u64) -> Result<(), Violation> {
        if !is_call_name(name) {
            return Err(Violation::Name);
        }
        Violation::check_bytes("parameters of a host call", size, self.limits.call_bytes)?;
        self.requests = self.requests.saturating_add(1);
        let (requests, limit) = (u64::from(self.requests), u64::from(self.limits.calls));
        Violation::check_number("host calls", requests, limit)
    }

    /// The call may have its answer already, which then crosses this event on the pipe. Or it never
    /// left the worker, whose queue was full.
    fn drop_call(&mut self, call: u64, size: u64) -> Result<(), Violation> {
        Violation::check_bytes("bytes behind the end of a call", size, 0)?;
        self.dropped = self.dropped.saturating_add(1);
        let (dropped, limit) = (u64::from(self.dropped), u64::from(self.limits.calls));
        Violation::check_number("ended host calls", dropped, limit)?;
        self.in_flight.end_call(call);
        Ok(())
    }

    fn done(&self, exit: &Exit, usage: &Usage, stderr: &str, size: u64) -> Result<(), Violation> {
        let limits = &self.limits;
        Violation::check_bytes("output", size, limits.output)?;
        let most = limits.stderr.saturating_mul(STDERR_PER_BYTE);
        Violation::check_bytes("standard error", stderr.len() as u64, most)?;
        Violation::check_number("units of fuel", usage.fuel, limits.fuel)?;
        let memory = match exit {
            // An instance may be larger than the limit before its task begins.
            Exit::Exceeded(_) => MAX_MEMORY,
            _ => limits.memory,
        };
        Violation::check_bytes("memory", usage.memory, memory)?;
        let longest = self.elapsed() + CLOCK_SLACK;
        if usage.duration > longest {
            return Err(Violation::Duration { got: usage.duration, limit: longest });
        }
        match exit {
            Exit::Exceeded(exceeded) if !exceeded.is_of(limits) => Err(Violation::ForeignLimit),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;
    use crate::sandbox::Exceeded;

    fn limits() -> Limits {
        Limits::default()
            .calls(10)
            .in_flight(2)
            .call_bytes(100)
            .notified(150)
            .output(1000)
            .stderr(5)
    }

    fn call(call: u64) -> WorkerEvent {
        WorkerEvent::Call { job: 0, call, name: "a.b-c_1".into() }
    }

    fn notify() -> WorkerEvent {
        WorkerEvent::Notify { job: 0, name: "log".into() }
    }

    fn done(exit: Exit, change: impl FnOnce(&mut Usage), stderr: &str) -> WorkerEvent {
        let mut usage = Usage { fuel: 1, memory: 1, duration: Duration::ZERO };
        change(&mut usage);
        WorkerEvent::Done { job: 0, exit, usage, stderr: stderr.into() }
    }

    /// Returns the first refusal of these events.
    fn refusal(events: impl IntoIterator<Item = (WorkerEvent, u64)>) -> Option<String> {
        let mut account = Account::new(limits());
        let refused =
            events.into_iter().find_map(|(event, size)| account.admit(&event, size).err());
        refused.map(|violation| violation.to_string())
    }

    fn assert_refused(events: impl IntoIterator<Item = (WorkerEvent, u64)>, text: &str) {
        let refused = refusal(events).expect("it is refused");
        assert!(refused.contains(text), "{refused}");
    }

    #[test]
    fn bytes_of_a_call_obeyed_and_violated() {
        assert_eq!(refusal([(call(1), 100)]), None);
        assert_refused([(call(1), 101)], "parameters of a host call: 101 B where 100 B");
        assert_refused([(notify(), 101)], "parameters of a host call");
    }

    #[test]
    fn calls_in_flight_obeyed_and_violated() {
        assert_eq!(refusal((0..3).map(|n| (call(n), 1))), None);
        assert_refused((0..4).map(|n| (call(n), 1)), "host calls in flight: 4 where 3 are allowed");
        let ended = (0..8).map(|n| match n % 2 {
            0 => (call(n), 1),
            _ => (WorkerEvent::DropCall { job: 0, call: n - 1 }, 0),
        });
        assert_eq!(refusal(ended), None);
        assert_refused([(call(1), 1), (call(1), 1)], "the number of another one");
    }

    #[test]
    fn bytes_in_flight_obeyed_and_violated() {
        let account = |calls: u64| {
            let mut account = Account::new(limits().in_flight(100));
            (0..calls).try_for_each(|n| account.admit(&call(n), 100)).map(|()| account)
        };
        assert!(account(5).is_ok());
        let text = account(6).unwrap_err().to_string();
        assert!(text.contains("without an answer: 600 B where 500 B"), "{text}");
        let mut account = account(5).unwrap();
        assert!(account.in_flight().end_call(0) && !account.in_flight().end_call(0));
        assert_eq!(account.admit(&call(9), 100), Ok(()));
    }

    #[test]
    fn the_number_of_requests_obeyed_and_violated() {
        assert_eq!(refusal((0..10).map(|_| (notify(), 1))), None);
        assert_refused((0..11).map(|_| (notify(), 1)), "host calls: 11 where 10 are allowed");
        let drops = |count| (0..count).map(|call| (WorkerEvent::DropCall { job: 0, call }, 0));
        assert_eq!(refusal(drops(10)), None);
        assert_refused(drops(11), "ended host calls: 11");
        assert_refused(
            [(WorkerEvent::DropCall { job: 0, call: 0 }, 1)],
            "behind the end of a call",
        );
    }

    #[test]
    fn bytes_of_prints_obeyed_and_violated() {
        assert_eq!(refusal([(notify(), 100), (notify(), 50)]), None);
        assert_refused([(notify(), 100), (notify(), 51)], "all prints: 151 B where 150 B");
    }

    #[test]
    fn names_obeyed_and_violated() {
        let named = |name: &str| {
            let name = name.to_owned();
            [(WorkerEvent::Notify { job: 0, name }, 0)]
        };
        assert_eq!(refusal(named(&"x".repeat(64))), None);
        for bad in ["", "a b", "é", "a\n", "sandbox.forget", &"x".repeat(65)] {
            assert_refused(named(bad), "a name that no host call has");
        }
    }

    #[test]
    fn output_and_standard_error_obeyed_and_violated() {
        let ended = |stderr: &str, size| [(done(Exit::Output, |_| {}, stderr), size)];
        // Each byte of standard error may have become U+FFFD.
        assert_eq!(refusal(ended("\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}", 1000)), None);
        assert_refused(ended("", 1001), "output: 1001 B where 1000 B");
        assert_refused(ended("0123456789abcdef", 0), "standard error: 16 B where 15 B");
    }

    #[test]
    fn pieces_of_standard_error_obeyed_and_violated() {
        let piece = |size| (WorkerEvent::Stderr { job: 0 }, size);
        assert_eq!(refusal([piece(2), piece(3)]), None);
        assert_refused([piece(2), piece(4)], "standard error: 6 B where 5 B");
        // An empty piece counts as one byte.
        assert_refused((0..6).map(|_| piece(0)), "standard error: 6 B where 5 B");
    }

    #[test]
    fn usage_that_can_and_that_cannot_be_true() {
        let used = |change: fn(&mut Usage)| [(done(Exit::Output, change, ""), 0)];
        let most = limits();
        let mut all = Account::new(limits());
        let at_most = done(Exit::Output, |u| (u.fuel, u.memory) = (most.fuel, most.memory), "");
        assert_eq!(all.admit(&at_most, 0), Ok(()));
        assert_refused(used(|usage| usage.fuel = limits().fuel + 1), "units of fuel");
        assert_refused(used(|usage| usage.memory = limits().memory + 1), "memory: 512");
        assert_refused(used(|usage| usage.duration = Duration::from_secs(1)), "a stated duration");
        assert_refused(used(|usage| usage.duration = Duration::MAX), "a stated duration");
    }

    #[test]
    fn a_task_ends_by_its_own_limits_only() {
        let by = |limit| [(done(Exit::Exceeded(limit), |_| {}, ""), 0)];
        assert_eq!(refusal(by(Exceeded::Time(limits().time))), None);
        assert_refused(by(Exceeded::Time(Duration::MAX)), "a limit which it does not have");
        // An instance may be larger than its task's limit.
        let memory = Exit::Exceeded(Exceeded::Memory(limits().memory));
        assert_eq!(refusal([(done(memory, |usage| usage.memory = MAX_MEMORY, ""), 0)]), None);
    }

    proptest! {
        /// Whatever a worker sends, the admitted bytes stay within the sums.
        #[test]
        fn admitted_bytes_stay_within_the_sums(
            events in prop::collection::vec((0..3_u8, 0..6_u64, 0..130_u64), 0..60),
        ) {
            let mut account = Account::new(limits());
            let (mut held, mut notified) = (HashMap::new(), 0);
            for (kind, number, size) in events {
                let event = match kind {
                    0 => call(number),
                    1 => notify(),
                    _ => WorkerEvent::DropCall { job: 0, call: number },
                };
                let size = if kind == 2 { 0 } else { size };
                if account.admit(&event, size).is_err() {
                    break;
                }
                match kind {
                    0 => drop(held.insert(number, size)),
                    1 => notified += size,
                    _ => drop(held.remove(&number)),
                }
                prop_assert!(held.values().sum::<u64>() <= 500 && held.len() <= 3);
                prop_assert!(notified <= 150);
            }
        }
    }
}
