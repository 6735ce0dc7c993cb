//! `serpentarium exec`: runs one task in this process, without a broker.

mod files_out;
mod hint;
mod print_host;
mod report;
mod show;

use std::{
    mem::take,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use serde_json::value::RawValue;

use self::{
    files_out::{FilesOut, OutArg},
    hint::print_hint,
    print_host::PrintHost,
    report::ExecReport,
    show::{print_failing_item, print_outcome, print_usage},
};
use super::{
    budget,
    console::{Console, print_error},
    exit_code::{self, OVER_BUDGET, USAGE},
    files_in::FileArgs,
    program::{InputArgs, LimitArgs, ProgramImage, name_flag, read},
};
use crate::{
    config,
    fetch::AllowedHost,
    fuel::parse_fuel,
    runner::effects::CheckedOutcome,
    sandbox::{Job, TaskFiles},
};

/// Runs one Python file in the sandbox, and shows its prints and its result.
///
/// `return` gives the result, which goes to standard output as JSON. With --last, so does the value
/// of a last expression. Prints and standard error of the code appear as they happen. A line with
/// fuel, memory and time goes to standard error.
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
    #[command(flatten)]
    files: FileArgs,
    /// Write the files that the code leaves below a directory of the task into a directory here,
    /// if the code returns; may be repeated. Example: /out:results. At most 10,000 files, which
    /// together are no larger than the memory limit. Links are left out.
    #[arg(long, value_name = "/PATH:DIR", value_parser = OutArg::parser())]
    out: Vec<OutArg>,
    /// Let --out replace files that exist.
    #[arg(long, requires = "out")]
    overwrite: bool,
    #[command(flatten)]
    image: ProgramImage,
    /// Return the value of a last expression, as a notebook does. Code that has a `return` of its
    /// own, outside functions, runs unchanged.
    #[arg(long)]
    last: bool,
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
    /// Let the code make HTTP requests to this host, with urllib, requests or httpx. Repeat it, or
    /// separate hosts by commas: api.example.com (ports 80 and 443), api.example.com:8443,
    /// *.example.org (its subdomains), 127.0.0.1:8080, 10.0.0.0/8:80, * (every public host).
    /// Addresses that are not public must be named themselves. Without it the code has no network.
    #[arg(long, value_name = "HOST", value_delimiter = ',')]
    allow_net: Vec<AllowedHost>,
    /// Print one JSON object instead: result or error, custom and static data, prints, standard
    /// error, written files, fuel, memory, time.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: ExecArgs) -> anyhow::Result<ExitCode> {
    let given = args.files.stdin_count();
    let of_code_and_items = [args.file == Path::new("-"), args.input.is_stdin()];
    if given + of_code_and_items.into_iter().filter(|is| *is).count() > 1 {
        print_error("only one of code, items and files can come from standard input");
        return Ok(USAGE.into());
    }
    let sandbox = args.image.sandbox_for_one()?;
    let host = Arc::new(PrintHost::new(!args.json, &args.allow_net));
    let task = ExecTask::read(&args, &host.console)?;
    if let Some(notice) = args.input.notice() {
        host.console.note(notice);
    }
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().event_interval(1).build()?;
    let mut outcome = runtime.block_on(sandbox.run(task.job, host.clone()));
    let files = outcome.result.as_mut().map(|completed| take(&mut completed.files));
    let files = files.unwrap_or_default();
    let mut checked = runtime.block_on(CheckedOutcome::new(outcome));
    if let Err(failure) = &mut checked.result {
        name_flag(failure);
    }
    let files = if checked.result.is_ok() {
        FilesOut::write(&files, &args.out, args.overwrite)
    } else {
        FilesOut::nothing(&args.out)
    };
    if args.json {
        let prints = host.text();
        let report = ExecReport::new(&checked, &prints, files.written())?;
        let report = serde_json::to_string_pretty(&report)?;
        host.console.out_json(format_args!("{report}\n"));
    } else {
        print_outcome(&host.console, &checked);
        if let Some(items) = &task.items {
            print_failing_item(&host.console, &checked, items);
        }
        if !args.last && !files.wrote() {
            runtime.block_on(print_hint(&sandbox, &host, &checked, &task.code));
        }
        files.show(&host.console);
        print_usage(&host.console, &checked.usage);
    }
    let code = exit_code(&args, &checked, &files, &host.console);
    // The look-up of a name may still block a thread.
    runtime.shutdown_background();
    Ok(host.console.finish(code.into()))
}

/// Returns the exit code. Prints a note if the code is over its budget.
fn exit_code(args: &ExecArgs, outcome: &CheckedOutcome, files: &FilesOut, console: &Console) -> u8 {
    let fuel = outcome.usage.fuel;
    let over = args.budget.is_some_and(|budget| budget::exceeds(console, fuel, budget));
    match exit_code::of_result(&outcome.result) {
        0 if files.has_failed() => exit_code::RAISED,
        0 if over => OVER_BUDGET,
        code => code,
    }
}

/// What runs, and what an error or a hint quotes.
struct ExecTask {
    job: Job,
    code: String,
    /// The items, if the code runs once for each.
    items: Option<Box<RawValue>>,
}

impl ExecTask {
    fn read(args: &ExecArgs, console: &Console) -> anyhow::Result<Self> {
        let code = read(&args.file)?;
        let mut settings = args.input.settings(code.clone())?;
        if args.last {
            settings.serpentarium.get_or_insert_default().last = true;
        }
        // A deterministic run gives the same answer everywhere.
        if !args.deterministic {
            let variable = |name| config::local_timezone(std::env::var(name).ok().as_deref());
            if let Some(zone) = variable("TZ").or_else(|| variable("GENERIC_TIMEZONE")) {
                settings.serpentarium.get_or_insert_default().local_timezone = Some(zone);
            }
        }
        let seed = args.deterministic.then_some(args.seed);
        let mut limits = args.files.limits(args.limits.limits());
        if !args.out.is_empty() {
            limits = files_out::limits(limits);
        }
        let files = args.files.read(limits.memory, console)?;
        let files = args.out.iter().try_fold(files, |files, out| out.ask(files))?;
        let out = files.directories().to_vec();
        if let Some(bytes) = limits.guest_file_bytes() {
            settings.serpentarium.get_or_insert_default().file_bytes = Some(bytes);
        }
        if files != TaskFiles::default() {
            settings.serpentarium.get_or_insert_default().files = Some(files);
        }
        let job = Job { input: settings.to_input()?, limits, seed, out };
        Ok(Self { job, code, items: args.input.each.then_some(settings.items) })
    }
}
