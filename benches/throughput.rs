//! Tasks a second through the whole thing: the embedded broker here, the built binary as runner with its workers, a real
//! WebSocket between them.
//!
//! `cargo bench --bench throughput`, with `-- --json` for machines. The broker shares the cores with what it measures, as
//! n8n does on one machine.

use std::{
    fs, io,
    path::Path,
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use clap::Parser;
use comfy_table::{CellAlignment, Table, presets};
use futures_util::{StreamExt, stream::FuturesUnordered};
use rustix::process::{Pid, Signal, kill_process};
use secrecy::ExposeSecret;
use serde::Serialize;
use serde_json::{Value, json, value::RawValue};
use serpentarium::broker::{Broker, BrokerConfig, Hooks, Reply, TaskResult};
use tokio::process::{Child, Command};

/// Tasks in flight that are measured.
const IN_FLIGHT: [usize; 3] = [1, 8, 64];
/// Size of the items that are echoed, as JSON.
const ECHO_BYTES: usize = 5_000_000;
/// Echoes, of which the middle one counts.
const ECHOES: usize = 9;
/// Calls of a task whose round trip is measured.
const CALLS: usize = 2000;
/// How long a runner is left alone before its memory is read.
const REST: Duration = Duration::from_secs(1);
/// No runner takes as long to start, no task as long to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// Measures tasks a second, latency, start-up and memory.
#[derive(Parser)]
struct Args {
    /// Tasks for each measurement; a quarter of it goes before as a warm-up.
    #[arg(long, default_value_t = 4000)]
    tasks: usize,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    /// What cargo passes; without a meaning.
    #[arg(long, hide = true)]
    bench: bool,
}

/// What is measured.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    cores: usize,
    flights: Vec<Flight>,
    /// One item of 5 MB there and back, the middle time of some.
    echo_text_ms: f64,
    /// 5 MB of items with six fields each there and back, likewise.
    echo_items_ms: f64,
    /// A call of a task, there and back: the middle one, and that which 99 of 100 are faster than.
    call_p50_ms: f64,
    call_p99_ms: f64,
    /// From starting the process to its registration, and to the first result of a task that waited for it.
    start_to_registered_ms: f64,
    start_to_first_answer_ms: f64,
    /// Proportional set size, at rest after the tasks, in MiB.
    parent_pss_mib: f64,
    workers_pss_mib: Vec<f64>,
}

/// One number of tasks in flight.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Flight {
    in_flight: usize,
    tasks_per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
}

/// A runner process and the broker that it serves.
struct Machine {
    broker: Broker,
    runner: Child,
    registered: Duration,
    first_answer: Duration,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(measure(args.tasks.max(1)))?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        println!("{}", tables(&report));
    }
    Ok(())
}

async fn measure(tasks: usize) -> anyhow::Result<Report> {
    let mut flights = Vec::new();
    let (mut registered, mut first_answer) = (Vec::new(), Vec::new());
    let (mut echoes, mut calls, mut parent_pss_mib, mut workers_pss_mib) = ((0.0, 0.0), (0.0, 0.0), 0.0, Vec::new());
    for in_flight in IN_FLIGHT {
        eprintln!("{tasks} tasks, {in_flight} in flight");
        let machine = Machine::start(in_flight).await?;
        registered.push(ms(machine.registered));
        first_answer.push(ms(machine.first_answer));
        machine.fly(tasks / 4, in_flight).await?;
        flights.push(machine.fly(tasks, in_flight).await?);
        if in_flight == IN_FLIGHT[1] {
            tokio::time::sleep(REST).await;
            (parent_pss_mib, workers_pss_mib) = machine.memory()?;
            let text = json!([{"json": {"text": "x".repeat(ECHO_BYTES)}}]);
            calls = machine.call().await?;
            echoes = (machine.echo(&text).await?, machine.echo(&customers()).await?);
        }
        machine.stop().await?;
    }
    Ok(Report {
        cores: std::thread::available_parallelism()?.get(),
        flights,
        echo_text_ms: echoes.0,
        echo_items_ms: echoes.1,
        call_p50_ms: calls.0,
        call_p99_ms: calls.1,
        start_to_registered_ms: middle(registered),
        start_to_first_answer_ms: middle(first_answer),
        parent_pss_mib,
        workers_pss_mib,
    })
}

