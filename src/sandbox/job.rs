//! A task to run: its input and its limits.

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::{
    files::{FileError, TaskFiles, TaskPath},
    limits::Limits,
};

/// One task to run, as the sandbox takes it: the guest's input, and limits.
///
/// [`Program`] builds one from Python code; a `Job` is for callers that have the guest's settings
/// as JSON already.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Job {
    /// The settings JSON that the guest reads on standard input (wasm/ABI.md).
    pub input: Bytes,
    /// The limits of the task. The guest learns [`Limits::file_bytes`](field@Limits::file_bytes)
    /// from the settings, as `serpentarium.fileBytes`.
    pub limits: Limits,
    /// Seed of the deterministic mode; see [`Job::seed`].
    pub seed: Option<u64>,
    /// The directories whose files the settings ask for; see [`Job::out`].
    pub out: Vec<TaskPath>,
}

impl Job {
    /// Creates a job with this settings JSON, on the machine's own clock and randomness.
    pub fn new(input: impl Into<Bytes>, limits: Limits) -> Self {
        Self { input: input.into(), limits, seed: None, out: Vec::new() }
    }

    /// Makes the run deterministic: the clock advances only when it is read or slept on, and all
    /// randomness comes from this seed. The same input then consumes exactly the same fuel on every
    /// machine.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Accepts files below these directories, for which the settings ask
    /// ([`TaskFiles::directories`]). Others in a reply break the task.
    #[must_use]
    pub fn out(mut self, directories: &[TaskPath]) -> Self {
        self.out = directories.to_vec();
        self
    }
}

/// A piece of Python to run: the body of a function.
///
/// The code sees its input under the name `input`; `return` gives the result.
///
/// ```
/// use serpentarium::sandbox::{Limits, Program};
///
/// # fn main() -> Result<(), serde_json::Error> {
/// let program = Program::new("return sum(input)").input([1, 2, 3])?.limits(Limits::default());
/// # let _ = program;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Program {
    code: String,
    input: Option<Box<RawValue>>,
    timezone: Option<String>,
    limits: Limits,
    seed: Option<u64>,
    last: bool,
    files: TaskFiles,
}

impl Program {
    /// Creates a program with this code, no input, and the default limits.
    pub fn new(code: impl Into<String>) -> Self {
        let (limits, code) = (Limits::default(), code.into());
        Self {
            code,
            input: None,
            timezone: None,
            limits,
            seed: None,
            last: false,
            files: TaskFiles::default(),
        }
    }

    /// Sets the value of the name `input`. A [`RawValue`] is passed on byte for byte.
    ///
    /// # Errors
    /// The value has no form in JSON: it has a map whose keys are not strings, or its `Serialize`
    /// fails.
    pub fn input(mut self, value: impl Serialize) -> serde_json::Result<Self> {
        self.input = Some(to_raw_value(&value)?);
        Ok(self)
    }

    /// Returns the value of a last expression, as a notebook does. Code that has a `return` of its
    /// own, outside functions, runs unchanged.
    ///
    /// ```
    /// use serpentarium::sandbox::Program;
    ///
    /// let program = Program::new("x = [1, 2, 3]\nsum(x)").return_last_expression();
    /// # let _ = program;
    /// ```
    #[must_use]
    pub fn return_last_expression(mut self) -> Self {
        self.last = true;
        self
    }

    /// Sets the time zone of local time (`datetime.now()`): an IANA name, such as `Europe/Berlin`,
    /// or a POSIX rule. Local time is UTC without one, and in an unknown zone, of which Python
    /// warns.
    #[must_use]
    pub fn timezone(mut self, zone: impl Into<String>) -> Self {
        self.timezone = Some(zone.into());
        self
    }

    /// Adds a file to the task's file system. A relative path begins in the working directory.
    ///
    /// The file is a part of the task's input, as base64: [`Limits::input`](field@Limits::input)
    /// must have room for 4/3 of its bytes. It counts against the memory of the task.
    ///
    /// # Errors
    /// The path is not one of a file ([`TaskPath`]), or another file has it.
    pub fn file(mut self, path: &str, bytes: impl Into<Bytes>) -> Result<Self, FileError> {
        self.files = self.files.file(path, bytes)?;
        Ok(self)
    }

