//! The limit of open files.

use rustix::process::{Resource, getrlimit};

/// Returns the soft limit of open files (`RLIMIT_NOFILE`).
pub(crate) fn limit() -> usize {
    let limit = getrlimit(Resource::Nofile).current;
    limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
}

/// Raises the soft limit to the hard one.
#[cfg(feature = "cli")]
pub(crate) fn raise_limit() {
    use rustix::process::{Rlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // Fails for a hard limit that the kernel no longer allows; the soft one then stays.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}