/// Items as they come from a table, 5 MB of them.
fn customers() -> Value {
    let customer = |id: usize| {
        json!({"json": {"id": id, "name": format!("customer {id}"), "email": format!("c{id}@example.com"),
            "amount": id as f64 * 1.25, "active": id.is_multiple_of(3), "tags": ["a", "b"]}})
    };
    let size = customer(10_000).to_string().len();
    (0..=ECHO_BYTES / size).map(customer).collect()
}

impl Machine {
    async fn start(concurrency: usize) -> anyhow::Result<Self> {
        let hooks = Arc::new(AtOnce);
        let broker = Broker::start(BrokerConfig { hooks, ..BrokerConfig::default() }).await?;
        let first = broker.submit(settings("return 1", &json!([]))?);
        let started = Instant::now();
        let runner = Command::new(env!("CARGO_BIN_EXE_serpentarium"))
            .arg("runner")
            .env("N8N_RUNNERS_TASK_BROKER_URI", broker.uri())
            .env("N8N_RUNNERS_AUTH_TOKEN", broker.auth_token().expose_secret())
            .env("N8N_RUNNERS_MAX_CONCURRENCY", concurrency.to_string())
            .env("N8N_RUNNERS_LAUNCHER_LOG_LEVEL", "warn")
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let wait = tokio::time::timeout(PATIENCE, broker.runner_registered());
        wait.await.context("the runner did not register")?;
        let registered = started.elapsed();
        done(tokio::time::timeout(PATIENCE, first.result()).await?)?;
        Ok(Self { broker, runner, registered, first_answer: started.elapsed() })
    }

    /// Keeps so many tasks in flight until all are done.
    async fn fly(&self, tasks: usize, in_flight: usize) -> anyhow::Result<Flight> {
        let settings = settings("return [{'json': {'n': 1}}]", &json!([{"json": {"n": 1}}]))?;
        let task = || {
            let (task, submitted) = (self.broker.submit(settings.clone()), Instant::now());
            async move { (task.result().await, submitted.elapsed()) }
        };
        let (started, mut submitted) = (Instant::now(), tasks.min(in_flight));
        let mut flying: FuturesUnordered<_> = (0..submitted).map(|_| task()).collect();
        let mut latencies = Vec::with_capacity(tasks);
        while let Some((result, latency)) = flying.next().await {
            done(result)?;
            latencies.push(latency);
            if submitted < tasks {
                submitted += 1;
                flying.push(task());
            }
        }
        let seconds = started.elapsed().as_secs_f64();
        latencies.sort();
        let percentile = |percent: usize| latencies.get(latencies.len() * percent / 100).copied().unwrap_or_default();
        Ok(Flight {
            in_flight,
            tasks_per_second: tasks as f64 / seconds,
            p50_ms: ms(percentile(50)),
            p99_ms: ms(percentile(99)),
        })
    }

    async fn echo(&self, items: &Value) -> anyhow::Result<f64> {
        let settings = settings("return _items", items)?;
        let mut times = Vec::new();
        for _ in 0..ECHOES {
            let submitted = Instant::now();
            let result = done(self.broker.submit(settings.clone()).result().await)?;
            times.push(ms(submitted.elapsed()));
            if result.get().len() < ECHO_BYTES {
                bail!("the echo lost something");
            }
        }
        Ok(middle(times))
    }

