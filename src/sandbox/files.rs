//! The files that a task gets, and the directories whose files it hands back.

use std::{
    collections::{BTreeMap, btree_map},
    fmt,
    ops::Bound,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use serde::{Serialize, Serializer, ser::SerializeSeq};

/// The directory in which the code begins.
const WORKING_DIRECTORY: &str = "/home/task";
/// Bytes of the longest path in the guest's file system.
const MAX_PATH: usize = 4096;
/// Bytes of the longest name of a file or directory, there and in most file systems.
const MAX_FILE_NAME: usize = 255;

/// The path of a file or directory in a task's own file system: absolute, without `.` and `..`,
/// without control characters, at most 4,096 bytes, with names of at most 255 bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct TaskPath(String);

impl TaskPath {
    /// Creates a path. A relative one begins in the working directory, `/home/task`.
    ///
    /// # Errors
    /// It is not of the form above, or lies in `/dev`.
    pub fn new(path: &str) -> Result<Self, FileError> {
        if path.starts_with('/') || path.is_empty() {
            return Self::absolute(path);
        }
        Self::absolute(&format!("{WORKING_DIRECTORY}/{path}"))
    }

    /// Creates the path of a directory, which may end in a slash.
    pub(crate) fn directory(path: &str) -> Result<Self, FileError> {
        let bare = path.strip_suffix('/').filter(|bare| !bare.is_empty());
        Self::new(bare.unwrap_or(path))
    }

    /// Checks an absolute path.
    pub(crate) fn absolute(path: &str) -> Result<Self, FileError> {
        let refused = |reason| Err(FileError::Path { path: path.to_owned(), reason });
        let Some(names) = path.strip_prefix('/') else {
            return refused("it is not absolute");
        };
        if path.len() > MAX_PATH {
            return refused("a path has at most 4,096 bytes");
        }
        for name in names.split('/') {
            if matches!(name, "" | "." | "..") {
                return refused("a name in a path is not empty, `.` or `..`");
            }
            if name.len() > MAX_FILE_NAME {
                return refused("a name has at most 255 bytes");
            }
            if name.contains(char::is_control) {
                return refused("a name has no control characters");
            }
        }
        if names == "dev" || names.starts_with("dev/") {
            return refused("/dev is for devices");
        }
        Ok(Self(path.to_owned()))
    }

    /// Returns the path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the path relative to a directory. `None` if it does not lie below it.
    pub fn below(&self, directory: &TaskPath) -> Option<&str> {
        self.0.strip_prefix(&directory.0)?.strip_prefix('/')
    }

    /// Returns the paths of the directories above it, without `/`.
    pub(crate) fn directories(&self) -> impl Iterator<Item = &str> {
        self.0.match_indices('/').skip(1).map(|(end, _)| &self.0[..end])
    }
}

impl fmt::Display for TaskPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// A look-up of a text in a map of paths.
impl std::borrow::Borrow<str> for TaskPath {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// A file that a task handed back.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TaskFile {
    /// The path in the task's file system. Two paths of a task may differ by case only.
    pub path: TaskPath,
    /// The content.
    pub bytes: Bytes,
}

impl TaskFile {
    pub(crate) fn new(path: TaskPath, bytes: Bytes) -> Self {
        Self { path, bytes }
    }
}

impl fmt::Debug for TaskFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} bytes)", self.path, self.bytes.len())
    }
}

/// A path of a task's file that is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// It has not the form of a path.
    #[error("{path:?} is no path in a task: {reason}")]
    Path {
        /// The path.
        path: String,
        /// The rule that it breaks.
        reason: &'static str,
    },
    /// Two files or directories have it.
    #[error("{0} is there twice")]
    Twice(TaskPath),
    /// A file cannot have files below it, and directories to hand back do not contain each other.
    #[error("{inner} lies below {outer}")]
    Below {
        /// The longer path.
        inner: TaskPath,
        /// The shorter path.
        outer: TaskPath,
    },
}

