//! What a directory has under a name.

/// What has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    Nothing,
    Directory,
    /// A file or a link.
    Other,
}

/// The error of a path whose part is no directory.
pub(crate) const IN_THE_WAY: &str = "a link, or a file, is in the place of a directory";
