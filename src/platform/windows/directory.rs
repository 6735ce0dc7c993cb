//! A directory in which files are made without following links.
//!
//! Each part of a path is checked before it is used. Another process of the user could put a link
//! there in between: Windows opens no path by the handle of its directory (docs/security.md).

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use crate::platform::found::{Found, IN_THE_WAY};

/// Names of devices, with any extension
/// (<https://learn.microsoft.com/windows/win32/fileio/naming-a-file>).
const DEVICES: [&str; 4] = ["CON", "PRN", "AUX", "NUL"];

/// A directory.
pub(crate) struct Directory(PathBuf);

impl Directory {
    /// Opens the directory of the user's choice.
    ///
    /// # Errors
    /// It is absent.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        // The form that takes names as they are: `\\?\C:\…`.
        Ok(Self(path.canonicalize()?))
    }

    /// Opens a directory below this one.
    ///
    /// # Errors
    /// It is absent, or no directory.
    pub(crate) fn below(&self, name: &str) -> io::Result<Self> {
        let path = self.path(name)?;
        // A link and a mount point count as a link.
        match fs::symlink_metadata(&path)?.is_dir() {
            true => Ok(Self(path)),
            false => Err(io::Error::other(IN_THE_WAY)),
        }
    }

    /// Makes a directory below this one, unless it is there, and opens it.
    ///
    /// # Errors
    /// Something else has the name, or the system refuses it.
    pub(crate) fn make_below(&self, name: &str) -> io::Result<Self> {
        match fs::create_dir(self.path(name)?) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => self.below(name),
        }
    }

    /// Returns what has a name.
    ///
    /// # Errors
    /// The system does not say.
    pub(crate) fn find(&self, name: &str) -> io::Result<Found> {
        match fs::symlink_metadata(self.path(name)?) {
            Ok(found) if found.is_dir() => Ok(Found::Directory),
            Ok(_) => Ok(Found::Other),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Found::Nothing),
            Err(error) => Err(error),
        }
    }

    /// Makes a file.
    ///
    /// # Errors
    /// Something has the name, or the bytes cannot be written.
    pub(crate) fn make_file(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        OpenOptions::new().write(true).create_new(true).open(self.path(name)?)?.write_all(bytes)
    }

    /// Gives a file another name, in the place of what has it.
    ///
    /// # Errors
    /// The system refuses it.
    pub(crate) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from)?, self.path(to)?)
    }

    /// Removes a file. Best effort.
    pub(crate) fn remove(&self, name: &str) {
        let _ = self.path(name).and_then(fs::remove_file);
    }

    /// Returns the path of a name that comes from a task.
    fn path(&self, name: &str) -> io::Result<PathBuf> {
        match is_plain(name) {
            true => Ok(self.0.join(name)),
            false => Err(io::Error::other(format!("{name:?} is no name of a file on Windows"))),
        }
    }
}

/// Returns whether Windows takes a name for one file of the directory, and under this name alone.
fn is_plain(name: &str) -> bool {
    let special = |c: char| c.is_control() || r#"<>:"/\|?*"#.contains(c);
    let stem = name.split('.').next().unwrap_or_default().trim_end();
    let port = stem.len() >= 4 && stem.is_char_boundary(3) && {
        let (kind, number) = stem.split_at(3);
        ["COM", "LPT"].iter().any(|port| kind.eq_ignore_ascii_case(port))
            && number.chars().count() == 1
            && number.chars().all(|c| c.is_ascii_digit() || "¹²³".contains(c))
    };
    !name.is_empty()
        && !name.contains(special)
        && !name.ends_with(['.', ' '])
        && !DEVICES.iter().any(|device| stem.eq_ignore_ascii_case(device))
        && !port
}

/// Copies a file or directory: a link needs a privilege.
///
/// # Errors
/// The system refuses it.
pub(crate) fn link(source: &Path, target: &Path) -> io::Result<()> {
    if !source.is_dir() {
        return fs::copy(source, target).map(drop);
    }
    fs::create_dir(target)?;
    for entry in fs::read_dir(source)? {
        let entry = entry?;
        link(&entry.path(), &target.join(entry.file_name()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_a_meaning_are_refused() {
        for name in ["a.txt", "ä b", ".hidden", "CONSOLE", "com", "COM10", "nul_"] {
            assert!(is_plain(name), "{name}");
        }
        for name in [
            "", "a:b", "a\\b", "..", ".", "a.", "a ", "nul", "NUL.txt", "Con .x", "com1", "LPT9.a",
            "com¹", "a\u{1}", "a*", "a?", "a|b",
        ] {
            assert!(!is_plain(name), "{name}");
        }
    }
}
