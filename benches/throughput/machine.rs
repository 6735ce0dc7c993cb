//! A runner process and its broker, and the measurements on them.

use std::{
    fmt::Write,
    io,
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use futures_util::{StreamExt, stream::FuturesUnordered};
use rustix::process::{Pid, Signal, kill_process};
use secrecy::ExposeSecret;
use serde::Serialize;
use serde_json::{Value, json, value::RawValue};
use serpentarium::broker::{Broker, BrokerConfig, HookFuture, Hooks, TaskResult};
use tokio::{
    process::{Child, Command},
    sync::{Semaphore, watch},
};

use crate::memory;

/// Timeout of a runner's start and of a task: far above both, so that a hang ends the benchmark.
const PATIENCE: Duration = Duration::from_secs(120);
/// The variable that this process may have for the runner: it compares the cost of the lockdown.
const LOCKDOWN: &str = "SERPENTARIUM_LOCKDOWN";
/// Measured calls of one task.
const CALLS: usize = 2000;

/// A runner process and its broker.
pub(crate) struct Machine {
    broker: Broker,
    runner: Child,
    calls: Arc<CallGate>,
    pub registered: Duration,
    pub first_answer: Duration,
}

/// The measurement at one number of tasks in flight.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Flow {
    pub in_flight: usize,
    pub tasks_per_second: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
}

/// Answers calls, either at once or when `held` becomes false.
struct CallGate {
    /// One permit per call so far.
    made: Semaphore,
    held: watch::Sender<bool>,
}

impl Hooks for CallGate {
    fn rpc(
        &self,
        _: &str,
        _: &str,
        params: Box<RawValue>,
    ) -> HookFuture<Result<Option<Box<RawValue>>, Value>> {
        self.made.add_permits(1);
        let mut held = self.held.subscribe();
        Box::pin(async move {
            // The broker owns the sender, so the channel never closes.
            let _ = held.wait_for(|held| !held).await;
            Ok(Some(params))
        })
    }
}

impl Machine {
    /// Starts a broker and a runner with these settings, and runs a first task.
    pub(crate) async fn start(
        concurrency: usize,
        settings: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let calls = Arc::new(CallGate { made: Semaphore::new(0), held: watch::channel(false).0 });
        let broker =
            Broker::start(BrokerConfig { hooks: calls.clone(), ..BrokerConfig::default() }).await?;
        let first = broker.submit(task("return 1", "[]")?);
        let started = Instant::now();
        let runner = Command::new(env!("CARGO_BIN_EXE_serpentarium"))
            .arg("runner")
            // Default settings, whatever the environment of this process, but for one.
            .env_clear()
            .env("N8N_RUNNERS_TASK_BROKER_URI", broker.uri())
            .env("N8N_RUNNERS_AUTH_TOKEN", broker.auth_token().expose_secret())
            .env("N8N_RUNNERS_MAX_CONCURRENCY", concurrency.to_string())
            .env("N8N_RUNNERS_LAUNCHER_LOG_LEVEL", "warn")
            .envs(std::env::var_os(LOCKDOWN).map(|mode| (LOCKDOWN, mode)))
            .envs(settings.iter().copied())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let wait = tokio::time::timeout(PATIENCE, broker.runner_registered());
        wait.await.context("the runner did not register")?;
        let registered = started.elapsed();
        done(tokio::time::timeout(PATIENCE, first.result()).await?)?;
        Ok(Self { broker, runner, calls, registered, first_answer: started.elapsed() })
    }

