//! Settings in files: for every variable `NAME`, `NAME_FILE` may name a file with its value.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

/// Bytes of a file with a setting. A larger file is a mistake, such as `/dev/zero`.
const MAX_FILE: u64 = 1 << 20;

/// The files that gave values, by variable.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SettingFiles(pub(crate) BTreeMap<String, PathBuf>);

/// A variable, or the file that it names, is unusable.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingFileError {
    /// The file cannot be read or is no valid value.
    #[error("{variable}_FILE is '{}': {why}", path.display())]
    File {
        /// The variable, without `_FILE`.
        variable: String,
        /// The file's path.
        path: PathBuf,
        /// The error, or the allowed content.
        why: String,
    },
    /// The variable's value is not UTF-8.
    #[error("{0} is not text: must be UTF-8")]
    NotText(String),
}

impl SettingFiles {
    /// Sets each unset variable to the content of its file. Removes empty variables, which count as
    /// unset, unless `may_be_empty` lists them.
    ///
    /// # Errors
    /// A file cannot be read or exceeds 1 MiB, or a file or variable is not UTF-8.
    ///
    /// # Safety
    /// No other thread may run: it would race with the change of the environment (`setenv(3)`).
    pub(crate) unsafe fn resolve(
        variables: &[String],
        may_be_empty: &[&str],
    ) -> Result<Self, SettingFileError> {
        let mut files = Self::default();
        for variable in variables {
            let keeps_empty = may_be_empty.contains(&variable.as_str());
            match source_of(variable, keeps_empty, |name| std::env::var_os(name))? {
                VariableSource::Unchanged => {}
                // SAFETY: the caller guarantees that no other thread runs.
                VariableSource::Empty => unsafe { std::env::remove_var(variable) },
                VariableSource::File(path, value) => {
                    // SAFETY: as above.
                    unsafe { std::env::set_var(variable, value) };
                    files.0.insert(variable.clone(), path);
                }
            }
        }
        Ok(files)
    }
}

/// The source of a variable's value.
#[derive(Debug, PartialEq, Eq)]
enum VariableSource {
    /// The variable itself, or nothing: no change is needed.
    Unchanged,
    /// The variable or its file is empty: it counts as unset.
    Empty,
    /// A file: its path and content.
    File(PathBuf, String),
}

fn source_of(
    variable: &str,
    keeps_empty: bool,
    env: impl Fn(&OsStr) -> Option<OsString>,
) -> Result<VariableSource, SettingFileError> {
    let own = env(variable.as_ref());
    if own.as_ref().is_some_and(|value| value.to_str().is_none()) {
        return Err(SettingFileError::NotText(variable.to_owned()));
    }
    let is_empty = own.as_ref().is_some_and(|value| value.is_empty());
    if own.is_some() && (keeps_empty || !is_empty) {
        return Ok(VariableSource::Unchanged);
    }
    match env(format!("{variable}_FILE").as_ref()).filter(|path| !path.is_empty()) {
        Some(path) => {
            let path = PathBuf::from(path);
            match read(&path) {
                Ok(value) if value.is_empty() && !keeps_empty => Ok(VariableSource::Empty),
                Ok(value) => Ok(VariableSource::File(path, value)),
                Err(why) => {
                    Err(SettingFileError::File { variable: variable.to_owned(), path, why })
                }
            }
        }
        None if is_empty => Ok(VariableSource::Empty),
        None => Ok(VariableSource::Unchanged),
    }
}

/// Reads a file and trims it, because editors end a file with a newline.
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

    fn found(set: &[(&str, &str)], keeps_empty: bool) -> Result<VariableSource, SettingFileError> {
        source_of("NAME", keeps_empty, |name| {
            set.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into())
        })
    }

    #[test]
    fn a_variable_precedes_its_file_unless_it_is_empty() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, " secret\n").unwrap();
        let path = file.path().to_str().unwrap();
        let content = VariableSource::File(path.into(), "secret".into());
        assert_eq!(found(&[("NAME_FILE", path)], false).unwrap(), content);
        assert_eq!(found(&[("NAME", ""), ("NAME_FILE", path)], false).unwrap(), content);
        assert_eq!(
            found(&[("NAME", "x"), ("NAME_FILE", path)], false).unwrap(),
            VariableSource::Unchanged
        );
        assert_eq!(
            found(&[("NAME", ""), ("NAME_FILE", path)], true).unwrap(),
            VariableSource::Unchanged
        );
        assert_eq!(found(&[("NAME", "")], false).unwrap(), VariableSource::Empty);
        assert_eq!(found(&[], false).unwrap(), VariableSource::Unchanged);
        std::fs::write(&file, "\n").unwrap();
        assert_eq!(found(&[("NAME_FILE", path)], false).unwrap(), VariableSource::Empty);
        assert_eq!(
            found(&[("NAME_FILE", path)], true).unwrap(),
            VariableSource::File(path.into(), String::new())
        );
    }

    #[test]
    fn a_value_that_is_not_text_is_named() {
        use std::os::unix::ffi::OsStringExt;
        let error = source_of("NAME", false, |_| Some(OsString::from_vec(vec![0xff]))).unwrap_err();
        assert_eq!(error.to_string(), "NAME is not text: must be UTF-8");
    }

    #[test]
    fn an_unusable_file_is_named_with_the_reason() {
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