/// The files that a task gets, and the directories whose files it hands back.
///
/// ```
/// use serpentarium::sandbox::TaskFiles;
///
/// # fn main() -> Result<(), serpentarium::sandbox::FileError> {
/// let files = TaskFiles::default().file("/data/a.csv", "id\n1\n")?.out("/out")?;
/// # let _ = files;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TaskFiles {
    #[serde(rename = "in", skip_serializing_if = "GivenFiles::is_empty")]
    given: GivenFiles,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    out: Vec<TaskPath>,
}

impl TaskFiles {
    /// Adds a file that is there when the code begins. A relative path begins in the working
    /// directory.
    ///
    /// # Errors
    /// The path is refused, or is that of another file, or of a directory that another file needs.
    pub fn file(mut self, path: &str, bytes: impl Into<Bytes>) -> Result<Self, FileError> {
        self.given.insert(TaskPath::new(path)?, bytes.into())?;
        Ok(self)
    }

    /// Adds a directory, which is there when the code begins. The regular files below it at the end
    /// are handed back.
    ///
    /// # Errors
    /// The path is refused, or another such directory has it, lies below it or above it.
    pub fn out(mut self, directory: &str) -> Result<Self, FileError> {
        let directory = TaskPath::directory(directory)?;
        for other in &self.out {
            if directory == *other {
                return Err(FileError::Twice(directory));
            }
            for (inner, outer) in [(&directory, other), (other, &directory)] {
                if inner.below(outer).is_some() {
                    let (inner, outer) = (inner.clone(), outer.clone());
                    return Err(FileError::Below { inner, outer });
                }
            }
        }
        self.out.push(directory);
        Ok(self)
    }

    /// Returns the directories whose files are handed back.
    pub fn directories(&self) -> &[TaskPath] {
        &self.out
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.given.is_empty() && self.out.is_empty()
    }
}

/// The files that a task gets, by path.
#[derive(Clone, Default, PartialEq, Eq)]
struct GivenFiles(BTreeMap<TaskPath, Bytes>);

impl GivenFiles {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn insert(&mut self, path: TaskPath, bytes: Bytes) -> Result<(), FileError> {
        let above = path.directories().find_map(|name| self.0.get_key_value(name));
        if let Some((outer, _)) = above {
            let outer = outer.clone();
            return Err(FileError::Below { inner: path, outer });
        }
        let (first, last) = (format!("{path}/"), format!("{path}0"));
        // `0` follows `/` in ASCII: the range holds all paths below this one.
        let below = (Bound::Included(first.as_str()), Bound::Excluded(last.as_str()));
        if let Some((inner, _)) = self.0.range::<str, _>(below).next() {
            return Err(FileError::Below { inner: inner.clone(), outer: path });
        }
        match self.0.entry(path) {
            btree_map::Entry::Occupied(entry) => Err(FileError::Twice(entry.key().clone())),
            btree_map::Entry::Vacant(entry) => {
                entry.insert(bytes);
                Ok(())
            }
        }
    }
}

impl fmt::Debug for GivenFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sizes = self.0.iter().map(|(path, bytes)| (path.as_str(), bytes.len()));
        f.debug_map().entries(sizes).finish()
    }
}

/// A file in the guest's settings.
#[derive(Serialize)]
struct GivenFile<'a> {
    path: &'a TaskPath,
    data: String,
}

