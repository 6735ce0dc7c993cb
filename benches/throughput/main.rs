//! End to end: the embedded broker in this process, the release binary as runner with its workers,
//! and a real WebSocket between them.
//!
//! `cargo bench --bench throughput`, with `-- --json` for JSON. Broker and runner share the cores,
//! as n8n and its runner do on one machine.

mod machine;
mod memory;
mod show;

use std::time::Duration;

use clap::{Parser, ValueEnum};
use machine::{Flow, Machine, customers, ms, one_text};
use serde::Serialize;
use serpentarium::allocator::LargePages;

/// The allocator of the binary, so that this broker costs as much as `serpentarium broker`.
#[global_allocator]
static ALLOCATOR: LargePages = LargePages;

/// Measured numbers of tasks in flight.
const IN_FLIGHT: [usize; 3] = [1, 8, 64];
/// Repetitions at each of them; the median counts.
const REPETITIONS: usize = 3;
/// Echoes: megabytes of items, and repetitions, of which the median counts.
const ECHOES: [(usize, usize); 3] = [(5, 9), (50, 5), (200, 1)];
/// Runner settings that admit the largest echo.
const LARGE: [(&str, &str); 3] = [
    ("SERPENTARIUM_MEMORY", "4GiB"),
    ("SERPENTARIUM_MAX_INPUT", "1GiB"),
    ("SERPENTARIUM_MAX_OUTPUT", "1GiB"),
];
/// Starts; the median counts.
const STARTS: usize = 11;
/// Tasks that wait for a call while their memory is read.
const WAITING: usize = 64;
/// Idle time of a runner before its memory is read.
const REST: Duration = Duration::from_secs(1);
/// Two workers on every machine, so that memory figures are comparable.
const WORKERS: (&str, &str) = ("SERPENTARIUM_WORKERS", "2");

/// Measures throughput, latency, start-up, memory, and large payloads.
#[derive(Parser)]
struct Args {
    /// Tasks per measurement, after a warm-up of a quarter as many.
    #[arg(long, default_value_t = 4000)]
    tasks: usize,
    /// Measure only these parts.
    #[arg(long, value_delimiter = ',', value_name = "PART,…")]
    only: Vec<Part>,
    /// The largest payload in megabytes.
    #[arg(long, default_value_t = 200)]
    largest: usize,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    /// Passed by cargo; ignored.
    #[arg(long, hide = true)]
    bench: bool,
}

/// A part of the benchmark.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Tasks per second and latency.
    Flow,
    /// Calls of a task.
    Calls,
    /// Start-up.
    Start,
    /// Memory at rest, and per task.
    Memory,
    /// Echoes of 5, 50 and 200 MB.
    Payload,
}

/// All measurements.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    cores: usize,
    flow: Vec<Flow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    calls: Option<Calls>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start: Option<Start>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory: Option<Memory>,
    payload: Vec<Payload>,
}

/// Round trip of a task's call: p50 and p99.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Calls {
    p50_ms: f64,
    p99_ms: f64,
}

/// Time from the start of the process to its registration, and to the result of a queued task.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Start {
    registered_ms: f64,
    first_answer_ms: f64,
}

/// Memory of a runner with two workers.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Memory {
    /// Proportional set size at rest, after some tasks.
    parent_pss_mib: f64,
    workers_pss_mib: Vec<f64>,
    /// Private memory that a trivial task adds while it waits for a call.
    task_private_kib: f64,
}

/// The echo of one payload.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    megabytes: usize,
    /// `one text` or `small items`.
    items: &'static str,
    echo_ms: f64,
    /// Peak resident memory of the parent, and of the largest worker, including pages of the image.
    parent_peak_mib: f64,
    worker_peak_mib: f64,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(measure(&args))?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        println!("{}", show::tables(&report));
    }
    Ok(())
}

