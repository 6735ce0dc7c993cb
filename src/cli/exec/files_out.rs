//! `--out`: writes the files that a task handed back.
//!
//! The paths have been checked: a part of one is never `..`, empty, or a control character. The
//! file system is not trusted either, so no link below the directory is followed
//! (`platform::directory`).

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use bytesize::ByteSize;
use clap::builder::{OsStringValueParser, TypedValueParser};
use serde::Serialize;

use crate::{
    cli::{
        console::{Console, print_error},
        files_in::reason,
    },
    platform::{directory::Directory, found::Found},
    sandbox::{Limits, TaskFile, TaskFiles, TaskPath},
};

/// Most files of one run.
const MAX_OUT_FILES: u32 = 10_000;
/// Lines that name written files. Another line counts the rest.
const SHOWN_FILES: usize = 20;
/// Room of the output beside the files: the result.
const OUTPUT_REST: u64 = 256 << 20;

/// A value of `--out`: a directory of the task, and one here.
#[derive(Debug, Clone)]
pub(crate) struct OutArg {
    source: TaskPath,
    directory: PathBuf,
}

impl OutArg {
    /// Returns the parser of the flag's values.
    pub(crate) fn parser() -> impl TypedValueParser<Value = Self> {
        OsStringValueParser::new().try_map(Self::parse)
    }

    /// Splits a value at its first colon.
    fn parse(value: OsString) -> Result<Self, String> {
        let form = "write /PATH:DIR, a directory of the task and one here, such as /out:results";
        let text = value.to_str().ok_or("it is not UTF-8")?;
        match text.split_once(':') {
            Some((source, directory)) if source.starts_with('/') && !directory.is_empty() => {
                let source = TaskPath::directory(source).map_err(|error| reason(&error))?;
                Ok(Self { source, directory: directory.into() })
            }
            _ => Err(form.into()),
        }
    }

    /// Asks for the files of the directory.
    ///
    /// # Errors
    /// Another flag has asked for them, or something is in the way of the directory here.
    pub(crate) fn ask(&self, files: TaskFiles) -> anyhow::Result<TaskFiles> {
        if fs::metadata(&self.directory).is_ok_and(|found| !found.is_dir()) {
            bail!("--out: {} is not a directory", self.directory.display());
        }
        files.out(self.source.as_str()).context("--out")
    }
}

/// Returns limits under which all files of the task's memory may come back.
pub(crate) fn limits(limits: Limits) -> Limits {
    let (bytes, output) = (limits.memory, limits.memory / 3 * 4 + OUTPUT_REST);
    limits.out_files(MAX_OUT_FILES).out_bytes(bytes).output(output)
}

/// A file that was written.
#[derive(Debug, Serialize)]
pub(crate) struct Written {
    /// Its path in the task.
    path: String,
    /// Its path here. Bytes that are not UTF-8 are replaced.
    written: String,
    size: u64,
}

/// The files of a task, written.
#[derive(Debug, Default)]
pub(crate) struct FilesOut {
    /// The directories of the task that were asked for. Empty: the flag is not there.
    asked: Vec<TaskPath>,
    written: Vec<Written>,
    /// A file could not be written, which ended it.
    has_failed: bool,
    /// Whether the code returned. Otherwise nothing is written.
    returned: bool,
}

impl FilesOut {
    /// Writes no files: those of a task that failed.
    pub(crate) fn nothing(out: &[OutArg]) -> Self {
        let asked = out.iter().map(|out| out.source.clone()).collect();
        Self { asked, ..Self::default() }
    }

    /// Writes the files of a task that returned. Reports the first failure, and stops there.
    pub(crate) fn write(files: &[TaskFile], out: &[OutArg], overwrite: bool) -> Self {
        let mut all = Self { returned: true, ..Self::nothing(out) };
        if let Err(error) = all.write_all(files, out, overwrite) {
            print_error(format_args!("{error:#}"));
            all.has_failed = true;
        }
        all
    }

    fn write_all(
        &mut self,
        files: &[TaskFile],
        out: &[OutArg],
        overwrite: bool,
    ) -> anyhow::Result<()> {
        let mut targets = Vec::new();
        for out in out {
            let below = |file| Target::new(file, out);
            targets.push((out, files.iter().filter_map(below).collect::<Vec<_>>()));
        }
        // Nothing is written if one file is in the way.
        for (out, targets) in &targets {
            for target in targets {
                target.check(&out.directory, overwrite)?;
            }
        }
        for (out, targets) in targets {
            if targets.is_empty() {
                continue;
            }
            let directory = &out.directory;
            let failed = || format!("cannot write to {}", directory.display());
            fs::create_dir_all(directory).with_context(failed)?;
            let root = Directory::open(directory).with_context(failed)?;
            for target in targets {
                target
                    .write(&root, overwrite)
                    .with_context(|| format!("cannot write {}", target.path.display()))?;
                self.written.push(Written {
                    path: target.file.path.as_str().to_owned(),
                    written: target.path.to_string_lossy().into_owned(),
                    size: target.file.bytes.len() as u64,
                });
            }
        }
        Ok(())
    }

