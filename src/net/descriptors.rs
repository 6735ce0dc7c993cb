//! File descriptors: how many are free, and how many a part of the program may take.

use crate::platform::open_files::limit;
#[cfg(feature = "cli")]
pub(crate) use crate::platform::open_files::raise_limit;

/// Descriptors taken to be open if `/proc` cannot be read.
const UNKNOWN_OPEN: usize = 64;

/// The process may open too few files.
#[cfg(feature = "broker")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the limit of open files is {limit} (ulimit -n): too few, {needed} are needed")]
pub struct TooFewDescriptors {
    /// The soft limit (`RLIMIT_NOFILE`).
    pub limit: usize,
    /// The least limit that suffices.
    pub needed: usize,
}

/// Returns how many descriptors the process may still open.
pub(crate) fn free() -> usize {
    let limit = limit();
    limit.saturating_sub(open_below(limit))
}

/// Checks that the process may open that many more descriptors.
///
/// # Errors
/// The limit is too low.
#[cfg(feature = "broker")]
pub(crate) fn require(more: usize) -> Result<(), TooFewDescriptors> {
    let limit = limit();
    let mut needed = open_below(limit) + more;
    if needed <= limit {
        return Ok(());
    }
    // Under a higher limit, open descriptors with higher numbers count as well.
    loop {
        let more_open = open_below(needed) + more;
        if more_open <= needed {
            return Err(TooFewDescriptors { limit, needed });
        }
        needed = more_open;
    }
}

/// Returns the number of open descriptors below the limit. One above it, which a parent opened
/// before it set the limit, takes none away.
fn open_below(limit: usize) -> usize {
    let Ok(entries) = std::fs::read_dir("/proc/self/fd") else { return UNKNOWN_OPEN };
    let numbers = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    // One of the entries is the directory itself.
    numbers.filter(|number: &usize| *number < limit).count() - 1
}

#[cfg(all(test, feature = "broker"))]
mod tests {
    use super::*;

    #[test]
    fn more_descriptors_than_the_limit_are_too_few() {
        assert_eq!(require(0), Ok(()));
        let few = require(limit()).unwrap_err();
        assert!(few.needed > few.limit, "{few}");
        assert!(open_below(few.needed) + few.limit <= few.needed, "{few}");
    }
}
