//! Who can write to a file.

use std::{fs::Metadata, os::unix::fs::MetadataExt};

/// Checks that nobody but root and the user of this process can write to a file.
///
/// # Errors
/// Who else can, in words.
pub(crate) fn check(metadata: &Metadata) -> Result<(), String> {
    let user = rustix::process::geteuid().as_raw();
    if metadata.uid() != 0 && metadata.uid() != user {
        return Err(format!("it belongs to user {}", metadata.uid()));
    }
    if metadata.mode() & 0o022 != 0 {
        return Err(format!("others may write to it (mode {:o})", metadata.mode() & 0o7777));
    }
    Ok(())
}

/// Lets everybody read a file: whoever runs tasks may be another user than who builds images.
///
/// # Errors
/// The kernel refuses it.
#[cfg(feature = "cli")]
pub(crate) fn allow_reading(path: &std::path::Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644))
}
