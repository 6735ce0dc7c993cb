//! `serpentarium exec`: one task, in this process, without a broker.

use std::{
    fmt,
    io::{IsTerminal, Read},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use bytesize::ByteSize;
use serde::{Deserialize, Deserializer, Serialize, de::Visitor};
use serde_json::{Value, json, value::RawValue};

use super::{
    USAGE,
    console::{Console, complain},
    items::items,
    pretty::{Compact, Indented},
};
use crate::{
    config,
    fuel::{display_fuel, parse_fuel},
    protocol::{NodeMode, TaskSettings},
    sandbox::{
        Answer, End, Exceeded, Extras, FUEL_PER_SECOND, HostCalls, Job, Limits, METHOD_NOT_ALLOWED, Outcome,
        PendingAnswer, Sandbox, SandboxConfig,
    },
};

/// Bytes that the code may print: with --json they are kept until it ends.
const MAX_PRINTED: u64 = 1 << 30;
/// Exit code where the code raised an exception.
const RAISED: u8 = 1;
/// Exit code where a limit stopped the task.
const EXCEEDED: u8 = 3;
/// Exit code where the guest broke.
const BROKEN: u8 = 4;

/// Runs one piece of Python behind glass, and prints what it prints and returns.
///
/// The code is the body of a function: `return` hands out the result, as JSON on standard output. What the code prints
/// goes to standard output as it happens; a line with fuel, memory and time goes to standard error.
///
/// Exit codes: 0 the code returned, 1 it raised an exception (or a file could not be read, or the output not be
/// written), 2 wrong usage, 3 a limit stopped it, 4 the sandbox broke.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The Python file; - reads standard input.
    file: PathBuf,
    /// The input items: a JSON file with a list of objects, each with or without n8n's `json` key; - reads standard input.
    #[arg(long, value_name = "FILE")]
    items: Option<PathBuf>,
    /// Run the code once for each item, with `_item`, instead of once with `_items`.
    #[arg(long)]
    each: bool,
    /// The fuel that it may burn, such as 500M or 20G [default: about as much as the time-out allows].
    #[arg(long, value_name = "N", value_parser = parse_fuel)]
    fuel: Option<u64>,
    /// The memory that it may use, its interpreter (about 31 MiB) included; from 64MiB to 4GiB.
    #[arg(long, value_name = "SIZE", default_value = "512MiB", value_parser = config::memory)]
    memory: u64,
    /// The time that it may take.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = parse_timeout)]
    timeout: Duration,
    /// Fix clock, seed and randomness, so that the same code and items burn exactly the same fuel, everywhere.
    #[arg(long)]
    deterministic: bool,
    /// The seed of a deterministic run.
    #[arg(long, value_name = "N", default_value_t = 0, requires = "deterministic")]
    seed: u64,
    /// Print one JSON object instead: result or error, custom and static data, prints, standard error, fuel, memory, time.
    #[arg(long)]
    json: bool,
}

fn parse_timeout(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).map_err(|error| format!("{error}; write 500ms, 10s or 2m"))?;
    if time.is_zero() { Err("must be above 0".into()) } else { Ok(time) }
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    if args.file == Path::new("-") && args.items.as_deref() == Some(Path::new("-")) {
        complain("code and items cannot both come from standard input");
        return Ok(USAGE.into());
    }
    let job = job(&args)?;
    let sandbox = Sandbox::new(SandboxConfig { slots: 1 })?;
    let prints = Arc::new(Prints { live: !args.json, ..Prints::default() });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().event_interval(1).build()?;
    let outcome = runtime.block_on(sandbox.run(job, prints.clone()));
    if args.json {
        let report = serde_json::to_string_pretty(&Report::new(&outcome, &prints.text())?)?;
        prints.console.out(format_args!("{report}\n"));
    } else {
        print_text(&prints.console, &outcome);
    }
    Ok(prints.console.finish(match outcome.end {
        End::Returned(_) => ExitCode::SUCCESS,
        End::Raised(_) => RAISED.into(),
        End::Exceeded(_) => EXCEEDED.into(),
        End::Broken(_) | End::WorkerLost(_) => BROKEN.into(),
    }))
}

fn job(args: &Args) -> anyhow::Result<Job> {
    let mode = if args.each { NodeMode::EachItem } else { NodeMode::AllItems };
    let items = match &args.items {
        Some(path) => items(&read(path)?).with_context(|| format!("{} holds no items", path.display()))?,
        None => items("[{}]")?,
    };
    let mut settings = TaskSettings::new(read(&args.file)?, mode, items);
    settings.print_mode = Some("text".into());
    let fuel = (FUEL_PER_SECOND as f64 * args.timeout.as_secs_f64()) as u64;
    let limits = Limits {
        time: args.timeout,
        fuel: args.fuel.unwrap_or(fuel.max(FUEL_PER_SECOND)),
        memory: args.memory,
        // Time and fuel bound how often it prints.
        calls: u32::MAX,
        told: MAX_PRINTED,
        ..Limits::default()
    };
    let input = settings.to_input()?;
    Ok(Job { input, limits, deterministic: args.deterministic.then_some(args.seed) })
}

