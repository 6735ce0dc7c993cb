//! `serpentarium exec`: one task, in this process, without a broker.

use std::{
    io::{IsTerminal, Read, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, bail};
use bytesize::ByteSize;
use serde_json::{json, value::RawValue};

use crate::{
    fuel::{display_fuel, parse_fuel},
    protocol::{NodeMode, TaskSettings},
    sandbox::{
        Answer, End, FUEL_PER_SECOND, HostCalls, Job, Limits, MAX_MEMORY, METHOD_NOT_ALLOWED, Outcome, PendingAnswer,
        Sandbox, SandboxConfig,
    },
};

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
/// Exit codes: 0 the code returned, 1 it raised an exception (or a file could not be read), 2 wrong usage, 3 a limit
/// stopped it, 4 the sandbox broke.
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
    /// The memory that it may use, its interpreter (about 40 MiB) included; at most 4GiB.
    #[arg(long, value_name = "SIZE", default_value = "512MiB", value_parser = parse_memory)]
    memory: ByteSize,
    /// The time that it may take.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = parse_timeout)]
    timeout: Duration,
    /// Fix clock, seed and randomness, so that the same code and items burn exactly the same fuel, everywhere.
    #[arg(long)]
    deterministic: bool,
    /// The seed of a deterministic run.
    #[arg(long, value_name = "N", default_value_t = 0, requires = "deterministic")]
    seed: u64,
    /// Print one JSON object instead: result or error, prints, standard error, fuel, memory, time.
    #[arg(long)]
    json: bool,
}

fn parse_memory(text: &str) -> Result<ByteSize, String> {
    let size: ByteSize = text.parse()?;
    if size.as_u64() > MAX_MEMORY { Err("at most 4GiB can be addressed".into()) } else { Ok(size) }
}

fn parse_timeout(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).map_err(|error| format!("{error}; write 500ms, 10s or 2m"))?;
    if time.is_zero() { Err("must be above 0".into()) } else { Ok(time) }
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let job = job(&args)?;
    let sandbox = Sandbox::new(SandboxConfig { slots: 1 })?;
    let prints = Arc::new(Prints { live: !args.json, ..Prints::default() });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().event_interval(1).build()?;
    let outcome = runtime.block_on(sandbox.run(job, prints.clone()));
    if args.json {
        print_json(&outcome, &prints.text())?
    } else {
        print_text(&outcome)?
    }
    Ok(match outcome.end {
        End::Returned(_) => ExitCode::SUCCESS,
        End::Raised(_) => RAISED.into(),
        End::Exceeded(_) => EXCEEDED.into(),
        End::Broken(_) | End::WorkerLost(_) => BROKEN.into(),
    })
}

fn job(args: &Args) -> anyhow::Result<Job> {
    if args.file == Path::new("-") && args.items.as_deref() == Some(Path::new("-")) {
        bail!("code and items cannot both come from standard input");
    }
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
        memory: args.memory.as_u64(),
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

/// n8n's items from a list of objects that may be items already.
fn items(text: &str) -> anyhow::Result<Box<RawValue>> {
    let list: Vec<serde_json::Map<String, serde_json::Value>> =
        serde_json::from_str(text).context("expected a JSON list of objects")?;
    let as_item = |object: serde_json::Map<_, _>| {
        if object.get("json").is_some_and(serde_json::Value::is_object) {
            object.into()
        } else {
            json!({"json": object})
        }
    };
    let items: Vec<serde_json::Value> = list.into_iter().map(as_item).collect();
    Ok(serde_json::value::to_raw_value(&items)?)
}

/// What the code prints: shown as it happens, or kept.
#[derive(Default)]
struct Prints {
    live: bool,
    kept: std::sync::Mutex<String>,
}

impl Prints {
    fn text(&self) -> String {
        self.kept.lock().map(|text| text.clone()).unwrap_or_default()
    }
}

impl HostCalls for Prints {
    fn call(&self, _name: &str, _params: Box<RawValue>) -> PendingAnswer {
        let answer: Answer = Err(METHOD_NOT_ALLOWED.into());
        Box::pin(std::future::ready(answer))
    }

    fn tell(&self, name: &str, params: Box<RawValue>) {
        let Ok(text) = serde_json::from_str::<String>(params.get()) else {
            return;
        };
        if name != "stdout" {
            return;
        }
        if self.live {
            let mut out = std::io::stdout().lock();
            // Whoever read our output has gone; the task goes on.
            let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        } else if let Ok(mut kept) = self.kept.lock() {
            kept.push_str(&text);
        }
    }
}

fn print_text(outcome: &Outcome) -> anyhow::Result<()> {
    if !outcome.stderr.is_empty() {
        eprintln!("{}", outcome.stderr.trim_end());
    }
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let (red, dim, off) = if colour { ("\x1b[31m", "\x1b[2m", "\x1b[0m") } else { ("", "", "") };
    match &outcome.end {
        End::Returned(value) => {
            let value: serde_json::Value = serde_json::from_str(value.get())?;
            if !value.is_null() {
                println!("{value:#}");
            }
        }
        End::Raised(exception) => match &exception.description {
            Some(description) => eprintln!("{red}{}{off}", description.trim_end()),
            None => eprintln!("{red}{}{off}", exception.message),
        },
        End::Exceeded(limit) => {
            eprintln!("{red}{limit}{off}");
            eprintln!("Raise it with {}.", raise(limit.name()));
        }
        End::Broken(reason) | End::WorkerLost(reason) => eprintln!("{red}{reason}{off}"),
    }
    let usage = &outcome.usage;
    let memory = ByteSize::b(usage.memory).display().iec();
    let millis = usage.duration.as_secs_f64() * 1e3;
    eprintln!("{dim}fuel {} · memory {memory} · {millis:.1} ms{off}", display_fuel(usage.fuel));
    Ok(())
}

/// The flag that raises a limit.
fn raise(limit: &str) -> &'static str {
    match limit {
        "time" => "--timeout",
        "fuel" => "--fuel",
        "memory" => "--memory",
        _ => "the library: this limit has no flag",
    }
}

fn print_json(outcome: &Outcome, prints: &str) -> anyhow::Result<()> {
    let mut report = json!({
        "prints": prints,
        "stderr": outcome.stderr,
        "fuel": outcome.usage.fuel,
        "memory": outcome.usage.memory,
        "durationMs": outcome.usage.duration.as_secs_f64() * 1e3,
    });
    match &outcome.end {
        End::Returned(value) => {
            report["status"] = json!("returned");
            report["result"] = serde_json::from_str(value.get())?;
        }
        End::Raised(exception) => {
            report["status"] = json!("raised");
            report["error"] = serde_json::to_value(exception)?;
        }
        End::Exceeded(limit) => {
            report["status"] = json!("exceeded");
            report["error"] = json!({"message": limit.to_string(), "limit": limit.name()});
        }
        End::Broken(reason) | End::WorkerLost(reason) => {
            report["status"] = json!("broken");
            report["error"] = json!({"message": reason});
        }
    }
    println!("{report:#}");
    Ok(())
}