impl Serialize for GivenFiles {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.0.len()))?;
        for (path, bytes) in &self.0 {
            list.serialize_element(&GivenFile { path, data: BASE64_STANDARD.encode(bytes) })?;
        }
        list.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::abi::{FILE_KEYS, FILES_KEYS};

    fn refused(path: &str) -> String {
        TaskPath::new(path).unwrap_err().to_string()
    }

    #[test]
    fn a_path_is_absolute_or_begins_in_the_home_directory() {
        for (path, full) in [
            ("a.csv", "/home/task/a.csv"),
            ("d/ä b", "/home/task/d/ä b"),
            ("/data/..a/b..", "/data/..a/b.."),
            ("/device", "/device"),
            ("~", "/home/task/~"),
        ] {
            assert_eq!(TaskPath::new(path).unwrap().as_str(), full);
        }
    }

    #[test]
    fn a_path_of_another_form_is_refused() {
        for path in ["", "/", "//a", "/a/", "a/", "a//b", ".", "/..", "/a/../b", "/a/./b"] {
            assert!(refused(path).contains("is no path in a task: "), "{path}");
        }
        for path in ["/a\0", "/a\nb", "/\u{7f}", "/\u{9b}", "\x1b"] {
            assert!(refused(path).ends_with("a name has no control characters"), "{path:?}");
        }
        for path in ["/dev", "/dev/null", "/dev/shm/x"] {
            assert!(refused(path).ends_with("/dev is for devices"), "{path}");
        }
        assert!(TaskPath::absolute("a").unwrap_err().to_string().ends_with("it is not absolute"));
    }

    #[test]
    fn the_length_of_a_path_obeyed() {
        TaskPath::new(&"/n".repeat(MAX_PATH / 2)).unwrap();
        TaskPath::new(&format!("/{}", "n".repeat(MAX_FILE_NAME))).unwrap();
    }

    #[test]
    fn the_length_of_a_path_violated() {
        assert!(refused(&format!("/n{}", "/n".repeat(MAX_PATH / 2))).contains("4,096 bytes"));
        assert!(refused(&format!("/{}", "n".repeat(MAX_FILE_NAME + 1))).contains("255 bytes"));
    }

    #[test]
    fn files_that_cannot_be_together_are_refused() {
        let files = |paths: &[&str]| {
            let add = |files: TaskFiles, path: &&str| files.file(path, "");
            paths.iter().try_fold(TaskFiles::default(), add).map_err(|error| error.to_string())
        };
        assert!(files(&["/a", "/a0", "/a-", "/b/a", "/b/A", "b"]).is_ok());
        assert_eq!(files(&["/a", "/a"]).unwrap_err(), "/a is there twice");
        assert_eq!(files(&["a", "/home/task/a"]).unwrap_err(), "/home/task/a is there twice");
        assert_eq!(files(&["/a", "/a/b/c"]).unwrap_err(), "/a/b/c lies below /a");
        assert_eq!(files(&["/a-", "/a/b/c", "/a"]).unwrap_err(), "/a/b/c lies below /a");
    }

    #[test]
    fn directories_to_hand_back_are_apart() {
        let files = || TaskFiles::default().out("/out/").unwrap();
        let refused = |path| files().out(path).unwrap_err().to_string();
        assert_eq!(files().out("/out2").unwrap().directories().len(), 2);
        assert_eq!(refused("/out"), "/out is there twice");
        assert_eq!(refused("/out/a"), "/out/a lies below /out");
        let error = TaskFiles::default().out("/a/b").unwrap().out("/a").unwrap_err();
        assert_eq!(error.to_string(), "/a/b lies below /a");
        assert!(TaskFiles::default().out("/").is_err());
    }

    #[test]
    fn the_keys_are_those_of_the_abi() {
        let files = TaskFiles::default().file("/a", vec![0, 255]).unwrap().out("/o").unwrap();
        let ([given, out], [path, data]) = (FILES_KEYS, FILE_KEYS);
        assert_eq!(
            serde_json::to_string(&files).unwrap(),
            format!(r#"{{"{given}":[{{"{path}":"/a","{data}":"AP8="}}],"{out}":["/o"]}}"#)
        );
        assert_eq!(serde_json::to_string(&TaskFiles::default()).unwrap(), "{}");
        assert_eq!(
            format!("{files:?}"),
            r#"TaskFiles { given: {"/a": 2}, out: [TaskPath("/o")] }"#
        );
    }
}
