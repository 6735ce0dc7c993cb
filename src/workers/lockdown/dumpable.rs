//! Core dumps and tracing of the own process.
//!
//! A process that is not dumpable withholds its memory, environment and descriptors from other
//! processes of its user, and writes no core dump ([PR_SET_DUMPABLE(2const)]). It can no longer
//! open its own `/proc/self/pagemap`, either, unless it is privileged: the kernel gives the file to
//! root. wasmtime and the reset of memory open it once.
//!
//! [PR_SET_DUMPABLE(2const)]: https://man7.org/linux/man-pages/man2/PR_SET_DUMPABLE.2const.html

use std::io;

use rustix::process::{DumpableBehavior, set_dumpable_behavior};

/// Sets whether other processes of the user may read and trace this one.
///
/// # Errors
/// The kernel refuses it.
pub(crate) fn set_dumpable(dumpable: bool) -> io::Result<()> {
    let behavior =
        if dumpable { DumpableBehavior::Dumpable } else { DumpableBehavior::NotDumpable };
    Ok(set_dumpable_behavior(behavior)?)
}

/// Runs `build` while the process is dumpable, as the set-up of a sandbox requires. `main` has made
/// the process undumpable before.
#[cfg(feature = "cli")]
pub(crate) fn while_dumpable<T>(build: impl FnOnce() -> T) -> T {
    // Both are best effort: without them the sandbox works, with a slower reset of memory.
    let _ = set_dumpable(true);
    let built = build();
    let _ = set_dumpable(false);
    built
}
