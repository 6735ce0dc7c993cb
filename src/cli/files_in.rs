//! `--file` of `exec` and `profile`: reads files and directories for a task.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use bytesize::ByteSize;
use clap::builder::{OsStringValueParser, TypedValueParser};

use super::console::Console;
use crate::sandbox::{FileError, Limits, TaskFiles, TaskPath};

/// Most files of one run: their paths cost memory, too.
const MAX_GIVEN_FILES: usize = 10_000;
/// Deepest directory, so that a mount that contains itself ends.
const MAX_LEVELS: usize = 64;
/// Room of the settings beside the files: code and items.
const SETTINGS_REST: u64 = 256 << 20;

/// A value of `--file`: a file or directory, and its path in the task.
#[derive(Debug, Clone)]
pub(crate) struct GivenArg {
    source: PathBuf,
    target: Option<TaskPath>,
}

/// Returns whether a colon ends a drive of Windows, as in `C:/data.csv`.
fn is_drive(before: &[u8]) -> bool {
    matches!(before, [letter] if letter.is_ascii_alphabetic())
}

impl GivenArg {
    /// Returns the parser of the flag's values.
    pub(crate) fn parser() -> impl TypedValueParser<Value = Self> {
        OsStringValueParser::new().try_map(Self::parse)
    }

    /// Splits a value at its last `:/`.
    fn parse(value: OsString) -> Result<Self, String> {
        let bytes = value.as_encoded_bytes();
        // The parser of the command line lets `-:/data/name` pass, and so flags without a value.
        if bytes.starts_with(b"-") && value != "-" && !bytes.starts_with(b"-:/") {
            return Err("write ./ before a name that begins with -".into());
        }
        let colon = bytes.windows(2).rposition(|pair| pair == b":/");
        let Some(colon) = colon.filter(|colon| !(cfg!(windows) && is_drive(&bytes[..*colon])))
        else {
            if value == "-" {
                return Err("standard input needs a path in the task: -:/data/name".into());
            }
            return Ok(Self { source: value.into(), target: None });
        };
        let target = str::from_utf8(&bytes[colon + 1..]).map_err(|_| "the path is not UTF-8")?;
        let target = TaskPath::new(target).map_err(|error| reason(&error))?;
        // SAFETY: the bytes are those of an `OsStr`, up to a character of ASCII.
        match unsafe { OsStr::from_encoded_bytes_unchecked(&bytes[..colon]) } {
            source if source.is_empty() => Err("write FILE, or FILE:/data/name".into()),
            source => Ok(Self { source: source.into(), target: Some(target) }),
        }
    }

    /// Returns whether it is standard input.
    pub(crate) fn is_stdin(&self) -> bool {
        self.source == Path::new("-")
    }

    /// Returns the path in the task: the target, or the source's last name in the working
    /// directory.
    fn path(&self) -> anyhow::Result<String> {
        if let Some(target) = &self.target {
            return Ok(target.as_str().to_owned());
        }
        // `.` and `..` have a last name, too.
        let source = match self.source.file_name() {
            Some(_) => self.source.clone(),
            None => fs::canonicalize(&self.source)
                .with_context(|| format!("cannot read {}", self.source.display()))?,
        };
        let name = source.file_name().and_then(OsStr::to_str);
        let name = name.with_context(|| {
            format!("{} needs a path in the task: FILE:/data/name", self.source.display())
        })?;
        Ok(name.to_owned())
    }
}

/// Returns why a path is refused, without the path, which the error names already.
pub(crate) fn reason(error: &FileError) -> String {
    match error {
        FileError::Path { reason, .. } => (*reason).to_owned(),
        error => error.to_string(),
    }
}

/// The files of a task.
#[derive(Debug, clap::Args)]
pub(crate) struct FileArgs {
    /// Put a file into the task, at an absolute path or else in its working directory; may be
    /// repeated. A directory comes with all files below it, without links. - is standard input. All
    /// files together take up to a third of the memory limit.
    #[arg(long = "file", value_name = "FILE[:/PATH]", value_parser = GivenArg::parser(),
          allow_hyphen_values = true)]
    given: Vec<GivenArg>,
}

impl FileArgs {
    /// Returns how many of them are standard input.
    pub(crate) fn stdin_count(&self) -> usize {
        self.given.iter().filter(|given| given.is_stdin()).count()
    }

    /// Returns limits that leave room for files in the input: base64 has 4 characters for 3 bytes.
    pub(crate) fn limits(&self, limits: Limits) -> Limits {
        let input = limits.memory / 3 * 4 + SETTINGS_REST;
        if self.given.is_empty() { limits } else { limits.input(input) }
    }

