//! The reasons for which the parent stops a worker.

use std::{io, time::Duration};

use bytesize::ByteSize;

use super::{error::WorkersError, frame_reader::FrameError};
use crate::sandbox::{BadParams, seconds};

/// Why the parent stops a worker.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WorkerFault {
    /// Its pipe failed, or carried no frames.
    #[error("its pipe failed: {0}")]
    Pipe(#[from] FrameError),
    /// It sent what a correct worker never sends. A guest may have taken it over.
    #[error("it broke a limit: {0}")]
    Violation(#[from] Violation),
    /// It answered no ping for this long.
    #[error("it did not move for {} s", .0.as_secs())]
    Silent(Duration),
    /// Its lockdown lacks a part that is required.
    #[error(transparent)]
    Lockdown(#[from] WorkersError),
    /// It did not end a job with this time limit.
    #[error("it did not end a task whose time limit is {}", seconds(.0))]
    Overtime(Duration),
}

impl From<io::Error> for WorkerFault {
    fn from(error: io::Error) -> Self {
        Self::Pipe(error.into())
    }
}

impl WorkerFault {
    /// Returns whether only a broken or hostile worker does this.
    pub(crate) fn is_violation(&self) -> bool {
        match self {
            Self::Violation(_) => true,
            Self::Pipe(error) => error.is_violation(),
            Self::Silent(_) | Self::Lockdown(_) | Self::Overtime(_) => false,
        }
    }
}

/// An event that a correct worker never sends. A worker enforces the limits of its jobs, so the
/// parent meets one over a limit only if the worker is broken or taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Violation {
    #[error("{what}: {} where {} are allowed", size(.got), size(.limit))]
    Bytes { what: &'static str, got: u64, limit: u64 },
    #[error("{what}: {got} where {limit} are allowed")]
    Number { what: &'static str, got: u64, limit: u64 },
    #[error("a stated duration of {} in a task that runs for {}", seconds(.got), seconds(.limit))]
    Duration { got: Duration, limit: Duration },
    #[error("a task that ended by a limit which it does not have")]
    ForeignLimit,
    #[error("an event of a task that it does not run")]
    UnknownJob,
    #[error("a call with the number of another one")]
    ReusedCall,
    #[error("a name that no host call has")]
    Name,
    #[error(transparent)]
    Params(#[from] BadParams),
    #[error("an answer to a ping that was not sent")]
    UnknownPong,
    #[error("an event before it said that it is ready")]
    NotReady,
    #[error("it was ready twice")]
    ReadyTwice,
}

impl Violation {
    /// Checks a number of bytes.
    pub(crate) fn check_bytes(what: &'static str, got: u64, limit: u64) -> Result<(), Self> {
        if got <= limit { Ok(()) } else { Err(Self::Bytes { what, got, limit }) }
    }

    /// Checks a number of things.
    pub(crate) fn check_number(what: &'static str, got: u64, limit: u64) -> Result<(), Self> {
        if got <= limit { Ok(()) } else { Err(Self::Number { what, got, limit }) }
    }
}

fn size(bytes: &u64) -> impl std::fmt::Display {
    ByteSize::b(*bytes).display().iec()
}
