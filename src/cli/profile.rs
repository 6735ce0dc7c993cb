//! `serpentarium profile`: the fuel of a program by function and by line.

pub(crate) mod aggregate;
mod calibrate;
pub(crate) mod export;
pub(crate) mod pprof;
mod reconcile;
pub(crate) mod record;
pub(crate) mod show;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use anyhow::Context;

use self::{aggregate::Profile, calibrate::calibrate, record::Recorder};
use super::{
    budget,
    console::{Console, print_error},
    exit_code::{OVER_BUDGET, USAGE},
    files_in::FileArgs,
    harness::{Harness, Measure, ProgramFailure, SpanHost},
    program::{InputArgs, LimitArgs, ProgramImage, read},
};
use crate::{
    fuel::parse_fuel,
    sandbox::{NoHost, TaskFiles},
};

/// Shows the fuel of a program by function and by line, the same on every machine and in every run.
///
/// The program is one as for `exec`. It runs with a fixed clock, seed and hash seed: twice to
/// measure its fuel, and once with every line of its own text traced. The cost of tracing is
/// measured beforehand and subtracted; the report states the difference that remains. The standard
/// library counts for the lines that call it.
///
/// Exit codes: 0 the program returned, 1 it raised an exception (or a file could not be read or
/// written), 2 wrong usage, 3 a limit stopped it, 4 Python stopped unexpectedly, 5 it consumed more
/// than its --budget, 6 the sandbox failed.
#[derive(Debug, clap::Args)]
pub(crate) struct ProfileArgs {
    /// The Python file; - reads standard input.
    file: PathBuf,
    #[command(flatten)]
    input: InputArgs,
    #[command(flatten)]
    limits: LimitArgs,
    #[command(flatten)]
    files: FileArgs,
    #[command(flatten)]
    image: ProgramImage,
    /// The seed of all randomness.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Fail if the program consumes more than this, such as 10M.
    #[arg(long, value_name = "N", value_parser = parse_fuel)]
    budget: Option<u64>,
    /// Write a flame graph (SVG, for a browser).
    #[arg(long, value_name = "FILE.svg")]
    flamegraph: Option<PathBuf>,
    /// Write a file for speedscope.
    #[arg(long, value_name = "FILE.json")]
    speedscope: Option<PathBuf>,
    /// Write a file for pprof (uncompressed; `go tool pprof` reads it).
    #[arg(long, value_name = "FILE.pb")]
    pprof: Option<PathBuf>,
    /// Print one JSON object instead.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: ProfileArgs) -> anyhow::Result<ExitCode> {
    let of_code_and_items = [args.file == Path::new("-"), args.input.is_stdin()];
    if args.files.stdin_count() + of_code_and_items.into_iter().filter(|is| *is).count() > 1 {
        print_error("only one of code, items and files can come from standard input");
        return Ok(USAGE.into());
    }
    let text = read(&args.file)?;
    let name = if args.file == Path::new("-") {
        "<stdin>".into()
    } else {
        args.file.display().to_string()
    };
    let harness = Harness::new(&args.image, args.files.limits(args.limits.limits()), args.seed)?;
    let image = harness.image_version();
    let profile = match profile(&harness, &args, &name, &text) {
        Ok(profile) => profile,
        Err(error) => {
            let failure = error.downcast::<ProgramFailure>()?;
            print_error(&failure);
            return Ok(failure.code.into());
        }
    };
    let console = Console::default();
    if args.json {
        console.out_json(format_args!("{:#}\n", show::json(&profile, &name, args.seed, image)));
    } else {
        show::print(&console, &profile, &text, image);
    }
    if text.contains("def bench_") {
        console.note("Functions bench_… are not called here: `serpentarium bench` measures each of them alone.");
    }
    for (path, bytes) in [
        (&args.flamegraph, export::flamegraph as fn(&Profile, &str) -> anyhow::Result<Vec<u8>>),
        (&args.speedscope, export::speedscope),
        (&args.pprof, pprof::encode),
    ] {
        if let Some(path) = path {
            let bytes = bytes(&profile, &name)?;
            std::fs::write(path, bytes)
                .with_context(|| format!("cannot write {}", path.display()))?;
            console.note(format_args!("Wrote {}.", path.display()));
        }
    }
    let over = args.budget.is_some_and(|budget| budget::exceeds(&console, profile.fuel, budget));
    Ok(console.finish(if over { OVER_BUDGET.into() } else { ExitCode::SUCCESS }))
}

/// Runs the program three times: as it is, between marks, and traced.
fn profile(
    harness: &Harness,
    args: &ProfileArgs,
    name: &str,
    text: &str,
) -> anyhow::Result<Profile> {
    let mut settings = args.input.settings(text.to_owned())?;
    let limits = args.files.limits(args.limits.limits());
    let files = args.files.read(limits.memory, &Console::default())?;
    if files != TaskFiles::default() {
        settings.serpentarium.get_or_insert_default().files = Some(files);
    }
    let costs = calibrate(harness)?;
    let fuel = harness.run(name, &settings, None, Arc::new(NoHost))?.fuel;
    let span = Arc::new(SpanHost::default());
    harness.run(name, &settings, Some(Measure::Span), span.clone())?;
    let recorder = Arc::new(Recorder::new(costs));
    harness.run(name, &settings, Some(Measure::Profile), recorder.clone())?;
    let recording = recorder.take();
    let marks = costs.span * i64::try_from(recording.sections).unwrap_or(i64::MAX);
    let inside = i64::try_from(span.fuel()).unwrap_or(i64::MAX) - marks;
    Ok(Profile::new(recording, fuel, inside))
}
