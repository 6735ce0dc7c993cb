//! Locks a worker in: the second boundary, held by the operating system.
//!
//! After its set-up a worker needs memory, its pipe and a clock. [`lock_down`] takes away the rest,
//! so that code which broke out of the engine reaches nothing: no file, no network, no other
//! process, no new program and no new native code. The parent withholds its memory and environment
//! from processes of the same user (`dumpable`).
//!
//! | file | task |
//! |---|---|
//! | `mode` | [`Lockdown`]: how much the operating system must grant |
//! | `report` | which parts hold, as the worker tells the parent |
//! | `steps` | applies the parts in their order |
//! | `calls` | the system calls that a worker may make |
//! | `filter` | compiles them to a seccomp filter |
//! | `landlock` | file system, network and signals |
//! | `dumpable` | core dumps and tracing |
//! | `watch` | the parent's record of the reports |

mod calls;
mod dumpable;
mod filter;
mod landlock;
mod mode;
mod report;
mod steps;
mod watch;

#[cfg(feature = "cli")]
pub(crate) use dumpable::{set_dumpable, while_dumpable};
pub use mode::{Lockdown, UnknownLockdown};
pub(crate) use report::LockdownReport;
pub(crate) use steps::lock_down;
pub(crate) use watch::LockdownWatch;
