//! The parts of this crate that the targets in fuzz/ reach. Compiled only with `--cfg fuzzing`, and
//! not part of the API.

#[cfg(feature = "cli")]
pub use crate::cli::fuzzing::{baseline, command_line, compact, indented, items, percent, profile};
#[cfg(feature = "runner")]
pub use crate::runner::fuzzing::{FuzzSession, answer};
pub use crate::sandbox::fuzzing::{Guest, Parsed, is_deeper_than, parse_reply};
#[cfg(feature = "runner")]
pub use crate::workers::fuzzing::FuzzSlot;

/// Shows a foreign text.
#[cfg(feature = "network")]
pub fn shown(text: &str, max: usize) -> String {
    crate::text::shown(text, max).to_string()
}