    /// Runs `tasks` tasks, `in_flight` at a time.
    pub(crate) async fn run_tasks(&self, tasks: usize, in_flight: usize) -> anyhow::Result<Flow> {
        let settings = task("return [{'json': {'n': 1}}]", r#"[{"json":{"n":1}}]"#)?;
        let task = || {
            let (task, submitted) = (self.broker.submit(settings.clone()), Instant::now());
            async move { (task.result().await, submitted.elapsed()) }
        };
        let (started, mut submitted) = (Instant::now(), tasks.min(in_flight));
        let mut running: FuturesUnordered<_> = (0..submitted).map(|_| task()).collect();
        let mut latencies = Vec::with_capacity(tasks);
        while let Some((result, latency)) = running.next().await {
            done(result)?;
            latencies.push(latency);
            if submitted < tasks {
                submitted += 1;
                running.push(task());
            }
        }
        let seconds = started.elapsed().as_secs_f64();
        latencies.sort();
        let percentile = |percent: usize| {
            latencies.get(latencies.len() * percent / 100).copied().unwrap_or_default()
        };
        Ok(Flow {
            in_flight,
            tasks_per_second: tasks as f64 / seconds,
            p50_ms: ms(percentile(50)),
            p99_ms: ms(percentile(99)),
        })
    }

    /// Returns the milliseconds of each of `echoes` echoes of `items`, a JSON text.
    pub(crate) async fn echo(&self, items: &str, echoes: usize) -> anyhow::Result<Vec<f64>> {
        let settings = task("return _items", items)?;
        let mut times = Vec::new();
        for _ in 0..echoes {
            let settings = settings.clone();
            let submitted = Instant::now();
            let result = done(self.broker.submit(settings).result().await)?;
            times.push(ms(submitted.elapsed()));
            if result.get() != items {
                bail!("the echo differs from its input");
            }
        }
        Ok(times)
    }

    /// Measures the round trip of a call in the task: p50 and p99 in milliseconds.
    pub(crate) async fn call(&self) -> anyhow::Result<(f64, f64)> {
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
        let result = done(self.broker.submit(task(&code, "[]")?).result().await)?;
        Ok(serde_json::from_str(result.get())?)
    }

    /// Returns the private memory in KiB that each of `tasks` tasks adds, while all of them wait
    /// for a call.
    pub(crate) async fn waiting(&self, tasks: usize) -> anyhow::Result<f64> {
        let private =
            || self.processes()?.into_iter().map(memory::private).sum::<io::Result<f64>>();
        let before = private()?;
        self.calls.held.send_replace(true);
        let settings =
            task("import _host\nreturn _host.call('helpers.binaryToString', '[1]')", "[]")?;
        let waiting: Vec<_> = (0..tasks).map(|_| self.broker.submit(settings.clone())).collect();
        let all = self.calls.made.acquire_many(u32::try_from(tasks)?);
        tokio::time::timeout(PATIENCE, all)
            .await
            .context("not every task made its call")??
            .forget();
        let after = private()?;
        self.calls.held.send_replace(false);
        for task in waiting {
            done(task.result().await)?;
        }
        Ok((after - before) / tasks as f64)
    }

    /// Returns the process of the runner, then those of its workers.
    pub(crate) fn processes(&self) -> io::Result<Vec<u32>> {
        let runner = self.runner.id().ok_or_else(|| io::Error::other("the runner has ended"))?;
        Ok([runner].into_iter().chain(memory::children(runner)?).collect())
    }

    /// Ends the runner and the broker.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        let pid = self
            .runner
            .id()
            .and_then(|id| Pid::from_raw(id.cast_signed()))
            .context("the runner has ended")?;
        kill_process(pid, Signal::TERM)?;
        let status = tokio::time::timeout(PATIENCE, self.runner.wait()).await??;
        if !status.success() {
            bail!("the runner ended with {status}");
        }
        self.broker.shutdown().await;
        Ok(())
    }
}

/// Returns one item with one text of `bytes` bytes.
pub(crate) fn one_text(bytes: usize) -> String {
    format!(r#"[{{"json":{{"text":"{}"}}}}]"#, "x".repeat(bytes))
}

/// Returns small items, such as rows of a table, at least `bytes` bytes of JSON.
pub(crate) fn customers(bytes: usize) -> String {
    let mut items = String::with_capacity(bytes + 200);
    let mut id = 0;
    while items.len() < bytes {
        let (open, amount, active) =
            (if id == 0 { '[' } else { ',' }, id as f64 * 1.25 + 0.5, id % 3 == 0);
        let _ = write!(
            items,
            concat!(
                r#"{}{{"json":{{"id":{id},"name":"customer {id}","email":"c{id}@example.com","#,
                r#""amount":{},"active":{},"tags":["a","b"]}}}}"#
            ),
            open,
            amount,
            active,
            id = id,
        );
        id += 1;
    }
    items.push(']');
    items
}

fn task(code: &str, items: &str) -> serde_json::Result<Box<RawValue>> {
    let code = json!(code);
    RawValue::from_string(format!(
        r#"{{"code":{code},"nodeMode":"runOnceForAllItems","items":{items}}}"#
    ))
}

fn done(result: TaskResult) -> anyhow::Result<Box<RawValue>> {
    match result {
        TaskResult::Done(data) => Ok(data.result),
        other => bail!("a task failed: {other}"),
    }
}

/// Converts a time to milliseconds.
pub(crate) fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
