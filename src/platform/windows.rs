//! Windows.

#[cfg(feature = "cli")]
pub(crate) mod directory;
pub(crate) mod memory;
#[cfg(feature = "network")]
pub(crate) mod open_files;
pub(crate) mod owner;
#[cfg(feature = "runner")]
pub(crate) mod process;
#[cfg(feature = "runner")]
pub(crate) mod signals;