    /// Milliseconds that calls take, as the task sees them.
    async fn call(&self) -> anyhow::Result<(f64, f64)> {
        let code = format!(
            "
import _host
from time import perf_counter
times = []
for _ in range({CALLS}):
    start = perf_counter()
    _host.call('helpers.binaryToString', '[1]')
    times.append((perf_counter() - start) * 1000)
times.sort()
return [times[{CALLS} // 2], times[{CALLS} * 99 // 100]]
"
        );
        let result = done(self.broker.submit(settings(&code, &json!([]))?).result().await)?;
        Ok(serde_json::from_str(result.get())?)
    }

    /// MiB of the runner, and of each of its workers.
    fn memory(&self) -> anyhow::Result<(f64, Vec<f64>)> {
        let parent = self.runner.id().context("the runner is gone")?;
        let workers = children(parent)?.into_iter().map(pss).collect::<io::Result<_>>()?;
        Ok((pss(parent)?, workers))
    }

    async fn stop(mut self) -> anyhow::Result<()> {
        let pid = self.runner.id().and_then(|id| Pid::from_raw(id.cast_signed())).context("the runner is gone")?;
        kill_process(pid, Signal::TERM)?;
        let status = tokio::time::timeout(PATIENCE, self.runner.wait()).await??;
        if !status.success() {
            bail!("the runner ended with {status}");
        }
        self.broker.shutdown().await;
        Ok(())
    }
}

/// Answers every call at once.
struct AtOnce;

impl Hooks for AtOnce {
    fn rpc(&self, _: &str, _: &str, params: Box<RawValue>) -> Reply<Result<Option<Box<RawValue>>, Value>> {
        Box::pin(std::future::ready(Ok(Some(params))))
    }
}

fn settings(code: &str, items: &serde_json::Value) -> serde_json::Result<Box<RawValue>> {
    serde_json::value::to_raw_value(&json!({"code": code, "nodeMode": "runOnceForAllItems", "items": items}))
}

fn done(result: TaskResult) -> anyhow::Result<Box<RawValue>> {
    match result {
        TaskResult::Done(data) => Ok(data.result),
        other => bail!("a task failed: {other}"),
    }
}

/// The processes that a process started.
fn children(parent: u32) -> io::Result<Vec<u32>> {
    let of = |id: u32| -> Option<u32> {
        let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
        status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()
    };
    let processes = fs::read_dir("/proc")?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    Ok(processes.filter(|id| of(*id) == Some(parent)).collect())
}

/// Proportional set size of a process in MiB.
fn pss(id: u32) -> io::Result<f64> {
    let path = format!("/proc/{id}/smaps_rollup");
    let text = fs::read_to_string(Path::new(&path))?;
    let kib = text.lines().find_map(|line| line.strip_prefix("Pss:")?.trim().strip_suffix(" kB")?.trim().parse().ok());
    kib.map(|kib: f64| kib / 1024.0).ok_or_else(|| io::Error::other(format!("{path} has no Pss")))
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn tables(report: &Report) -> String {
    let mut flights = Table::new();
    flights.load_style(presets::UTF8_FULL_CONDENSED).set_header(["in flight", "tasks/s", "p50 ms", "p99 ms"]);
    for flight in &report.flights {
        let Flight { in_flight, tasks_per_second, p50_ms, p99_ms } = flight;
        let row =
            [format!("{in_flight}"), format!("{tasks_per_second:.0}"), format!("{p50_ms:.2}"), format!("{p99_ms:.2}")];
        flights.add_row(row);
    }
    flights.column_iter_mut().for_each(|column| column.set_cell_alignment(CellAlignment::Right));
    let mut rest = Table::new();
    rest.load_style(presets::UTF8_FULL_CONDENSED).set_header(["what", "value"]);
    let workers: Vec<_> = report.workers_pss_mib.iter().map(|mib| format!("{mib:.1}")).collect();
    let call = format!("{:.2} / {:.2} ms", report.call_p50_ms, report.call_p99_ms);
    rest.add_rows([
        ["one item of 5 MB there and back".into(), format!("{:.1} ms", report.echo_text_ms)],
        ["5 MB of small items there and back".into(), format!("{:.1} ms", report.echo_items_ms)],
        ["a call of a task there and back, p50 / p99".into(), call],
        ["start → registered".into(), format!("{:.1} ms", report.start_to_registered_ms)],
        ["start → first answer".into(), format!("{:.1} ms", report.start_to_first_answer_ms)],
        ["parent at rest (PSS)".to_owned(), format!("{:.1} MiB", report.parent_pss_mib)],
        ["workers at rest (PSS)".into(), format!("{} MiB", workers.join(", "))],
    ]);
    format!("{} cores\n{flights}\n{rest}", report.cores)
}
