//! Who can write to a file.

use std::fs::Metadata;

/// Accepts every file: access lists are not read (docs/security.md). A directory of the user, such as
/// `%LOCALAPPDATA%`, is closed to others by default.
#[expect(clippy::unnecessary_wraps, reason = "other systems refuse files")]
pub(crate) fn check(_metadata: &Metadata) -> Result<(), String> {
    Ok(())
}

/// Does nothing: a file has the access list of its directory.
#[cfg(feature = "cli")]
#[expect(clippy::unnecessary_wraps, reason = "other systems can refuse it")]
pub(crate) fn allow_reading(_path: &std::path::Path) -> std::io::Result<()> {
    Ok(())
}
