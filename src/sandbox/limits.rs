//! The limits of a task, and the error of a task that exceeds one.

use std::time::Duration;

use bytesize::ByteSize;
use serde::{Deserialize, Serialize};

use crate::fuel::display_fuel;

/// Units of fuel that turn one second of a time limit into a fuel limit.
///
/// A core of a server of 2021 consumes about 17 G units a second in a tight loop and 20 G in sums
/// of long integers. Ordinary code consumes less. `cargo bench --bench fresh_task` measures it.
/// With 32 G a task that computes all the time reaches its time limit first, and its fuel limit
/// only on a much faster machine. Code that fills and copies memory consumes up to 50 G a second,
/// because each byte counts.
pub const FUEL_PER_SECOND: u64 = 32_000_000_000;

/// The largest memory limit in bytes: the address space of 32-bit WebAssembly.
pub const MAX_MEMORY: u64 = 4 << 30;

/// The limits of one task. A task that exceeds one ends with
/// [`Failure::Exceeded`](super::Failure::Exceeded), unless its field says otherwise.
///
/// ```
/// use std::time::Duration;
/// use serpentarium::sandbox::Limits;
///
/// let limits = Limits::default().time(Duration::from_secs(1)).memory(128 << 20);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Limits {
    /// Wall-clock time from start to result, also while the guest sleeps or waits for a host call.
    /// Default 60 s.
    pub time: Duration,
    /// Units of fuel (WebAssembly operations, roughly). Default 1.92 T: [`FUEL_PER_SECOND`] for the
    /// default time.
    pub fuel: u64,
    /// Bytes of the guest's linear memory, its interpreter (about 39 MiB) included. Default 512
    /// MiB, at most [`MAX_MEMORY`]. Python raises `MemoryError` where it can, so the code may
    /// handle it.
    pub memory: u64,
    /// Bytes of input (the settings JSON). Default 256 MiB.
    pub input: u64,
    /// Bytes of output (the reply JSON). Default 256 MiB.
    pub output: u64,
    /// Bytes of standard error that are kept. The rest is dropped, and the task goes on. Default 64
    /// KiB.
    pub stderr: u64,
    /// Number of host calls and notifications, answered or not. Default 100,000.
    pub calls: u32,
    /// Number of host calls that the guest has begun and whose answers it has not fetched. Default
    /// 1,000.
    pub in_flight: u32,
    /// Time until a host call without an answer fails. The task goes on. Default 60 s.
    pub call_time: Duration,
    /// Bytes of one host call's parameters, and of its answer. A larger call fails, and the task
    /// goes on; a larger notification ends the task. Default 64 MiB.
    pub call_bytes: u64,
    /// Bytes of all notifications (prints) together. They have no answer that would slow the guest
    /// down, so an unbounded number could fill the host's memory. Default 16 MiB.
    pub notified: u64,
    /// Bytes that all files of the task's file system can take, beside those that come with the
    /// task. A write of more raises an `OSError` with `ENOSPC`, so the code may handle it. Default
    /// [`MAX_MEMORY`]: files have no limit but the task's memory.
    pub file_bytes: u64,
    /// Number of files that the task hands back ([`Program::out`](super::Program::out)). Default
    /// 1,000.
    pub out_files: u32,
    /// Bytes of the files that the task hands back. They are a part of the output, as base64:
    /// [`output`](field@Self::output) must have room for 4/3 of them, and the result. Default 128
    /// MiB.
    pub out_bytes: u64,
}

/// Defines a chainable setter for each field.
macro_rules! setters {
    ($($field:ident: $type:ty),* $(,)?) => {
        impl Limits {
            $(
                #[doc = concat!("Sets the field `", stringify!($field), "`.")]
                #[must_use]
                pub fn $field(mut self, $field: $type) -> Self {
                    self.$field = $field;
                    self
                }
            )*
        }
    };
}

setters! {
    time: Duration,
    fuel: u64,
    memory: u64,
    input: u64,
    output: u64,
    stderr: u64,
    calls: u32,
    in_flight: u32,
    call_time: Duration,
    call_bytes: u64,
    notified: u64,
    file_bytes: u64,
    out_files: u32,
    out_bytes: u64,
}

