//! What `exec`, `bench` and `profile` have in common: a program, its items, its limits, and how it ended.

use std::{
    io::Read,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use serde_json::value::RawValue;

use super::items::items;
use crate::{
    config,
    fuel::parse_fuel,
    protocol::{NodeMode, TaskSettings},
    sandbox::{FUEL_PER_SECOND, Failure, Limits},
};

/// Bytes that the code may print: `exec --json` keeps them until it ends.
const MAX_PRINTED: u64 = 1 << 30;
/// Exit code where the code raised an exception.
pub(crate) const RAISED: u8 = 1;
/// Exit code where a limit stopped the task.
const EXCEEDED: u8 = 3;
/// Exit code where the guest broke.
pub(crate) const BROKEN: u8 = 4;

/// What a program works on.
#[derive(Debug, clap::Args)]
pub(crate) struct InputArgs {
    /// The input items: a JSON file with a list of objects, each with or without n8n's `json` key; - reads standard input.
    #[arg(long, value_name = "FILE")]
    items: Option<PathBuf>,
    /// Run the code once for each item, with `_item`, instead of once with `_items`.
    #[arg(long)]
    pub(crate) each: bool,
}

impl InputArgs {
    /// Whether the items come from standard input.
    pub(crate) fn is_stdin(&self) -> bool {
        self.items.as_deref() == Some(Path::new("-"))
    }

    /// The settings of a task that runs this code.
    ///
    /// # Errors
    /// The file of items cannot be read, or holds something else.
    pub(crate) fn settings(&self, code: String) -> anyhow::Result<TaskSettings> {
        Ok(self.settings_with(code, self.items()?))
    }

    /// The items, which can be read once where they come from standard input.
    ///
    /// # Errors
    /// The file cannot be read, or holds something else.
    pub(crate) fn items(&self) -> anyhow::Result<Box<RawValue>> {
        match &self.items {
            Some(path) => {
                items(&read(path)?).with_context(|| format!("{} holds no items", path.display()))
            }
            None => items("[{}]"),
        }
    }

    /// The settings of a task that runs this code with these items.
    pub(crate) fn settings_with(&self, code: String, items: Box<RawValue>) -> TaskSettings {
        let mode = if self.each { NodeMode::EachItem } else { NodeMode::AllItems };
        let mut settings = TaskSettings::new(code, mode, items);
        settings.print_mode = Some("text".into());
        settings
    }
}

/// What a program may use.
#[derive(Debug, clap::Args)]
pub(crate) struct LimitArgs {
    /// The fuel that it may burn, such as 500M or 20G [default: about as much as the time-out allows].
    #[arg(long, value_name = "N", value_parser = parse_fuel)]
    fuel: Option<u64>,
    /// The memory that it may use, its interpreter (about 33 MiB) included; from 64MiB to 4GiB.
    #[arg(long, value_name = "SIZE", default_value = "512MiB", value_parser = config::memory)]
    memory: u64,
    /// The time that it may take.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = parse_timeout)]
    timeout: Duration,
}

impl LimitArgs {
    pub(crate) fn limits(&self) -> Limits {
        let fuel = (FUEL_PER_SECOND as f64 * self.timeout.as_secs_f64()) as u64;
        Limits {
            time: self.timeout,
            fuel: self.fuel.unwrap_or(fuel.max(FUEL_PER_SECOND)),
            memory: self.memory,
            // Time and fuel bound how often it prints.
            calls: u32::MAX,
            notified: MAX_PRINTED,
            ..Limits::default()
        }
    }
}

fn parse_timeout(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text)
        .map_err(|error| format!("{error}; write 500ms, 10s or 2m"))?;
    if time.is_zero() { Err("must be above 0".into()) } else { Ok(time) }
}

/// The text of a file; `-` is standard input.
///
/// # Errors
/// It cannot be read, or is not UTF-8.
pub(crate) fn read(path: &Path) -> anyhow::Result<String> {
    if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("cannot read standard input")?;
        return Ok(text);
    }
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// The exit code that tells how a program ended.
pub(crate) fn exit_code<T>(result: &Result<T, Failure>) -> u8 {
    match result {
        Ok(_) => 0,
        Err(Failure::Raised(_)) => RAISED,
        Err(Failure::Exceeded(_)) => EXCEEDED,
        Err(Failure::Broken(_) | Failure::WorkerLost(_)) => BROKEN,
    }
}
