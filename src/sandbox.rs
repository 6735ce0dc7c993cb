//! The glass: one engine, one Python image, and a fresh instance of it for every task, under limits.
//!
//! This room knows nothing of n8n: a [`Job`] is input bytes and limits, an [`Outcome`] is JSON or a named failure. What
//! the input means is the guest's business; who answers host calls is the caller's ([`HostCalls`]).

mod host;
mod limits;
mod outcome;

use bytes::Bytes;

pub use host::{Answer, HostCalls, METHOD_NOT_ALLOWED, NoHost, PendingAnswer};
pub use limits::{Exceeded, FUEL_PER_SECOND, Limits, MAX_MEMORY};
pub use outcome::{End, Exception, ItemContext, Outcome, Usage};

/// One task to run: what it reads on standard input, and what it may use.
#[derive(Debug, Clone)]
pub struct Job {
    /// The settings JSON; [`TaskSettings::to_raw`](crate::protocol::TaskSettings::to_raw) makes it.
    pub input: Bytes,
    /// What the task may use.
    pub limits: Limits,
    /// Run with a fixed clock, and with all randomness drawn from this seed: the same input then burns exactly the same
    /// fuel, everywhere.
    pub deterministic: Option<u64>,
}