    /// Makes a directory in the task's file system. The regular files below it at the end are in
    /// [`Completed::files`](super::Completed::files), if the code returns.
    ///
    /// ```
    /// use serpentarium::sandbox::Program;
    ///
    /// # fn main() -> Result<(), serpentarium::sandbox::FileError> {
    /// let program = Program::new("open('/out/a.txt', 'w').write(open('/data/b.txt').read())")
    ///     .file("/data/b.txt", "text")?
    ///     .out("/out")?;
    /// # let _ = program;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The path is refused ([`TaskPath`]), or lies above or below another one.
    pub fn out(mut self, directory: &str) -> Result<Self, FileError> {
        self.files = self.files.out(directory)?;
        Ok(self)
    }

    /// Sets the limits.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Makes the run deterministic; see [`Job::seed`].
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }
}

/// The settings of a plain program, as the guest reads them.
#[derive(Serialize)]
struct Settings<'a> {
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    serpentarium: Option<HostAddition<'a>>,
}

/// What the host adds to the settings of a program.
#[derive(Default, PartialEq, Serialize)]
struct HostAddition<'a> {
    #[serde(rename = "localTimezone", skip_serializing_if = "Option::is_none")]
    local_timezone: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<bool>,
    #[serde(rename = "fileBytes", skip_serializing_if = "Option::is_none")]
    file_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    files: Option<&'a TaskFiles>,
}

impl From<Program> for Job {
    fn from(program: Program) -> Self {
        let addition = HostAddition {
            local_timezone: program.timezone.as_deref(),
            last: program.last.then_some(true),
            file_bytes: program.limits.guest_file_bytes(),
            files: (!program.files.is_empty()).then_some(&program.files),
        };
        let settings = Settings {
            code: &program.code,
            input: program.input.as_deref(),
            serpentarium: Some(addition).filter(|added| *added != HostAddition::default()),
        };
        let input = serde_json::to_vec(&settings).expect("a string and raw JSON always serialise");
        let out = program.files.directories().to_vec();
        Self { input: input.into(), limits: program.limits, seed: program.seed, out }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::abi::SETTINGS_KEYS;

    #[test]
    fn a_program_becomes_the_guests_settings() {
        let program = Program::new("return \"é\"").seed(7);
        let job = Job::from(program.clone());
        assert_eq!((&*job.input, job.seed), (r#"{"code":"return \"é\""}"#.as_bytes(), Some(7)));
        let raw = RawValue::from_string("[1,  2.50]".into()).unwrap();
        let job = Job::from(program.input(&raw).unwrap());
        assert_eq!(&*job.input, r#"{"code":"return \"é\"","input":[1,  2.50]}"#.as_bytes());
        let keys: serde_json::Map<_, _> = serde_json::from_slice(&job.input).unwrap();
        assert!(keys.keys().map(String::as_str).eq(SETTINGS_KEYS));
        let job = Job::from(Program::new("1").return_last_expression());
        assert_eq!(&*job.input, br#"{"code":"1","serpentarium":{"last":true}}"#);
    }
    #[test]
    fn a_program_carries_its_time_zone() {
        let job = Job::from(Program::new("").timezone("Europe/Oslo"));
        let expected = r#"{"code":"","serpentarium":{"localTimezone":"Europe/Oslo"}}"#;
        assert_eq!(&*job.input, expected.as_bytes());
    }

    #[test]
    fn a_program_carries_its_files() {
        let program = Program::new("").file("a", "b").unwrap().out("/o").unwrap();
        let job = Job::from(program);
        let files = r#"{"in":[{"path":"/home/task/a","data":"Yg=="}],"out":["/o"]}"#;
        let expected = format!(r#"{{"code":"","serpentarium":{{"files":{files}}}}}"#);
        assert_eq!(
            (&*job.input, &*job.out),
            (expected.as_bytes(), &[TaskPath::new("/o").unwrap()][..])
        );
    }
}