    /// Returns the written files. `None`: none were asked for.
    pub(crate) fn written(&self) -> Option<&[Written]> {
        (!self.asked.is_empty()).then_some(&self.written)
    }

    /// Returns whether there is a written file.
    pub(crate) fn wrote(&self) -> bool {
        !self.written.is_empty()
    }

    /// Returns whether a file could not be written.
    pub(crate) fn has_failed(&self) -> bool {
        self.has_failed
    }

    /// Lists the written files.
    pub(crate) fn show(&self, console: &Console) {
        let size = |bytes| ByteSize::b(bytes).display().iec();
        for Written { written, size: bytes, .. } in self.written.iter().take(SHOWN_FILES) {
            console.note(format_args!("wrote {written} ({})", size(*bytes)));
        }
        if let Some(rest) = self.written.get(SHOWN_FILES..).filter(|rest| !rest.is_empty()) {
            let bytes = rest.iter().map(|file| file.size).sum();
            console.note(format_args!("wrote {} more files ({})", rest.len(), size(bytes)));
        }
        if self.returned && !self.has_failed && self.written.is_empty() {
            for source in &self.asked {
                console.note(format_args!("The code left no files below {source}."));
            }
        }
    }
}

/// A file to write.
struct Target<'a> {
    file: &'a TaskFile,
    /// Names of the directories below the one of the flag.
    directories: Vec<&'a str>,
    name: &'a str,
    /// The whole path, for messages.
    path: PathBuf,
}

impl<'a> Target<'a> {
    /// Returns the place of a file that lies below the directory of the flag.
    fn new(file: &'a TaskFile, out: &OutArg) -> Option<Self> {
        let below = file.path.below(&out.source)?;
        let mut directories: Vec<_> = below.split('/').collect();
        let name = directories.pop()?;
        Some(Self { file, directories, name, path: out.directory.join(below) })
    }

    /// Checks that nothing is in the way. A missing directory is fine.
    fn check(&self, root: &Path, overwrite: bool) -> anyhow::Result<()> {
        match self.find(root) {
            Ok(Found::Nothing) => Ok(()),
            Ok(Found::Directory) => bail!("{} is a directory", self.path.display()),
            Ok(Found::Other) if overwrite => Ok(()),
            Ok(Found::Other) => bail!("{} exists; --overwrite replaces it", self.path.display()),
            Err(error) => {
                Err(error).with_context(|| format!("cannot write {}", self.path.display()))
            }
        }
    }

    /// Returns what has the file's name.
    fn find(&self, root: &Path) -> io::Result<Found> {
        let directory = Directory::open(root);
        let directory = self.directories.iter().fold(directory, |above, name| above?.below(name));
        match directory.and_then(|directory| directory.find(self.name)) {
            Ok(found) => Ok(found),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Found::Nothing),
            Err(error) => Err(error),
        }
    }

    fn write(&self, root: &Directory, overwrite: bool) -> io::Result<()> {
        let mut opened: Option<Directory> = None;
        for name in &self.directories {
            opened = Some(opened.as_ref().unwrap_or(root).make_below(name)?);
        }
        let directory = opened.as_ref().unwrap_or(root);
        if !overwrite {
            return directory.make_file(self.name, &self.file.bytes);
        }
        // Replaces the name, not the content: a link stays whole, and so does the old file if the
        // disk is full.
        let new = format!(".serpentarium-{}.new", std::process::id());
        let replace = directory
            .make_file(&new, &self.file.bytes)
            .and_then(|()| directory.rename(&new, self.name));
        if replace.is_err() {
            directory.remove(&new);
        }
        replace
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_names_both_directories() {
        let parsed = |value: &str| OutArg::parse(value.into());
        let out = parsed("/out/:a:b").unwrap();
        assert_eq!((out.source.as_str(), out.directory), ("/out", "a:b".into()));
        for value in ["", "out", "/out", "/out:", "out:dir", ":dir", "results"] {
            assert!(parsed(value).unwrap_err().starts_with("write /PATH:DIR"), "{value}");
        }
        assert_eq!(parsed("/:x").unwrap_err(), "a name in a path is not empty, `.` or `..`");
        assert_eq!(parsed("/dev:x").unwrap_err(), "/dev is for devices");
    }
}
