//! A pool of worker processes, each running tasks in a sandbox of its own.
//!
//! The parent does I/O only. One single-threaded worker process per core computes: two guest
//! threads of one process would contend for its address-space lock at every new instance. The
//! process is also a second boundary. A fault in the engine, or the out-of-memory killer, ends one
//! worker and its tasks, never the connection to the broker.
//!
//! | file | task |
//! |---|---|
//! | `pool` | chooses a worker for each job |
//! | `slot` | the parent's state of one worker |
//! | `jobs` | the jobs of a worker |
//! | `account`, `in_flight` | what a job may still send |
//! | `events` | outcomes, notifications and host calls |
//! | `liveness` | pings |
//! | `process` | starts, supervises and replaces a worker process |
//! | `fault` | the reasons for which the parent stops one |
//! | `worker` | the main loop of a worker process |
//! | `lockdown` | locks a worker process in |
//! | `stderr` | logs the standard error of a worker process |
//! | `pipe`, `frame_reader` | messages and frames between the two |
//! | `config`, `error` | settings and errors of the pool |

mod account;
mod config;
mod error;
mod events;
mod fault;
mod frame_reader;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod in_flight;
mod jobs;
mod liveness;
mod lockdown;
mod pipe;
mod pool;
mod process;
mod slot;
mod stderr;
mod worker;

pub use config::PoolConfig;
pub use error::WorkersError;
pub use lockdown::{Lockdown, UnknownLockdown};
#[cfg(feature = "cli")]
pub(crate) use lockdown::{set_dumpable, while_dumpable};
pub use pool::Pool;
pub use worker::run as run_worker;
