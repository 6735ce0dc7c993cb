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
//! | `nothing` | the lockdown of systems for which there is none yet |
//! | `watch` | the parent's record of the reports |

#[cfg(target_os = "linux")]
mod calls;
#[cfg(target_os = "linux")]
mod dumpable;
#[cfg(target_os = "linux")]
mod filter;
#[cfg(target_os = "linux")]
mod landlock;
mod mode;
#[cfg(not(target_os = "linux"))]
mod nothing;
mod report;
#[cfg(target_os = "linux")]
mod steps;
mod watch;

#[cfg(not(target_os = "linux"))]
pub(crate) use nothing::lock_down;
#[cfg(all(feature = "cli", not(target_os = "linux")))]
pub(crate) use nothing::{set_dumpable, while_dumpable};

#[cfg(all(feature = "cli", target_os = "linux"))]
pub(crate) use dumpable::{set_dumpable, while_dumpable};
pub use mode::{Lockdown, UnknownLockdown};
pub(crate) use report::LockdownReport;
#[cfg(target_os = "linux")]
pub(crate) use steps::lock_down;
pub(crate) use watch::LockdownWatch;