fn read(path: &Path) -> anyhow::Result<String> {
    if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("cannot read standard input")?;
        return Ok(text);
    }
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// What the code prints: shown as it happens, or kept.
#[derive(Default)]
struct Prints {
    console: Console,
    live: bool,
    kept: std::sync::Mutex<String>,
}

impl Prints {
    fn text(&self) -> String {
        self.kept.lock().map(|text| text.clone()).unwrap_or_default()
    }
}

/// Printed text: what is not Unicode (a lone surrogate) is replaced.
struct Printed(String);

impl<'de> Deserialize<'de> for Printed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Printed;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_bytes<E>(self, text: &[u8]) -> Result<Printed, E> {
                Ok(Printed(String::from_utf8_lossy(text).into_owned()))
            }
        }
        deserializer.deserialize_bytes(Text)
    }
}

impl HostCalls for Prints {
    fn call(&self, _name: &str, _params: Box<RawValue>) -> PendingAnswer {
        let answer: Answer = Err(METHOD_NOT_ALLOWED.into());
        Box::pin(std::future::ready(answer))
    }

    fn tell(&self, name: &str, params: Box<RawValue>) {
        let Ok(Printed(text)) = serde_json::from_str(params.get()) else {
            return;
        };
        if name != "stdout" {
            return;
        }
        if self.live {
            self.console.out(text);
        } else if let Ok(mut kept) = self.kept.lock() {
            kept.push_str(&text);
        }
    }
}

fn print_text(console: &Console, outcome: &Outcome) {
    if !outcome.stderr.is_empty() {
        console.note(outcome.stderr.trim_end());
    }
    let colour = config::colour() && std::io::stderr().is_terminal();
    let (red, dim, off) = if colour { ("\x1b[31m", "\x1b[2m", "\x1b[0m") } else { ("", "", "") };
    match &outcome.end {
        End::Returned(value) if value.get() == "null" => {}
        End::Returned(value) => console.out(format_args!("{}\n", Indented(value.get()))),
        End::Raised(exception) => {
            let text = exception.description.as_ref().unwrap_or(&exception.message);
            console.note(format_args!("{red}{}{off}", text.trim_end()));
        }
        End::Exceeded(limit) => {
            console.note(format_args!("{red}{limit}{off}"));
            if let Some(flag) = flag_of(limit) {
                console.note(format_args!("Raise it with {flag}."));
            }
        }
        End::Broken(reason) | End::WorkerLost(reason) => console.note(format_args!("{red}{reason}{off}")),
    }
    let Extras { custom_data, static_data } = &outcome.extras;
    for (key, value) in custom_data.iter().flatten() {
        console.note(format_args!("custom data {key}: {value}"));
    }
    if let Some(data) = static_data {
        console.note(format_args!("static data {}", Compact(data.get())));
    }
    let usage = &outcome.usage;
    let memory = ByteSize::b(usage.memory).display().iec();
    let millis = usage.duration.as_secs_f64() * 1e3;
    console.note(format_args!("{dim}fuel {} · memory {memory} · {millis:.1} ms{off}", display_fuel(usage.fuel)));
}

/// The flag that raises a limit, where there is one.
fn flag_of(limit: &Exceeded) -> Option<&'static str> {
    match limit {
        Exceeded::Time(_) => Some("--timeout"),
        Exceeded::Fuel(_) => Some("--fuel"),
        Exceeded::Memory(_) => Some("--memory"),
        _ => None,
    }
}

/// What `--json` prints.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report<'a> {
    status: &'static str,
    /// As the code returned it, to the letter.
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'a RawValue>,
    #[serde(flatten)]
    extras: &'a Extras,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Value>,
    prints: &'a str,
    stderr: &'a str,
    fuel: u64,
    memory: u64,
    duration_ms: f64,
}

impl<'a> Report<'a> {
    fn new(outcome: &'a Outcome, prints: &'a str) -> serde_json::Result<Self> {
        let (status, result, error) = match &outcome.end {
            End::Returned(value) => ("returned", Some(&**value), None),
            End::Raised(exception) => ("raised", None, Some(serde_json::to_value(exception)?)),
            End::Exceeded(limit) => {
                ("exceeded", None, Some(json!({"message": limit.to_string(), "limit": limit.name()})))
            }
            End::Broken(reason) | End::WorkerLost(reason) => ("broken", None, Some(json!({"message": reason}))),
        };
        Ok(Self {
            status,
            result,
            extras: &outcome.extras,
            error,
            prints,
            stderr: &outcome.stderr,
            fuel: outcome.usage.fuel,
            memory: outcome.usage.memory,
            duration_ms: outcome.usage.duration.as_secs_f64() * 1e3,
        })
    }
}
