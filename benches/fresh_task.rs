//! The cost of one task in process (fresh instance, small Python program, drop), and fuel per
//! second. Private memory is that of the first task, which finds its slot unused; later tasks of the
//! same process reuse pages.
//!
//! `cargo bench --bench fresh_task`, with `-- --json` for JSON.

use std::{
    fs,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use clap::Parser;
use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;
use serde_json::value::RawValue;
use serpentarium::{
    fuel::display_fuel,
    protocol::{NodeMode, TaskSettings},
    sandbox::{Failure, Job, Limits, NoHost, Outcome, Sandbox},
};
use tokio::runtime::Runtime;

/// Name, code, mode and items.
const TASKS: &[(&str, &str, NodeMode, &str)] = &[
    ("trivial", "return 1 + 2", NodeMode::AllItems, "[]"),
    (
        "one item",
        "return [{'json': {'sum': i['json']['a'] + 1}} for i in _items]",
        NodeMode::AllItems,
        r#"[{"json":{"a":1}}]"#,
    ),
    (
        "each of 3 items",
        "return {'b': _item['json']['a']}",
        NodeMode::EachItem,
        r#"[{"json":{"a":1}},{"json":{"a":2}},{"json":{"a":3}}]"#,
    ),
    (
        "imports",
        "import json, re, datetime\nreturn re.sub('a', 'b', json.dumps({'a': 1}))",
        NodeMode::AllItems,
        "[]",
    ),
    (
        "writes a file",
        "import io\nwith open('a.txt', 'w') as f: f.write('x')\nreturn 1",
        NodeMode::AllItems,
        "[]",
    ),
    // The same without a file.
    (
        "writes to memory",
        "import io\nwith io.StringIO() as f: f.write('x')\nreturn 1",
        NodeMode::AllItems,
        "[]",
    ),
    (
        "sqlite3",
        "import sqlite3\nc = sqlite3.connect(':memory:')\nreturn c.execute('select 1').fetchone()",
        NodeMode::AllItems,
        "[]",
    ),
    ("imports requests", "import requests\nreturn 1", NodeMode::AllItems, "[]"),
    ("exception", "def f(): raise ValueError('x')\nf()", NodeMode::AllItems, "[]"),
];
/// Fuel of the busy loop that measures fuel per second: about 0.2 s.
const SPIN: u64 = 3_000_000_000;

/// Measures fresh tasks in this process.
#[derive(Parser)]
struct Args {
    /// Runs of each task, after a warm-up of a tenth as many.
    #[arg(long, default_value_t = 5000)]
    tasks: usize,
    /// Measure only the task with this name.
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// Measure this code only, without items.
    #[arg(long, value_name = "PYTHON", conflicts_with = "only")]
    code: Option<String>,
    /// The file of an image, in the place of the embedded one.
    #[arg(long, value_name = "PATH")]
    image: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    /// Passed by cargo; ignored.
    #[arg(long, hide = true)]
    bench: bool,
}

/// All measurements.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    tasks: Vec<Measured>,
    fuel_per_second: u64,
}

/// One task over all its runs.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Measured {
    name: String,
    median_ms: f64,
    p95_ms: f64,
    fuel: u64,
    page_faults: u64,
    private_kib: u64,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let builder = Sandbox::builder();
    let sandbox = match &args.image {
        Some(path) => builder.image(path),
        None => builder,
    }
    .build()?;
    let wanted = |name: &str| args.only.as_deref().is_none_or(|only| only == name);
    let given = args.code.as_deref().map(|code| [("given", code, NodeMode::AllItems, "[]")]);
    let chosen = given.as_ref().map_or(TASKS, |given| given);
    let mut tasks = Vec::new();
    for (name, code, mode, items) in chosen.iter().filter(|task| wanted(task.0)) {
        tasks.push(measure(
            &runtime,
            &sandbox,
            name,
            &job(code, *mode, items)?,
            args.tasks.max(1),
        )?);
    }
    let report = Report { tasks, fuel_per_second: fuel_per_second(&runtime, &sandbox)? };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        println!("{}", table(&report));
    }
    Ok(())
}