impl Limits {
    /// The largest useful fuel limit: wasmtime counts fuel in an `i64`.
    pub const MAX_FUEL: u64 = i64::MAX as u64;

    /// Returns the limit of files for the guest, which keeps to it. `None`: it has none.
    pub(crate) fn guest_file_bytes(&self) -> Option<u64> {
        Some(self.file_bytes).filter(|bytes| *bytes < MAX_MEMORY)
    }
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
            notified: ByteSize::mib(16).as_u64(),
            file_bytes: MAX_MEMORY,
            out_files: 1_000,
            out_bytes: ByteSize::mib(128).as_u64(),
        }
    }
}

/// The limit that a task exceeded, with its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Exceeded {
    /// [`Limits::time`](field@Limits::time).
    #[error("Task execution timed out after {}", seconds(.0))]
    Time(Duration),
    /// [`Limits::fuel`](field@Limits::fuel).
    #[error("Task ran out of fuel: it consumed its limit of {} units", display_fuel(*.0))]
    Fuel(u64),
    /// [`Limits::memory`](field@Limits::memory), where Python could not raise a `MemoryError`.
    #[error("Task ran out of memory: its limit is {}", size(*.0))]
    Memory(u64),
    /// [`Limits::input`](field@Limits::input), found before the task starts.
    #[error("Task input is too large: the limit is {}", size(*.0))]
    Input(u64),
    /// [`Limits::output`](field@Limits::output).
    #[error("Task result is too large: the limit is {}", size(*.0))]
    Output(u64),
    /// [`Limits::calls`](field@Limits::calls).
    #[error("Task made too many host calls: the limit is {0}")]
    Calls(u32),
    /// [`Limits::in_flight`](field@Limits::in_flight).
    #[error("Task has too many host calls in flight: the limit is {0}")]
    InFlight(u32),
    /// [`Limits::call_bytes`](field@Limits::call_bytes), by one notification.
    #[error("Task made a host call that is too large: the limit is {}", size(*.0))]
    CallBytes(u64),
    /// [`Limits::notified`](field@Limits::notified).
    #[error("Task printed too much: the limit is {}", size(*.0))]
    Notified(u64),
    /// [`Limits::out_files`](field@Limits::out_files).
    #[error("Task handed back too many files: the limit is {0}")]
    OutFiles(u32),
    /// [`Limits::out_bytes`](field@Limits::out_bytes).
    #[error("Task handed back files that are too large: the limit is {}", size(*.0))]
    OutBytes(u64),
}

impl Exceeded {
    /// Returns whether this is a limit of these.
    #[cfg(feature = "runner")]
    pub(crate) fn is_of(&self, limits: &Limits) -> bool {
        *self
            == match self {
                Self::Time(_) => Self::Time(limits.time),
                Self::Fuel(_) => Self::Fuel(limits.fuel),
                Self::Memory(_) => Self::Memory(limits.memory),
                Self::Input(_) => Self::Input(limits.input),
                Self::Output(_) => Self::Output(limits.output),
                Self::Calls(_) => Self::Calls(limits.calls),
                Self::InFlight(_) => Self::InFlight(limits.in_flight),
                Self::CallBytes(_) => Self::CallBytes(limits.call_bytes),
                Self::Notified(_) => Self::Notified(limits.notified),
                Self::OutFiles(_) => Self::OutFiles(limits.out_files),
                Self::OutBytes(_) => Self::OutBytes(limits.out_bytes),
            }
    }

    /// Returns the limit's name in machine-readable output, such as `time` or `in-flight`.
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
            Self::Notified(_) => "notified",
            Self::OutFiles(_) => "out-files",
            Self::OutBytes(_) => "out-bytes",
        }
    }
}

/// Formats a time: `1 second`, `60 seconds`, `0.25 seconds`. Clients of the runner compare the
/// time-out's text, so this form is fixed.
pub(crate) fn seconds(time: &Duration) -> String {
    let value = time.as_secs_f64();
    if value == 1.0 { "1 second".into() } else { format!("{value} seconds") }
}

/// Formats a size: `512.0 MiB`.
pub(crate) fn size(bytes: u64) -> impl std::fmt::Display {
    ByteSize::b(bytes).display().iec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_names_its_seconds() {
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
