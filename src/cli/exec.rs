//! `serpentarium exec`: runs one task in this process, without a broker.

use std::{
    fmt,
    io::IsTerminal,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Arc, Mutex},
};

use bytesize::ByteSize;
use serde::{Deserialize, Deserializer, Serialize, de::Visitor};
use serde_json::{Value, json, value::RawValue};

use super::{
    budget,
    console::{Console, print_error, safe},
    exit_code::{self, OVER_BUDGET, USAGE},
    pretty::{Compact, Indented},
    program::{InputArgs, LimitArgs, read},
};
use crate::{
    config,
    fuel::{display_fuel, parse_fuel},
    runner::effects::{CheckedOutcome, Effects, Returned},
    sandbox::{
        Answer, Exceeded, Failure, HostCalls, Job, METHOD_NOT_ALLOWED, PendingAnswer, Sandbox,
    },
    sync::lock,
    workers::while_dumpable,
};

/// Runs one Python file in the sandbox, and shows its prints and its result.
///
/// The code is the body of a function: `return` gives the result, which goes to standard output as
/// JSON. Prints go to standard output as they happen. A line with fuel, memory and time goes to
/// standard error.
///
/// Exit codes: 0 the code returned, 1 it raised an exception (or a file could not be read, or the
/// output could not be written), 2 wrong usage, 3 a limit stopped it, 4 Python stopped unexpectedly,
/// 5 it consumed more than its --budget, 6 the sandbox failed.
#[derive(Debug, clap::Args)]
pub(crate) struct ExecArgs {
    /// The Python file; - reads standard input.
    file: PathBuf,
    #[command(flatten)]
    input: InputArgs,
    #[command(flatten)]
    limits: LimitArgs,
    /// The fuel budget, such as 10M. The code runs to its end in any case; the exit code tells
    /// whether it exceeded the budget. With --deterministic the answer is the same in every run.
    #[arg(long, value_name = "N", value_parser = parse_fuel)]
    budget: Option<u64>,
    /// Fix the clock, the hash seed and randomness: the same code and items then consume exactly
    /// the same fuel everywhere.
    #[arg(long)]
    deterministic: bool,
    /// The seed of a deterministic run.
    #[arg(long, value_name = "N", default_value_t = 0, requires = "deterministic")]
    seed: u64,
    /// Print one JSON object instead: result or error, custom and static data, prints, standard
    /// error, fuel, memory, time.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: ExecArgs) -> anyhow::Result<ExitCode> {
    if args.file == Path::new("-") && args.input.is_stdin() {
        print_error("code and items cannot both come from standard input");
        return Ok(USAGE.into());
    }
    let job = job(&args)?;
    let sandbox = while_dumpable(|| Sandbox::builder().slots(1).build())?;
    let prints = Arc::new(PrintHost { live: !args.json, ..PrintHost::default() });
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().event_interval(1).build()?;
    let checked = runtime
        .block_on(async { CheckedOutcome::new(sandbox.run(job, prints.clone()).await).await });
    if args.json {
        let report = serde_json::to_string_pretty(&ExecReport::new(&checked, &prints.text())?)?;
        prints.console.out_json(format_args!("{report}\n"));
    } else {
        print_outcome(&prints.console, &checked);
    }
    let over = args
        .budget
        .is_some_and(|budget| budget::exceeds(&prints.console, checked.usage.fuel, budget));
    let code = match exit_code::of_result(&checked.result) {
        0 if over => OVER_BUDGET,
        code => code,
    };
    Ok(prints.console.finish(code.into()))
}

fn job(args: &ExecArgs) -> anyhow::Result<Job> {
    let input = args.input.settings(read(&args.file)?)?.to_input()?;
    let seed = args.deterministic.then_some(args.seed);
    Ok(Job { input, limits: args.limits.limits(), seed })
}

/// A host that shows the prints of the code as they happen, or keeps them for `--json`.
#[derive(Default)]
struct PrintHost {
    console: Console,
    live: bool,
    kept: Mutex<String>,
}

impl PrintHost {
    fn text(&self) -> String {
        lock(&self.kept).clone()
    }
}

/// Printed text. Lone surrogates, which are not Unicode, are replaced.
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

