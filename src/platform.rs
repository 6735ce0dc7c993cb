//! What differs between operating systems. The rest of the crate names no system but here and where
//! the code is for Linux alone.
//!
//! | | Linux | macOS | Windows |
//! |---|---|---|---|
//! | memory of a finished task | written pages are copied back (`sandbox::restore`) | all of it is made anew | as macOS |
//! | pipe to a worker | socket pair | socket pair | named pipe |
//! | lockdown of workers | `workers::lockdown` | none | none |
//! | end of a worker with its parent | the pipe breaks | as Linux | as Linux |
//! | signals that end the runner | SIGTERM, SIGINT | as Linux | Ctrl-C, Ctrl-Break, close, shutdown |
//! | large pages | `madvise(2)` | none | none |

#[cfg(feature = "cli")]
pub(crate) mod found;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub(crate) use unix::*;
#[cfg(windows)]
pub(crate) use windows::*;
