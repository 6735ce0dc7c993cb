//! `serpentarium exec`: one task, in this process, without a broker.

use std::{
    fmt,
    io::IsTerminal,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use bytesize::ByteSize;
use serde::{Deserialize, Deserializer, Serialize, de::Visitor};
use serde_json::{Value, json, value::RawValue};

use super::{
    USAGE,
    budget::{self, OVER_BUDGET},
    console::{Console, print_error},
    pretty::{Compact, Indented},
    program::{InputArgs, LimitArgs, exit_code, read},
};
use crate::{
    config,
    fuel::{display_fuel, parse_fuel},
    runner::effects::{self, Effects, Returned},
    sandbox::{
        Answer, Exceeded, Failure, HostCalls, Job, METHOD_NOT_ALLOWED, Outcome, PendingAnswer,
        Sandbox, Usage,
    },
};

/// Runs one piece of Python behind glass, and prints what it prints and returns.
///
/// The code is the body of a function: `return` hands out the result, as JSON on standard output. What the code prints
/// goes to standard output as it happens; a line with fuel, memory and time goes to standard error.
///
/// Exit codes: 0 the code returned, 1 it raised an exception (or a file could not be read, or the output not be
/// written), 2 wrong usage, 3 a limit stopped it, 4 the sandbox broke, 5 it burnt more than its --budget.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The Python file; - reads standard input.
    file: PathBuf,
    #[command(flatten)]
    input: InputArgs,
    #[command(flatten)]
    limits: LimitArgs,
    /// The fuel that it should burn at most, such as 10M: it still runs to its end, the exit code then says whether it
    /// kept to that. Together with --deterministic the answer is always the same.
    #[arg(long, value_name = "N", value_parser = parse_fuel)]
    budget: Option<u64>,
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

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    if args.file == Path::new("-") && args.input.is_stdin() {
        print_error("code and items cannot both come from standard input");
        return Ok(USAGE.into());
    }
    let job = job(&args)?;
    let sandbox = Sandbox::builder().slots(1).build()?;
    let prints = Arc::new(Prints { live: !args.json, ..Prints::default() });
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().event_interval(1).build()?;
    let outcome = runtime.block_on(sandbox.run(job, prints.clone()));
    let ended = Ended::new(outcome);
    if args.json {
        let report = serde_json::to_string_pretty(&Report::new(&ended, &prints.text())?)?;
        prints.console.out(format_args!("{report}\n"));
    } else {
        print_text(&prints.console, &ended);
    }
    let over = args
        .budget
        .is_some_and(|budget| budget::exceeds(&prints.console, ended.usage.fuel, budget));
    let code = match exit_code(&ended.result) {
        0 if over => OVER_BUDGET,
        code => code,
    };
    Ok(prints.console.finish(code.into()))
}

fn job(args: &Args) -> anyhow::Result<Job> {
    let input = args.input.settings(read(&args.file)?)?.to_input()?;
    let seed = args.deterministic.then_some(args.seed);
    Ok(Job { input, limits: args.limits.limits(), seed })
}

/// An outcome with its effects checked.
struct Ended {
    result: Result<Returned, Failure>,
    usage: Usage,
    stderr: String,
}

impl Ended {
    fn new(outcome: Outcome) -> Self {
        let Outcome { result, usage, stderr } = outcome;
        Self { result: effects::interpret(result), usage, stderr }
    }
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

    fn notify(&self, name: &str, params: Box<RawValue>) {
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

fn print_text(console: &Console, outcome: &Ended) {
    if !outcome.stderr.is_empty() {
        console.note(outcome.stderr.trim_end());
    }
    let colour = config::colour() && std::io::stderr().is_terminal();
    let (red, dim, off) = if colour { ("\x1b[31m", "\x1b[2m", "\x1b[0m") } else { ("", "", "") };
    match &outcome.result {
        Ok(Returned { value, .. }) if value.get() == "null" => {}
        Ok(Returned { value, .. }) => {
            console.out(format_args!("{}\n", Indented(value.get())));
        }
        Err(Failure::Raised(exception)) => {
            let text = exception.description.as_ref().unwrap_or(&exception.message);
            console.note(format_args!("{red}{}{off}", text.trim_end()));
        }
        Err(Failure::Exceeded(limit)) => {
            console.note(format_args!("{red}{limit}{off}"));
            if let Some(flag) = flag_of(limit) {
                console.note(format_args!("Raise it with {flag}."));
            }
        }
        Err(Failure::Broken(reason) | Failure::WorkerLost(reason)) => {
            console.note(format_args!("{red}{reason}{off}"))
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
    console.note(format_args!(
        "{dim}fuel {} · memory {memory} · {millis:.1} ms{off}",
        display_fuel(usage.fuel)
    ));
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
    effects: Option<&'a Effects>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Value>,
    prints: &'a str,
    stderr: &'a str,
    fuel: u64,
    memory: u64,
    duration_ms: f64,
}

impl<'a> Report<'a> {
    fn new(outcome: &'a Ended, prints: &'a str) -> serde_json::Result<Self> {
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
            Err(Failure::Broken(reason) | Failure::WorkerLost(reason)) => {
                ("broken", None, Some(json!({"message": reason})))
            }
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
