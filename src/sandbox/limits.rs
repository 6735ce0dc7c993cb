//! What one task may use. Every limit has a default that an ordinary n8n node never meets.

use std::time::Duration;

use bytesize::ByteSize;
use serde::{Deserialize, Serialize};

use crate::fuel::display_fuel;

/// Fuel that one second of busy Python burns, roughly: the ratio that turns a time-out into a fuel limit.
///
/// A core of a server of 2021 burns 17 thousand million units a second in a tight loop, 20 in sums of long integers, less in
/// ordinary code (`cargo bench --bench fresh_task` prints it for the machine at hand), so a task that computes all the time
/// meets its time-out first, and its fuel limit on a machine that is much faster. What fills and copies memory all the time
/// burns more, up to 50, for each byte counts.
pub const FUEL_PER_SECOND: u64 = 32_000_000_000;

/// The limits of one task. A task that goes over one ends with [`End::Exceeded`](super::End::Exceeded).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Wall-clock time from start to result, also while the guest sleeps or waits for a host call. Default 60 s.
    pub time: Duration,
    /// Units of fuel (WebAssembly operations, roughly). Default 1.92 T: about as long as the default time.
    pub fuel: u64,
    /// Linear memory of the guest in bytes, its interpreter (about 33 MiB) included. Default 512 MiB, at most 4 GiB.
    pub memory: u64,
    /// Bytes of input (the settings JSON). Default 256 MiB.
    pub input: u64,
    /// Bytes of output (the reply JSON). Default 256 MiB.
    pub output: u64,
    /// Bytes of standard error kept; what comes after is dropped, the task goes on. Default 64 KiB.
    pub stderr: u64,
    /// Number of host calls, answered or not. Default 100,000.
    pub calls: u32,
    /// Host calls that were begun and whose answers were not fetched yet, at once. Default 1,000.
    pub in_flight: u32,
    /// Time until a host call without an answer fails; the task goes on. Default 60 s.
    pub call_time: Duration,
    /// Bytes of one host call's parameters, and of its answer: one that is larger fails, and ends the task only where it
    /// is a print. Default 64 MiB.
    pub call_bytes: u64,
    /// Bytes that a task may tell the host (print) in all: nobody waits for what is told, so it could pile up.
    /// Default 16 MiB.
    pub told: u64,
}

impl Limits {
    /// The most fuel that can be told apart from less: for whom another limit is enough.
    pub const MOST_FUEL: u64 = i64::MAX as u64;
}

impl Default for Limits {
    fn default() -> Self {
        let time = Duration::from_secs(60);
        Self {
            time,
            fuel: time.as_secs() * FUEL_PER_SECOND,
            memory: ByteSize::mib(512).as_u64(),
            input: ByteSize::mib(256).as_u64(),
            output: ByteSize::mib(256).as_u64(),
            stderr: ByteSize::kib(64).as_u64(),
            calls: 100_000,
            in_flight: 1_000,
            call_time: Duration::from_secs(60),
            call_bytes: ByteSize::mib(64).as_u64(),
            told: ByteSize::mib(16).as_u64(),
        }
    }
}

/// The largest memory limit: all that 32-bit WebAssembly can address.
pub const MAX_MEMORY: u64 = 4 << 30;

/// A limit that a task went over, with the limit's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "camelCase")]
pub enum Exceeded {
    /// Wall-clock time. The text is the one that n8n's own runner gives.
    #[error("Task execution timed out after {}", seconds(.0))]
    Time(Duration),
    /// Fuel.
    #[error("Task ran out of fuel: it burnt its limit of {} units", display_fuel(*.0))]
    Fuel(u64),
    /// Memory, where Python could not report a `MemoryError` itself.
    #[error("Task ran out of memory: its limit is {}", size(*.0))]
    Memory(u64),
    /// Size of the input, found before the task starts.
    #[error("Task input is too large: the limit is {}", size(*.0))]
    Input(u64),
    /// Size of the output.
    #[error("Task result is too large: the limit is {}", size(*.0))]
    Output(u64),
    /// Number of host calls.
    #[error("Task made too many host calls: the limit is {0}")]
    Calls(u32),
    /// Number of host calls in flight at once.
    #[error("Task has too many host calls in flight: the limit is {0}")]
    InFlight(u32),
    /// Size of what was told at once.
    #[error("Task made a host call that is too large: the limit is {}", size(*.0))]
    CallBytes(u64),
    /// Size of all that was told together.
    #[error("Task printed too much: the limit is {}", size(*.0))]
    Told(u64),
}

impl Exceeded {
    /// The name of the limit, as settings and machine-readable output spell it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Time(_) => "time",
            Self::Fuel(_) => "fuel",
            Self::Memory(_) => "memory",
            Self::Input(_) => "input",
            Self::Output(_) => "output",
            Self::Calls(_) => "calls",
            Self::InFlight(_) => "in-flight",
            Self::CallBytes(_) => "call-bytes",
            Self::Told(_) => "told",
        }
    }
}

/// `1 second`, `60 seconds`, `0.25 seconds`: the form that n8n's own runner uses.
pub(crate) fn seconds(time: &Duration) -> String {
    let value = time.as_secs_f64();
    if value == 1.0 { "1 second".into() } else { format!("{value} seconds") }
}

fn size(bytes: u64) -> impl std::fmt::Display {
    ByteSize::b(bytes).display().iec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_reads_like_n8ns_own() {
        let text = |ms| Exceeded::Time(Duration::from_millis(ms)).to_string();
        assert_eq!(text(60_000), "Task execution timed out after 60 seconds");
        assert_eq!(text(1_000), "Task execution timed out after 1 second");
        assert_eq!(text(250), "Task execution timed out after 0.25 seconds");
    }

    #[test]
    fn a_size_limit_is_named_with_its_value() {
        assert_eq!(
            Exceeded::Memory(512 << 20).to_string(),
            "Task ran out of memory: its limit is 512.0 MiB"
        );
    }
}