fn job(code: &str, mode: NodeMode, items: &str) -> anyhow::Result<Job> {
    let input = TaskSettings::new(code, mode, RawValue::from_string(items.into())?).to_input()?;
    Ok(Job::new(input, Limits::default()))
}

fn measure(
    runtime: &Runtime,
    sandbox: &Sandbox,
    name: &str,
    job: &Job,
    tasks: usize,
) -> anyhow::Result<Measured> {
    let (mut times, mut fuel) = (Vec::with_capacity(tasks), 0);
    let unused = private_kib()?;
    let (mut private_kib_of_first, mut page_faults) = (0, 0);
    for run in 0..tasks + tasks / 10 {
        let before = faults()?;
        let (outcome, time) = timed(runtime, sandbox, job.clone());
        page_faults = faults()? - before;
        if run == 0 {
            private_kib_of_first = private_kib()?.saturating_sub(unused);
        }
        if !matches!(outcome.result, Ok(_) | Err(Failure::Raised(_))) {
            bail!("{name}: {:?}", outcome.result);
        }
        fuel = outcome.usage.fuel;
        if run >= tasks / 10 {
            times.push(time);
        }
    }
    times.sort();
    let percentile = |percent: usize| times[times.len() * percent / 100].as_secs_f64() * 1e3;
    Ok(Measured {
        name: name.into(),
        median_ms: percentile(50),
        p95_ms: percentile(95),
        fuel,
        page_faults,
        private_kib: private_kib_of_first,
    })
}

/// Returns the page faults of this thread so far.
fn faults() -> anyhow::Result<u64> {
    let stat = fs::read_to_string("/proc/thread-self/stat")?;
    // The name in brackets may have spaces.
    let fields = stat.rsplit(')').next().unwrap_or_default();
    Ok(fields.split_whitespace().nth(7).context("no page faults")?.parse()?)
}

/// Returns the memory of this process that no file has.
fn private_kib() -> anyhow::Result<u64> {
    let rollup = fs::read_to_string("/proc/self/smaps_rollup")?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Anonymous:"));
    Ok(line.and_then(|line| line.split_whitespace().next()).context("no memory")?.parse()?)
}

fn timed(runtime: &Runtime, sandbox: &Sandbox, job: Job) -> (Outcome, Duration) {
    let started = Instant::now();
    let outcome = runtime.block_on(sandbox.run(job, Arc::new(NoHost)));
    (outcome, started.elapsed())
}

fn fuel_per_second(runtime: &Runtime, sandbox: &Sandbox) -> anyhow::Result<u64> {
    let mut spin = job("n = 0\nwhile True: n += 1", NodeMode::AllItems, "[]")?;
    spin.limits.fuel = SPIN;
    let (outcome, time) = timed(runtime, sandbox, spin);
    Ok((outcome.usage.fuel as f64 / time.as_secs_f64()) as u64)
}

fn table(report: &Report) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_header([
        "task",
        "median ms",
        "p95 ms",
        "fuel",
        "page faults",
        "private KiB",
    ]);
    for Measured { name, median_ms, p95_ms, fuel, page_faults, private_kib } in &report.tasks {
        table.add_row([
            name.clone(),
            format!("{median_ms:.3}"),
            format!("{p95_ms:.3}"),
            display_fuel(*fuel),
            page_faults.to_string(),
            private_kib.to_string(),
        ]);
    }
    table
        .column_iter_mut()
        .skip(1)
        .for_each(|column| column.set_cell_alignment(CellAlignment::Right));
    format!(
        "{table}\na busy loop consumes {} units of fuel a second",
        display_fuel(report.fuel_per_second)
    )
}
