//! Settings that stand in files: for every variable `NAME`, `NAME_FILE` may hold the path of a file with its value.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

/// Bytes of a file with a setting; a larger one is not what was meant.
const MAX_FILE: u64 = 1 << 20;

/// The variables whose values came from files, and those files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files(pub BTreeMap<String, PathBuf>);

/// A variable, or the file that it names, cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file.
    #[error("{variable}_FILE is '{}': {why}", path.display())]
    File {
        /// The variable whose value stands in it.
        variable: String,
        /// Where it is.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The variable's own value.
    #[error("{0} is not text: must be UTF-8")]
    NotText(String),
}

impl Files {
    /// Puts the content of each file in the place of its variable, where that is not set itself, for all that reads the
    /// environment after this. A variable that is empty counts as not set, unless it is one of `may_be_empty`, and is
    /// removed.
    ///
    /// # Errors
    /// A file cannot be read or is larger than 1 MiB; a file or a variable is no UTF-8.
    ///
    /// # Safety
    /// No other thread may run yet: the environment is changed.
    pub unsafe fn resolve(variables: &[String], may_be_empty: &[&str]) -> Result<Self, FileError> {
        let mut files = Self::default();
        for variable in variables {
            let keeps_empty = may_be_empty.contains(&variable.as_str());
            match look(variable, keeps_empty, |name| std::env::var_os(name))? {
                Found::Set => {}
                // SAFETY: the caller promises that this is the only thread.
                Found::Empty => unsafe { std::env::remove_var(variable) },
                Found::File(path, value) => {
                    // SAFETY: as above.
                    unsafe { std::env::set_var(variable, value) };
                    files.0.insert(variable.clone(), path);
                }
            }
        }
        Ok(files)
    }
}

/// Where a variable's value stands.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    /// In the variable, or nowhere.
    Set,
    /// The variable is empty.
    Empty,
    /// In this file, with this content.
    File(PathBuf, String),
}

fn look(
    variable: &str,
    keeps_empty: bool,
    env: impl Fn(&OsStr) -> Option<OsString>,
) -> Result<Found, FileError> {
    let own = env(variable.as_ref());
    if own.as_ref().is_some_and(|value| value.to_str().is_none()) {
        return Err(FileError::NotText(variable.to_owned()));
    }
    let is_empty = own.as_ref().is_some_and(|value| value.is_empty());
    if own.is_some() && (keeps_empty || !is_empty) {
        return Ok(Found::Set);
    }
    match env(format!("{variable}_FILE").as_ref()).filter(|path| !path.is_empty()) {
        Some(path) => {
            let path = PathBuf::from(path);
            match read(&path) {
                // As an empty variable.
                Ok(value) if value.is_empty() && !keeps_empty => Ok(Found::Empty),
                Ok(value) => Ok(Found::File(path, value)),
                Err(why) => Err(FileError::File { variable: variable.to_owned(), path, why }),
            }
        }
        None if is_empty => Ok(Found::Empty),
        None => Ok(Found::Set),
    }
}

/// The content of a file, without the white space around it that editors and shells add.
fn read(path: &Path) -> Result<String, String> {
    let mut text = Vec::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    file.take(MAX_FILE + 1).read_to_end(&mut text).map_err(|error| error.to_string())?;
    if text.len() as u64 > MAX_FILE {
        return Err("must be a file of at most 1 MiB".into());
    }
    let text = String::from_utf8(text).map_err(|_| "must be a file of UTF-8 text".to_owned())?;
    Ok(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(set: &[(&str, &str)], keeps_empty: bool) -> Result<Found, FileError> {
        look("NAME", keeps_empty, |name| {
            set.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into())
        })
    }

    #[test]
    fn a_variable_comes_before_its_file_and_an_empty_one_counts_as_not_set() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, " secret\n").unwrap();
        let path = file.path().to_str().unwrap();
        let content = Found::File(path.into(), "secret".into());
        assert_eq!(found(&[("NAME_FILE", path)], false).unwrap(), content);
        assert_eq!(found(&[("NAME", ""), ("NAME_FILE", path)], false).unwrap(), content);
        assert_eq!(found(&[("NAME", "x"), ("NAME_FILE", path)], false).unwrap(), Found::Set);
        assert_eq!(found(&[("NAME", ""), ("NAME_FILE", path)], true).unwrap(), Found::Set);
        assert_eq!(found(&[("NAME", "")], false).unwrap(), Found::Empty);
        assert_eq!(found(&[], false).unwrap(), Found::Set);
        std::fs::write(&file, "\n").unwrap();
        assert_eq!(found(&[("NAME_FILE", path)], false).unwrap(), Found::Empty);
        assert_eq!(
            found(&[("NAME_FILE", path)], true).unwrap(),
            Found::File(path.into(), String::new())
        );
    }

    #[test]
    fn a_value_that_is_no_text_is_named() {
        use std::os::unix::ffi::OsStringExt;
        let error = look("NAME", false, |_| Some(OsString::from_vec(vec![0xff]))).unwrap_err();
        assert_eq!(error.to_string(), "NAME is not text: must be UTF-8");
    }

    #[test]
    fn a_file_that_cannot_be_used_is_named_with_the_reason() {
        let error = |path: &str| found(&[("NAME_FILE", path)], false).unwrap_err().to_string();
        assert_eq!(
            error("/does/not/exist"),
            "NAME_FILE is '/does/not/exist': No such file or directory (os error 2)"
        );
        assert!(error("/").starts_with("NAME_FILE is '/': "));
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, b"\xff").unwrap();
        assert!(error(file.path().to_str().unwrap()).ends_with("must be a file of UTF-8 text"));
        assert!(error("/dev/zero").ends_with("must be a file of at most 1 MiB"));
    }
}
