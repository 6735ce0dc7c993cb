//! The parts that `exec`, `bench` and `profile` share: the items and the limits of a program.

use std::{
    io::Read,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use serde_json::value::RawValue;

use super::items::items;
use crate::{
    config::{self, EMBEDDED, ImageChoice},
    fuel::parse_fuel,
    protocol::{NodeMode, TaskSettings},
    sandbox::{Exceeded, FUEL_PER_SECOND, Failure, Limits, MAX_MEMORY, Sandbox, SandboxError},
    workers::while_dumpable,
};

/// Most bytes of prints. `exec --json` keeps them in memory until the end.
const MAX_PRINTED: u64 = 1 << 30;
/// Most bytes of standard error, which stay in memory until the end.
pub(crate) const MAX_STDERR: u64 = 64 << 20;

/// The input of a program.
#[derive(Debug, clap::Args)]
pub(crate) struct InputArgs {
    /// The input items: a file, - for standard input, or the JSON itself. The JSON is one object, a
    /// list of objects, or JSON lines (one object on each line). Each object has n8n's `json` key,
    /// or is the json of an item.
    #[arg(long, value_name = "FILE|JSON")]
    items: Option<PathBuf>,
    /// Run the code once per item, with `_item`, instead of once with `_items`.
    #[arg(long)]
    pub(crate) each: bool,
}

impl InputArgs {
    /// Returns whether the items come from standard input.
    pub(crate) fn is_stdin(&self) -> bool {
        self.items.as_deref() == Some(Path::new("-"))
    }

    /// Returns the settings of a task that runs this code.
    ///
    /// # Errors
    /// The file of items cannot be read, or holds no items.
    pub(crate) fn settings(&self, code: String) -> anyhow::Result<TaskSettings> {
        Ok(self.settings_with(code, self.items()?))
    }

    /// Reads the items. Call it once: standard input can be read only once.
    ///
    /// # Errors
    /// The file cannot be read, or holds no items.
    pub(crate) fn items(&self) -> anyhow::Result<Box<RawValue>> {
        let Some(given) = &self.items else { return Ok(items("{}")?) };
        let (name, text) = match given.to_str() {
            Some(json) if json.trim_start().starts_with(['{', '[']) => {
                ("--items".into(), json.to_owned())
            }
            Some("-") => ("standard input".into(), read(given)?),
            _ => (given.display().to_string(), read(given)?),
        };
        items(&text).with_context(|| format!("{name} holds no items"))
    }

    /// Returns what a user may not expect of these arguments.
    pub(crate) fn notice(&self) -> Option<&'static str> {
        (self.each && self.items.is_none()).then_some(
            "--each without --items: the code runs once, for an empty item; --items gives others",
        )
    }

    /// Returns the settings of a task that runs this code with these items.
    pub(crate) fn settings_with(&self, code: String, items: Box<RawValue>) -> TaskSettings {
        let mode = if self.each { NodeMode::EachItem } else { NodeMode::AllItems };
        let mut settings = TaskSettings::new(code, mode, items);
        settings.print_mode = Some("text".into());
        settings
    }
}

/// The image of a program.
#[derive(Debug, clap::Args)]
pub(crate) struct ProgramImage {
    /// The image: a name that `serpentarium image list` shows, or the path of its file.
    #[arg(
        long,
        env = "SERPENTARIUM_IMAGE",
        default_value = EMBEDDED,
        value_name = "NAME|PATH",
        value_parser = config::image
    )]
    pub(crate) image: ImageChoice,
}

impl ProgramImage {
    /// Builds the sandbox of one program at a time.
    ///
    /// # Errors
    /// See [`SandboxError`].
    pub(crate) fn sandbox(&self) -> Result<Sandbox, SandboxError> {
        let builder = self.image.builder().slots(1);
        while_dumpable(|| builder.build())
    }

    /// Builds the sandbox of one program alone.
    ///
    /// # Errors
    /// See [`SandboxError`].
    pub(crate) fn sandbox_for_one(&self) -> Result<Sandbox, SandboxError> {
        // A pool first copies the initial memory of an image file, which many tasks make up for
        // (`engine` in src/sandbox/engine.rs). Without one the file itself is mapped.
        let builder = self.image.builder().slots(1).pooled(self.image.path().is_none());
        while_dumpable(|| builder.build())
    }
}

/// The limits of a program.
#[derive(Debug, clap::Args)]
pub(crate) struct LimitArgs {
    /// The fuel limit, such as 500M or 20G [default: about as much as the time-out allows].
    #[arg(long, value_name = "N", value_parser = parse_fuel)]
    fuel: Option<u64>,
    /// The memory limit, interpreter (about 39 MiB) included; from 64MiB to 4GiB.
    #[arg(long, value_name = "SIZE", default_value = "512MiB", value_parser = config::memory)]
    memory: u64,
    /// The time limit.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = parse_timeout)]
    timeout: Duration,
    /// The most bytes of all files of the program together, beside those of `--file` [default: its
    /// memory].
    #[arg(long, value_name = "SIZE", value_parser = config::size)]
    max_file_bytes: Option<u64>,
}

impl LimitArgs {
    pub(crate) fn limits(&self) -> Limits {
        let fuel = (FUEL_PER_SECOND as f64 * self.timeout.as_secs_f64()) as u64;
        Limits {
            time: self.timeout,
            fuel: self.fuel.unwrap_or(fuel.max(FUEL_PER_SECOND)),
            memory: self.memory,
            // The limits of time and fuel bound the number of prints.
            calls: u32::MAX,
            notified: MAX_PRINTED,
            stderr: MAX_STDERR,
            file_bytes: self.max_file_bytes.unwrap_or(MAX_MEMORY),
            ..Limits::default()
        }
    }
}

/// Names the flag that raises the limit which an exception ran into.
pub(crate) fn name_flag(failure: &mut Failure) {
    if let Failure::Raised(exception) = failure
        && let Some(Exceeded::Memory(_)) = exception.limit
    {
        exception.append(" Use less memory at once, or raise it with --memory.");
    }
}

fn parse_timeout(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text)
        .map_err(|error| format!("{error}; write 500ms, 10s or 2m"))?;
    if time.is_zero() { Err("must be above 0".into()) } else { Ok(time) }
}

/// Reads a file; `-` is standard input.
///
/// # Errors
/// The file cannot be read, or is not UTF-8.
pub(crate) fn read(path: &Path) -> anyhow::Result<String> {
    if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("cannot read standard input")?;
        return Ok(text);
    }
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}