impl HostCalls for PrintHost {
    fn call(&self, _name: &str, _params: Box<RawValue>) -> PendingAnswer {
        let answer: Answer = Err(METHOD_NOT_ALLOWED.into());
        Box::pin(std::future::ready(answer))
    }

    fn notify(&self, name: &str, params: Box<RawValue>) {
        let Ok(Printed(text)) = serde_json::from_str(params.get()) else {
            return;
        };
        if name != "stdout" {
            return;
        }
        if self.live {
            self.console.out(text);
        } else {
            lock(&self.kept).push_str(&text);
        }
    }
}

fn print_outcome(console: &Console, outcome: &CheckedOutcome) {
    if !outcome.stderr.is_empty() {
        console.note(outcome.stderr.trim_end());
    }
    let colour = config::colour() && std::io::stderr().is_terminal();
    let (red, dim, off) = if colour { ("\x1b[31m", "\x1b[2m", "\x1b[0m") } else { ("", "", "") };
    match &outcome.result {
        Ok(Returned { value, .. }) if value.get() == "null" => {}
        Ok(Returned { value, .. }) => {
            console.out_json(format_args!("{}\n", Indented(value.get())));
        }
        Err(Failure::Raised(exception)) => {
            let text = exception.description.as_ref().unwrap_or(&exception.message);
            console.note_styled(format_args!("{red}{}{off}", safe(text.trim_end())));
        }
        Err(Failure::Exceeded(limit)) => {
            console.note_styled(format_args!("{red}{limit}{off}"));
            if let Some(flag) = flag_of(limit) {
                console.note(format_args!("Raise it with {flag}."));
            }
        }
        Err(Failure::Broken(reason) | Failure::HostFault(reason) | Failure::WorkerLost(reason)) => {
            console.note_styled(format_args!("{red}{}{off}", safe(reason)))
        }
    }
    if let Ok(Returned { effects: Effects { custom_data, static_data }, .. }) = &outcome.result {
        for (key, value) in custom_data.iter().flatten() {
            console.note(format_args!("custom data {key}: {value}"));
        }
        if let Some(data) = static_data {
            console.note(format_args!("static data {}", Compact(data.get())));
        }
    }
    let usage = &outcome.usage;
    let memory = ByteSize::b(usage.memory).display().iec();
    let millis = usage.duration.as_secs_f64() * 1e3;
    console.note_styled(format_args!(
        "{dim}fuel {} · memory {memory} · {millis:.1} ms{off}",
        display_fuel(usage.fuel)
    ));
}

/// Returns the flag that raises a limit. `None`: no flag does.
fn flag_of(limit: &Exceeded) -> Option<&'static str> {
    match limit {
        Exceeded::Time(_) => Some("--timeout"),
        Exceeded::Fuel(_) => Some("--fuel"),
        Exceeded::Memory(_) => Some("--memory"),
        _ => None,
    }
}

/// The object that `--json` prints.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ExecReport<'a> {
    status: &'static str,
    /// Raw JSON, as the code returned it.
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'a RawValue>,
    #[serde(flatten)]
    effects: Option<&'a Effects>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Value>,
    prints: &'a str,
    stderr: &'a str,
    fuel: u64,
    memory: u64,
    duration_ms: f64,
}

impl<'a> ExecReport<'a> {
    fn new(outcome: &'a CheckedOutcome, prints: &'a str) -> serde_json::Result<Self> {
        let (status, result, error) = match &outcome.result {
            Ok(returned) => ("returned", Some(&*returned.value), None),
            Err(Failure::Raised(exception)) => {
                ("raised", None, Some(serde_json::to_value(exception)?))
            }
            Err(Failure::Exceeded(limit)) => (
                "exceeded",
                None,
                Some(json!({"message": limit.to_string(), "limit": limit.name()})),
            ),
            Err(Failure::HostFault(reason) | Failure::WorkerLost(reason)) => {
                ("failed", None, Some(json!({"message": reason})))
            }
            Err(Failure::Broken(reason)) => ("broken", None, Some(json!({"message": reason}))),
        };
        Ok(Self {
            status,
            result,
            effects: outcome.result.as_ref().ok().map(|returned| &returned.effects),
            error,
            prints,
            stderr: &outcome.stderr,
            fuel: outcome.usage.fuel,
            memory: outcome.usage.memory,
            duration_ms: outcome.usage.duration.as_secs_f64() * 1e3,
        })
    }
}
