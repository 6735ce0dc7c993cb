//! `serpentarium bench`: measures Python in fuel, which is the same on every machine.

pub(crate) mod compare;
mod growth;
mod measure;
mod plan;
mod show;
pub(crate) mod store;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use serde_json::value::RawValue;

use self::{
    compare::{Compared, Criteria, compare, missing, parse_percent},
    measure::{Failed, Measurement, measure},
    show::BenchReport,
    store::{Baseline, Conditions, Stored},
};
use super::{
    console::{Console, print_error},
    exit_code::{OVER_BUDGET, USAGE},
    harness::{Harness, ProgramFailure},
    program::{InputArgs, LimitArgs, ProgramImage},
};
use crate::{fuel::parse_fuel, sandbox::NoHost};

/// Measures Python in fuel, which is the same on every machine and in every run.
///
/// Each program runs --runs times with a fixed clock, seed and hash seed, each time in a fresh
/// instance. All runs must consume exactly the same fuel. A file may define named benchmarks:
/// functions bench_x, each measured alone, without the start of the interpreter. bench_x receives
/// the result of setup_x if that exists, or else one parameter of the list bench_x.params. With
/// both, setup_x receives the parameter. A list of three or more numbers also shows how fuel grows.
/// Any other file is a program as for `exec`, and is measured from start to end.
///
/// The error of a failed benchmark follows the results of the others, and decides the exit code.
///
/// Exit codes: 0 success, 1 a program raised an exception (or a file could not be read, or
/// baselines could not be compared), 2 wrong usage, 3 a limit stopped a program, 4 Python
/// stopped unexpectedly, or runs differed, 5 a benchmark consumed more than --budget, or more than
/// --fail-above allows, 6 the sandbox failed.
#[derive(Debug, clap::Args)]
pub(crate) struct BenchArgs {
    /// The Python files; - reads standard input. Further files are compared with the first.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    input: InputArgs,
    #[command(flatten)]
    limits: LimitArgs,
    #[command(flatten)]
    image: ProgramImage,
    /// The number of runs of each benchmark.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    runs: u16,
    /// The seed of all randomness.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Save the measurements under this name, unless a benchmark fails or exceeds its budget.
    #[arg(long, value_name = "NAME", value_parser = store::name)]
    save: Option<String>,
    /// Compare with the measurements saved under this name.
    #[arg(long, value_name = "NAME", value_parser = store::name)]
    baseline: Option<String>,
    /// The directory of saved measurements.
    #[arg(long, value_name = "DIR", default_value = store::DIRECTORY)]
    store: PathBuf,
    /// Fail if a benchmark consumes this much more than in the baseline, such as 1%.
    #[arg(long, value_name = "PERCENT", requires = "baseline", value_parser = parse_percent)]
    fail_above: Option<f64>,
    /// Fail if a benchmark consumes more than this, such as 10M.
    #[arg(long, value_name = "N", value_parser = parse_fuel)]
    budget: Option<u64>,
    /// Print one JSON object instead.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: BenchArgs) -> anyhow::Result<ExitCode> {
    let from_stdin = args.files.iter().filter(|file| *file == Path::new("-")).count();
    if from_stdin + usize::from(args.input.is_stdin()) > 1 {
        print_error("only one file, or the items, can come from standard input");
        return Ok(USAGE.into());
    }
    match bench(&args) {
        Ok(code) => Ok(code),
        Err(error) => match error.downcast::<ProgramFailure>() {
            Ok(failure) => {
                print_error(&failure);
                Ok(failure.code.into())
            }
            Err(error) => Err(error),
        },
    }
}

