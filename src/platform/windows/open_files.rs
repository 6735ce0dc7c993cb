//! The limit of open files.

/// Sockets and files that the program opens at most. Windows has no limit of its own but memory.
const MOST: usize = 16_384;

/// Returns the limit of open files.
pub(crate) fn limit() -> usize {
    MOST
}

/// Does nothing: there is no limit to raise.
#[cfg(feature = "cli")]
pub(crate) fn raise_limit() {}
