//! The limits of one task: their names, defaults and ranges.

use std::time::Duration;

use clap::Args;

use super::values::{calls, memory, seconds, size, stderr};
use crate::{
    fuel::parse_fuel,
    runner::variables::{
        FUEL_VAR, MAX_CALL_BYTES_VAR, MAX_CALLS_IN_FLIGHT_VAR, MAX_CALLS_VAR, MAX_INPUT_VAR,
        MAX_OUTPUT_VAR, MAX_PRINT_VAR, MEMORY_VAR, TASK_TIMEOUT_VAR,
    },
    sandbox::{FUEL_PER_SECOND, Limits},
};

/// The limits of one task, as flags or environment variables.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Limits of one task")]
pub struct LimitArgs {
    /// Seconds that a task may take
    #[arg(long, env = TASK_TIMEOUT_VAR, default_value = "60", value_name = "SECONDS", value_parser = seconds)]
    pub task_timeout: Duration,

    /// Fuel that a task may burn (WebAssembly operations, roughly), such as 500M or 180G [default: about as much as the time-out allows]
    #[arg(long, env = FUEL_VAR, value_name = "UNITS", value_parser = parse_fuel)]
    pub fuel: Option<u64>,

    /// Memory of a task, its interpreter (about 33 MiB) included; from 64MiB to 4GiB
    #[arg(long, env = MEMORY_VAR, default_value = "512MiB", value_name = "SIZE", value_parser = memory)]
    pub memory: u64,

    /// The largest input (code and items)
    #[arg(long, env = MAX_INPUT_VAR, default_value = "256MiB", value_name = "SIZE", value_parser = size)]
    pub max_input: u64,

    /// The largest result
    #[arg(long, env = MAX_OUTPUT_VAR, default_value = "256MiB", value_name = "SIZE", value_parser = size)]
    pub max_output: u64,

    /// How much of a task's standard error is kept
    #[arg(long, env = "SERPENTARIUM_MAX_STDERR", default_value = "64KiB", value_name = "SIZE", value_parser = stderr)]
    pub max_stderr: u64,

    /// Host calls (prints among them) that a task may make
    #[arg(
        long,
        env = MAX_CALLS_VAR,
        default_value = "100000",
        value_name = "N",
        value_parser = calls
    )]
    pub max_calls: u32,

    /// Host calls that a task may have in flight at once
    #[arg(long, env = MAX_CALLS_IN_FLIGHT_VAR, default_value = "1000", value_name = "N", value_parser = calls)]
    pub max_calls_in_flight: u32,

    /// Seconds until a host call without an answer fails
    #[arg(long, env = "SERPENTARIUM_CALL_TIMEOUT", default_value = "60", value_name = "SECONDS", value_parser = seconds)]
    pub call_timeout: Duration,

    /// The largest parameters, and the largest answer, of one host call
    #[arg(long, env = MAX_CALL_BYTES_VAR, default_value = "64MiB", value_name = "SIZE", value_parser = size)]
    pub max_call_bytes: u64,

    /// What a task may print in all
    #[arg(long, env = MAX_PRINT_VAR, default_value = "16MiB", value_name = "SIZE", value_parser = size)]
    pub max_print: u64,
}

impl LimitArgs {
    /// The limits, as the sandbox takes them.
    pub fn limits(&self) -> Limits {
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
            told: self.max_print,
        }
    }
}
