//! The settings of one task's limits.

use std::time::Duration;

use clap::Args;

use super::values::{calls, memory, seconds, size, stderr};
use crate::{
    fuel::parse_fuel,
    runner::variables::{
        FUEL_VAR, MAX_CALL_BYTES_VAR, MAX_CALLS_IN_FLIGHT_VAR, MAX_CALLS_VAR, MAX_INPUT_VAR,
        MAX_OUTPUT_VAR, MAX_PRINT_VAR, MAX_STDERR_VAR, MEMORY_VAR, TASK_TIMEOUT_VAR,
    },
    sandbox::{FUEL_PER_SECOND, Limits, MAX_MEMORY},
};

/// The limits of one task, as flags or environment variables.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Limits of one task")]
pub(crate) struct TaskLimitArgs {
    /// Maximum run time of a task in seconds, above 0, at most 2592000 (30 days)
    #[arg(
        long,
        env = TASK_TIMEOUT_VAR,
        default_value = "60",
        value_name = "SECONDS",
        value_parser = seconds
    )]
    pub(crate) task_timeout: Duration,

    /// Maximum fuel of a task (about one unit per WebAssembly operation), such as 500M or 180G
    /// [default: 32G per second of the task timeout]
    #[arg(long, env = FUEL_VAR, value_name = "UNITS", value_parser = parse_fuel)]
    pub(crate) fuel: Option<u64>,

    /// Maximum memory of a task, including the interpreter (about 39 MiB); from 64MiB to 4GiB
    #[arg(
        long,
        env = MEMORY_VAR,
        default_value = "512MiB",
        value_name = "SIZE",
        value_parser = memory
    )]
    pub(crate) memory: u64,

    /// Maximum size of a task's input (code and items)
    #[arg(
        long,
        env = MAX_INPUT_VAR,
        default_value = "256MiB",
        value_name = "SIZE",
        value_parser = size
    )]
    pub(crate) max_input: u64,

    /// Maximum size of a task's result
    #[arg(
        long,
        env = MAX_OUTPUT_VAR,
        default_value = "256MiB",
        value_name = "SIZE",
        value_parser = size
    )]
    pub(crate) max_output: u64,

    /// Maximum size of a task's standard error, from 1B to 512KiB; the rest is dropped
    #[arg(
        long,
        env = MAX_STDERR_VAR,
        default_value = "64KiB",
        value_name = "SIZE",
        value_parser = stderr
    )]
    pub(crate) max_stderr: u64,

    /// Maximum number of host calls of a task, prints included
    #[arg(
        long,
        env = MAX_CALLS_VAR,
        default_value = "100000",
        value_name = "N",
        value_parser = calls
    )]
    pub(crate) max_calls: u32,

    /// Maximum number of pending host calls of a task
    #[arg(
        long,
        env = MAX_CALLS_IN_FLIGHT_VAR,
        default_value = "1000",
        value_name = "N",
        value_parser = calls
    )]
    pub(crate) max_calls_in_flight: u32,

    /// Seconds until a host call without an answer fails, at most 2592000 (30 days)
    #[arg(
        long,
        env = "SERPENTARIUM_CALL_TIMEOUT",
        default_value = "60",
        value_name = "SECONDS",
        value_parser = seconds
    )]
    pub(crate) call_timeout: Duration,

    /// Maximum size of one host call's parameters, and of its answer
    #[arg(
        long,
        env = MAX_CALL_BYTES_VAR,
        default_value = "64MiB",
        value_name = "SIZE",
        value_parser = size
    )]
    pub(crate) max_call_bytes: u64,

    /// Maximum size of all prints of a task
    #[arg(
        long,
        env = MAX_PRINT_VAR,
        default_value = "16MiB",
        value_name = "SIZE",
        value_parser = size
    )]
    pub(crate) max_print: u64,

    /// Maximum size of all files of a task together [default: its memory]
    #[arg(long, env = "SERPENTARIUM_MAX_FILE_BYTES", value_name = "SIZE", value_parser = size)]
    pub(crate) max_file_bytes: Option<u64>,
}

impl TaskLimitArgs {
    /// Returns the sandbox's limits.
    pub(crate) fn limits(&self) -> Limits {
        let by_time = (self.task_timeout.as_secs_f64() * FUEL_PER_SECOND as f64) as u64;
        Limits {
            time: self.task_timeout,
            fuel: self.fuel.unwrap_or(by_time.max(1)),
            memory: self.memory,
            input: self.max_input,
            output: self.max_output,
            stderr: self.max_stderr,
            calls: self.max_calls,
            in_flight: self.max_calls_in_flight,
            call_time: self.call_timeout,
            call_bytes: self.max_call_bytes,
            notified: self.max_print,
            file_bytes: self.max_file_bytes.unwrap_or(MAX_MEMORY),
            // No task of a broker hands files back.
            ..Limits::default()
        }
    }
}
