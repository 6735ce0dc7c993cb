//! The lockdown of systems for which there is none yet: it reports that every part is missing.

use std::io;

use super::report::{LockdownReport, Part};
use crate::platform::process::PipeReader;

/// Locks nothing in.
pub(crate) fn lock_down(_pipe: &PipeReader) -> LockdownReport {
    let mut report = LockdownReport::default();
    for part in Part::ALL {
        report.record(part, Err(io::ErrorKind::Unsupported.into()));
    }
    report
}

/// Fails: other processes of the user may read this one.
#[cfg(feature = "cli")]
pub(crate) fn set_dumpable(_dumpable: bool) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Runs `build`.
#[cfg(feature = "cli")]
pub(crate) fn while_dumpable<T>(build: impl FnOnce() -> T) -> T {
    build()
}