async fn measure(args: &Args) -> anyhow::Result<Report> {
    let wanted = |part: Part| args.only.is_empty() || args.only.contains(&part);
    let tasks = args.tasks.max(1);
    let cores = std::thread::available_parallelism()?.get();
    let mut report = Report {
        cores,
        flow: Vec::new(),
        calls: None,
        start: None,
        memory: None,
        payload: Vec::new(),
    };
    if wanted(Part::Flow) {
        report.flow = flow(tasks).await?;
    }
    if wanted(Part::Calls) {
        report.calls = Some(calls().await?);
    }
    if wanted(Part::Start) {
        report.start = Some(start().await?);
    }
    if wanted(Part::Memory) {
        report.memory = Some(memory(tasks / 4).await?);
    }
    if wanted(Part::Payload) {
        report.payload = payload(args.largest).await?;
    }
    Ok(report)
}

async fn flow(tasks: usize) -> anyhow::Result<Vec<Flow>> {
    let mut flows = Vec::new();
    for in_flight in IN_FLIGHT {
        eprintln!("{tasks} tasks, {in_flight} in flight");
        let machine = Machine::start(in_flight, &[]).await?;
        machine.run_tasks(tasks / 4, in_flight).await?;
        let mut each = Vec::with_capacity(REPETITIONS);
        for _ in 0..REPETITIONS {
            each.push(machine.run_tasks(tasks, in_flight).await?);
        }
        each.sort_by(|one, other| one.tasks_per_second.total_cmp(&other.tasks_per_second));
        flows.push(each.swap_remove(REPETITIONS / 2));
        machine.stop().await?;
    }
    Ok(flows)
}

async fn calls() -> anyhow::Result<Calls> {
    eprintln!("calls of a task");
    let machine = Machine::start(1, &[]).await?;
    let (p50_ms, p99_ms) = machine.call().await?;
    machine.stop().await?;
    Ok(Calls { p50_ms, p99_ms })
}

async fn start() -> anyhow::Result<Start> {
    eprintln!("{STARTS} starts");
    let (mut registered, mut first_answer) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        let machine = Machine::start(5, &[]).await?;
        registered.push(ms(machine.registered));
        first_answer.push(ms(machine.first_answer));
        machine.stop().await?;
    }
    Ok(Start { registered_ms: median(registered), first_answer_ms: median(first_answer) })
}

async fn memory(tasks: usize) -> anyhow::Result<Memory> {
    eprintln!("memory at rest, and of {WAITING} waiting tasks");
    let machine = Machine::start(8, &[WORKERS]).await?;
    machine.run_tasks(tasks, 8).await?;
    tokio::time::sleep(REST).await;
    let pss =
        machine.processes()?.into_iter().map(memory::pss).collect::<std::io::Result<Vec<_>>>()?;
    machine.stop().await?;
    // A new runner: used slots keep pages of finished tasks, which would hide the cost of a task.
    let machine = Machine::start(WAITING, &[WORKERS]).await?;
    let task_private_kib = machine.waiting(WAITING).await?;
    machine.stop().await?;
    let workers_pss_mib = pss[1..].to_vec();
    Ok(Memory { parent_pss_mib: pss[0], workers_pss_mib, task_private_kib })
}

async fn payload(largest: usize) -> anyhow::Result<Vec<Payload>> {
    let mut payloads = Vec::new();
    for (megabytes, echoes) in ECHOES.into_iter().filter(|(megabytes, _)| *megabytes <= largest) {
        for (kind, make) in
            [("one text", one_text as fn(usize) -> String), ("small items", customers)]
        {
            eprintln!("echo of {megabytes} MB, {kind}");
            let machine = Machine::start(1, &LARGE).await?;
            let echo_ms = median(machine.echo(&make(megabytes * 1_000_000), echoes).await?);
            let peaks = machine
                .processes()?
                .into_iter()
                .map(memory::peak)
                .collect::<std::io::Result<Vec<_>>>()?;
            machine.stop().await?;
            payloads.push(Payload {
                megabytes,
                items: kind,
                echo_ms,
                parent_peak_mib: peaks[0],
                worker_peak_mib: peaks[1..].iter().copied().fold(0.0, f64::max),
            });
        }
    }
    Ok(payloads)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