    /// Reads the files. Together they have at most `memory` bytes.
    ///
    /// # Errors
    /// A file cannot be read or is too large, there are too many, or two have one path in the task.
    pub(crate) fn read(&self, memory: u64, console: &Console) -> anyhow::Result<TaskFiles> {
        let files = TaskFiles::default();
        let mut reader = Reader { files, number: 0, bytes: 0, memory, console };
        for given in &self.given {
            let path = given.path()?;
            let is_directory = !given.is_stdin()
                && fs::metadata(&given.source).with_context(|| explain(&given.source))?.is_dir();
            if is_directory {
                reader.directory(&given.source, &path, 0)?;
            } else {
                reader.file(&given.source, &path)?;
            }
        }
        Ok(reader.files)
    }
}

/// Says which file cannot be read, and what a colon in its name may have meant.
fn explain(source: &Path) -> String {
    let text = source.display().to_string();
    let hint = if text.contains(':') { " (a path in the task begins with /)" } else { "" };
    format!("cannot read {text}{hint}")
}

/// The files so far.
struct Reader<'a> {
    files: TaskFiles,
    number: usize,
    bytes: u64,
    memory: u64,
    console: &'a Console,
}

impl Reader<'_> {
    fn file(&mut self, source: &Path, path: &str) -> anyhow::Result<()> {
        self.number += 1;
        if self.number > MAX_GIVEN_FILES {
            bail!("--file: there are more than {MAX_GIVEN_FILES} files");
        }
        let left = self.memory - self.bytes;
        let mut bytes = Vec::new();
        let read = |input: &mut dyn Read, bytes: &mut Vec<u8>| {
            input.take(left + 1).read_to_end(bytes).map(drop)
        };
        if source == Path::new("-") {
            read(&mut io::stdin().lock(), &mut bytes)
        } else {
            File::open(source).and_then(|mut file| read(&mut file, &mut bytes))
        }
        .with_context(|| explain(source))?;
        if bytes.len() as u64 > left {
            let most = ByteSize::b(self.memory).display().iec();
            bail!("{} is too large: files and code share --memory {most}", source.display());
        }
        self.bytes += bytes.len() as u64;
        let files = std::mem::take(&mut self.files);
        self.files =
            files.file(path, bytes).with_context(|| format!("--file {}", source.display()))?;
        Ok(())
    }

    fn directory(&mut self, source: &Path, path: &str, level: usize) -> anyhow::Result<()> {
        if level == MAX_LEVELS {
            bail!("{} has more than {MAX_LEVELS} directories above it", source.display());
        }
        let unreadable = || format!("cannot read {}", source.display());
        let entries: io::Result<Vec<_>> = fs::read_dir(source).with_context(unreadable)?.collect();
        let mut entries = entries.with_context(unreadable)?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let source = entry.path();
            let kind = entry.file_type().with_context(|| explain(&source))?;
            if !kind.is_file() && !kind.is_dir() {
                let what = if kind.is_symlink() { "a link" } else { "no file" };
                self.console.note(format_args!("left out {}: it is {what}", source.display()));
                continue;
            }
            let name = entry.file_name();
            let Some(name) = name.to_str() else {
                bail!("the name of {} is not UTF-8", source.display());
            };
            let path = format!("{path}/{name}");
            if kind.is_dir() {
                self.directory(&source, &path, level + 1)?;
            } else {
                self.file(&source, &path)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(value: &str) -> Result<(String, Option<String>), String> {
        let given = GivenArg::parse(value.into())?;
        let target = given.target.map(|path| path.as_str().to_owned());
        Ok((given.source.display().to_string(), target))
    }

    #[test]
    fn the_last_colon_before_a_slash_begins_the_path() {
        let target = |path: &str| Some(path.to_owned());
        for (value, source, path) in [
            ("a.csv", "a.csv", None),
            ("d/a.csv:/data/x", "d/a.csv", target("/data/x")),
            ("a:b", "a:b", None),
            ("a:/b:/c", "a:/b", target("/c")),
            ("-:/in", "-", target("/in")),
        ] {
            assert_eq!(parsed(value), Ok((source.to_owned(), path)), "{value}");
        }
    }

    #[test]
    fn a_bad_path_is_refused() {
        for (value, error) in [
            ("--json", "write ./ before a name that begins with -"),
            ("-", "standard input needs a path in the task: -:/data/name"),
            (":/data/x", "write FILE, or FILE:/data/name"),
            ("a:/", "a name in a path is not empty, `.` or `..`"),
            ("a:/../b", "a name in a path is not empty, `.` or `..`"),
            ("a:/dev/null", "/dev is for devices"),
        ] {
            assert_eq!(parsed(value).unwrap_err(), error, "{value}");
        }
    }
}
