//! A directory in which files are made without following links.
//!
//! The file system is not trusted: another process could put a link below the directory. So each
//! part of a path is opened by its directory's descriptor, and no link is followed.

use std::{
    fs::File,
    io::{self, Write},
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

use rustix::{
    fs::{AtFlags, CWD, FileType, Mode, OFlags, mkdirat, openat, renameat, statat, unlinkat},
    io::Errno,
};

use crate::platform::found::{Found, IN_THE_WAY};

/// Opens a directory, and no link to one.
const BELOW: OFlags = DIRECTORY.union(OFlags::NOFOLLOW);
/// The user's own choice of a directory may be a link.
const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
/// Makes a file, and never opens one.
const NEW_FILE: OFlags = OFlags::WRONLY
    .union(OFlags::CREATE)
    .union(OFlags::EXCL)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// An open directory.
pub(crate) struct Directory(OwnedFd);

impl Directory {
    /// Opens the directory of the user's choice.
    ///
    /// # Errors
    /// It is absent, or cannot be opened.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(openat(CWD, path, DIRECTORY, Mode::empty())?))
    }

    /// Opens a directory below this one.
    ///
    /// # Errors
    /// It is absent, or no directory.
    pub(crate) fn below(&self, name: &str) -> io::Result<Self> {
        Ok(Self(openat(self.0.as_fd(), name, BELOW, Mode::empty()).map_err(describe)?))
    }

    /// Makes a directory below this one, unless it is there, and opens it.
    ///
    /// # Errors
    /// Something else has the name, or the system refuses it.
    pub(crate) fn make_below(&self, name: &str) -> io::Result<Self> {
        match mkdirat(self.0.as_fd(), name, Mode::from_raw_mode(0o777)) {
            Ok(()) | Err(Errno::EXIST) => self.below(name),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns what has a name.
    ///
    /// # Errors
    /// The system does not say.
    pub(crate) fn find(&self, name: &str) -> io::Result<Found> {
        match statat(self.0.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(status) => Ok(match FileType::from_raw_mode(status.st_mode) {
                FileType::Directory => Found::Directory,
                _ => Found::Other,
            }),
            Err(Errno::NOENT) => Ok(Found::Nothing),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes a file.
    ///
    /// # Errors
    /// Something has the name, or the bytes cannot be written.
    pub(crate) fn make_file(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let file = openat(self.0.as_fd(), name, NEW_FILE, Mode::from_raw_mode(0o666))?;
        File::from(file).write_all(bytes)
    }

    /// Gives a file another name, in the place of what has it.
    ///
    /// # Errors
    /// The system refuses it.
    pub(crate) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(renameat(self.0.as_fd(), from, self.0.as_fd(), to)?)
    }

    /// Removes a file. Best effort.
    pub(crate) fn remove(&self, name: &str) {
        let _ = unlinkat(self.0.as_fd(), name, AtFlags::empty());
    }
}

/// Says what the system's texts leave open: a link is no directory here.
fn describe(error: Errno) -> io::Error {
    match error {
        Errno::LOOP | Errno::NOTDIR => io::Error::other(IN_THE_WAY),
        error => error.into(),
    }
}

/// Makes a link to a file or directory.
///
/// # Errors
/// The kernel refuses it.
pub(crate) fn link(source: &Path, target: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(source, target)
}