fn bench(args: &BenchArgs) -> anyhow::Result<ExitCode> {
    let items = args.input.items()?;
    let harness = Harness::new(&args.image, args.limits.limits(), args.seed)?;
    let conditions = Conditions::new(harness.image_version(), args.seed, args.input.each, &items);
    // Load it first, so that an unusable baseline fails before the measurements take their time.
    let baseline = args
        .baseline
        .as_deref()
        .map(|name| Baseline::load(&args.store, name, &conditions))
        .transpose()?;
    let baseline = baseline.as_ref().map(|baseline| &baseline.benchmarks);
    let Measured { mut measurements, failed, start } = measure_all(&harness, args, &items)?;
    make_names_unique(&mut measurements);
    let criteria = Criteria { baseline, fail_above: args.fail_above, budget: args.budget };
    let compared = compare(measurements, criteria);
    if args.fail_above.is_some()
        && failed.is_empty()
        && compared.iter().all(|one| one.before.is_none())
    {
        let name = args.baseline.as_deref().unwrap_or_default();
        let has = baseline
            .into_iter()
            .flat_map(|baseline| baseline.keys())
            .next()
            .map_or("nothing", String::as_str);
        anyhow::bail!(
            "nothing to compare: the baseline {name} has {has}, and none of the measured benchmarks"
        );
    }
    let mut missing = baseline.map(|baseline| missing(baseline, &compared)).unwrap_or_default();
    missing.retain(|name| !failed.iter().any(|one| one.covers(name)));
    let too_much = compared.iter().any(|one| one.worse || one.over);
    let console = Console::default();
    let report = BenchReport {
        mode: harness.mode(),
        image: harness.image_version(),
        runs: args.runs,
        seed: args.seed,
        start,
        compared: &compared,
        missing,
        failed: &failed,
    };
    report.print(&console, args.json, criteria, args.baseline.as_deref());
    failed.iter().for_each(|one| print_error(&one.failure));
    if let Some(name) = args.save.as_deref().filter(|_| !too_much && failed.is_empty()) {
        let path = Baseline::new(conditions, stored(&compared)).save(&args.store, name)?;
        console.note(format_args!("Saved as {name} ({}).", path.display()));
    }
    let code = match failed.first() {
        Some(one) => one.failure.code,
        None if too_much => OVER_BUDGET,
        None => 0,
    };
    Ok(console.finish(code.into()))
}

/// The results of all benchmarks.
#[derive(Default)]
struct Measured {
    measurements: Vec<Measurement>,
    failed: Vec<Failed>,
    /// Fuel of an empty program, if whole programs were measured.
    start: Option<u64>,
}

/// Measures every benchmark of every file. A failed one does not stop the others.
fn measure_all(harness: &Harness, args: &BenchArgs, items: &RawValue) -> anyhow::Result<Measured> {
    let mut all = Measured::default();
    for (index, file) in args.files.iter().enumerate() {
        let program = match plan::plan(harness, file, &args.input, items) {
            Ok(program) => program,
            Err(error) => {
                all.failed.push(Failed::of(plan::name(file), error)?);
                continue;
            }
        };
        for benchmark in &program.benchmarks {
            if benchmark.function.is_none() && all.start.is_none() {
                let mut nothing = program.settings.clone();
                nothing.code = String::new();
                all.start =
                    Some(harness.run("an empty program", &nothing, None, Arc::new(NoHost))?.fuel);
            }
            match measure(harness, (index, &program), benchmark, args.runs.into()) {
                Ok(measurement) => all.measurements.push(measurement),
                Err(error) => all.failed.push(Failed::of(benchmark.name(&program.name), error)?),
            }
        }
    }
    Ok(all)
}

/// Makes names unique with a suffix `#2`, `#3`, …: parameters may have the same label, and a file
/// may be named twice.
fn make_names_unique(measurements: &mut [Measurement]) {
    let mut seen = BTreeMap::<String, u32>::new();
    for one in measurements {
        let times = seen.entry(one.name.clone()).or_default();
        *times += 1;
        if *times > 1 {
            one.name = format!("{}#{times}", one.name);
        }
    }
}

fn stored(compared: &[Compared]) -> BTreeMap<String, Stored> {
    let entry = |one: &Compared| {
        let Measurement { name, fuel, memory, .. } = &one.measurement;
        (name.clone(), Stored { fuel: *fuel, memory: *memory })
    };
    compared.iter().map(entry).collect()
}
