//! The whole thing: the embedded broker here, the built binary as runner with its workers, a real WebSocket between them.
//!
//! `cargo bench --bench throughput`, with `-- --json` for machines. The broker shares the cores with what it measures, as
//! n8n does on one machine.

mod machine;
mod memory;
mod show;

use std::time::Duration;

use clap::{Parser, ValueEnum};
use machine::{Flight, Machine, customers, ms, one_text};
use serde::Serialize;
use serpentarium::allocator::LargePages;

/// As the binary has it, whose broker this one stands for.
#[global_allocator]
static ALLOCATOR: LargePages = LargePages;

/// Tasks in flight that are measured.
const IN_FLIGHT: [usize; 3] = [1, 8, 64];
/// Flights of so many tasks, of which the middle one counts.
const FLIGHTS: usize = 3;
/// Megabytes of items that are echoed, and how often, of which the middle one counts.
const ECHOES: [(usize, usize); 3] = [(5, 9), (50, 5), (200, 1)];
/// What a runner needs to be allowed for the largest of them.
const LARGE: [(&str, &str); 3] = [
    ("SERPENTARIUM_MEMORY", "4GiB"),
    ("SERPENTARIUM_MAX_INPUT", "1GiB"),
    ("SERPENTARIUM_MAX_OUTPUT", "1GiB"),
];
/// Starts, of which the middle one counts.
const STARTS: usize = 11;
/// Tasks that wait at once while their memory is read.
const WAITING: usize = 64;
/// How long a runner is left alone before its memory is read.
const REST: Duration = Duration::from_secs(1);
/// Workers of which the memory is read, on any machine.
const WORKERS: (&str, &str) = ("SERPENTARIUM_WORKERS", "2");

/// Measures tasks a second, latency, start-up, memory, and large payloads.
#[derive(Parser)]
struct Args {
    /// Tasks for each measurement; a quarter of it goes before as a warm-up.
    #[arg(long, default_value_t = 4000)]
    tasks: usize,
    /// Measure these only.
    #[arg(long, value_delimiter = ',', value_name = "PART,…")]
    only: Vec<Part>,
    /// The largest payload in megabytes.
    #[arg(long, default_value_t = 200)]
    largest: usize,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    /// What cargo passes; without a meaning.
    #[arg(long, hide = true)]
    bench: bool,
}

/// What can be measured.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Tasks a second and latency.
    Flow,
    /// Calls of a task.
    Calls,
    /// Start-up.
    Start,
    /// At rest, and for each task.
    Memory,
    /// Echoes of 5, 50 and 200 MB.
    Payload,
}

/// What is measured.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    cores: usize,
    flow: Vec<Flight>,
    #[serde(skip_serializing_if = "Option::is_none")]
    calls: Option<Calls>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start: Option<Start>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory: Option<Memory>,
    payload: Vec<Payload>,
}

/// A call of a task, there and back: the middle one, and that which 99 of 100 are faster than.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Calls {
    p50_ms: f64,
    p99_ms: f64,
}

/// From starting the process to its registration, and to the first result of a task that waited for it.
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
    /// Proportional set size, at rest after some tasks.
    parent_pss_mib: f64,
    workers_pss_mib: Vec<f64>,
    /// Memory of no other process that a trivial task adds while it waits for an answer.
    task_private_kib: f64,
}

/// Items there and back.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    megabytes: usize,
    /// One item with one text, or small items as they come from a table.
    items: &'static str,
    echo_ms: f64,
    /// The most that the parent, and the worker that took most, had in memory, the image's pages included.
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

async fn flow(tasks: usize) -> anyhow::Result<Vec<Flight>> {
    let mut flights = Vec::new();
    for in_flight in IN_FLIGHT {
        eprintln!("{tasks} tasks, {in_flight} in flight");
        let machine = Machine::start(in_flight, &[]).await?;
        machine.fly(tasks / 4, in_flight).await?;
        let mut each = Vec::with_capacity(FLIGHTS);
        for _ in 0..FLIGHTS {
            each.push(machine.fly(tasks, in_flight).await?);
        }
        each.sort_by(|one, other| one.tasks_per_second.total_cmp(&other.tasks_per_second));
        flights.push(each.swap_remove(FLIGHTS / 2));
        machine.stop().await?;
    }
    Ok(flights)
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
    Ok(Start { registered_ms: middle(registered), first_answer_ms: middle(first_answer) })
}

async fn memory(tasks: usize) -> anyhow::Result<Memory> {
    eprintln!("memory at rest, and of {WAITING} tasks that wait");
    let machine = Machine::start(8, &[WORKERS]).await?;
    machine.fly(tasks, 8).await?;
    tokio::time::sleep(REST).await;
    let pss =
        machine.processes()?.into_iter().map(memory::pss).collect::<std::io::Result<Vec<_>>>()?;
    machine.stop().await?;
    // Slots keep pages of tasks that have ended, so the tasks that wait get a runner where nothing ran before.
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
            let echo_ms = middle(machine.echo(&make(megabytes * 1_000_000), echoes).await?);
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

fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
