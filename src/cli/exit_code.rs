//! The exit codes of `exec`, `bench` and `profile`. Scripts rely on them.

use crate::sandbox::Failure;

/// The code raised an exception, or a file could not be read or written.
pub(crate) const RAISED: u8 = 1;
/// The command line is wrong.
pub(crate) const USAGE: u8 = 2;
/// A limit stopped the task.
const EXCEEDED: u8 = 3;
/// Python stopped unexpectedly, or runs that must be equal differ.
pub(crate) const BROKEN: u8 = 4;
/// A program consumed more fuel than its budget.
pub(crate) const OVER_BUDGET: u8 = 5;
/// The sandbox failed.
const HOST_FAULT: u8 = 6;

/// Returns the exit code for the outcome of a program.
pub(crate) fn of_result<T>(result: &Result<T, Failure>) -> u8 {
    match result {
        Ok(_) => 0,
        Err(Failure::Raised(_)) => RAISED,
        Err(Failure::Exceeded(_)) => EXCEEDED,
        Err(Failure::Broken(_)) => BROKEN,
        Err(Failure::HostFault(_) | Failure::WorkerLost(_)) => HOST_FAULT,
    }
}
