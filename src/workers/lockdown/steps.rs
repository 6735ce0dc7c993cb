//! Applies the parts of the lockdown.

use std::{io, os::fd::AsRawFd};

use rustix::{
    process::{Resource, Rlimit, setrlimit},
    thread::set_no_new_privs,
};

use super::{
    dumpable::set_dumpable,
    filter, landlock,
    report::{LockdownReport, Part},
};
use crate::platform::process::PipeReader;

/// Limits of resources, for as much as the other parts do not hold:
///
/// - `Fsize`: no file grows.
/// - `Core`: no core dump.
/// - `Nofile`: no new descriptor. The open ones stay.
///
/// `Nproc` is absent: it counts the threads of all processes of the user, so each value that stops
/// a fork can refuse the runtime's next thread. `As` is absent: the pool reserves 4 GiB of address
/// space for each slot, so no value bounds memory. A control group does (docs/security.md).
const NONE_LEFT: [Resource; 3] = [Resource::Fsize, Resource::Core, Resource::Nofile];

/// Locks this process in. It must have one thread, and all descriptors that it needs. `pipe` is the
/// connection to the parent.
///
/// The order matters:
///
/// 1. Not dumpable: `/proc/self/pagemap` must be open before.
/// 2. `no_new_privs`, which the kernel requires for 3 and 5.
/// 3. Landlock needs a descriptor, which 4 forbids.
/// 4. Limits of resources.
/// 5. The filter of system calls, which forbids all of the above.
pub(crate) fn lock_down(pipe: &PipeReader) -> LockdownReport {
    let mut report = LockdownReport::default();
    let alone = has_one_thread();
    report.record(Part::Undumpable, set_dumpable(false));
    report.record(Part::NoNewPrivileges, set_no_new_privs(true).map_err(io::Error::from));
    let landlock = alone.and_then(|()| landlock::restrict());
    report.landlock = landlock.as_ref().map_or(0, |version| *version);
    report.record(Part::Landlock, landlock.map(drop));
    report.record(Part::Limits, limit_resources());
    report.record(Part::SystemCalls, filter::install(pipe.as_ref().as_raw_fd()));
    report
}

/// Fails if there is another thread: Landlock restricts the calling thread only.
fn has_one_thread() -> io::Result<()> {
    match std::fs::read_dir("/proc/self/task")?.count() {
        0 | 1 => Ok(()),
        _ => Err(io::Error::from_raw_os_error(libc::EBUSY)),
    }
}

fn limit_resources() -> io::Result<()> {
    for resource in NONE_LEFT {
        setrlimit(resource, Rlimit { current: Some(0), maximum: Some(0) })?;
    }
    Ok(())
}
