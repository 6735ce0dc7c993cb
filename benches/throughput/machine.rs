//! A runner process, the broker that it serves, and what can be done with the two.

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

/// No runner takes as long to start, no task as long to end.
const PATIENCE: Duration = Duration::from_secs(120);
/// Calls of a task whose round trip is measured.
const CALLS: usize = 2000;

/// A runner process and its broker.
pub(crate) struct Machine {
    broker: Broker,
    runner: Child,
    calls: Arc<Calls>,
    pub registered: Duration,
    pub first_answer: Duration,
}

/// One number of tasks in flight.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Flight {
    pub in_flight: usize,
    pub tasks_per_second: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
}

/// Answers calls: at once, or once they are let go.
struct Calls {
    /// Calls so far.
    made: Semaphore,
    held: watch::Sender<bool>,
}

impl Hooks for Calls {
    fn rpc(
        &self,
        _: &str,
        _: &str,
        params: Box<RawValue>,
    ) -> HookFuture<Result<Option<Box<RawValue>>, Value>> {
        self.made.add_permits(1);
        let mut held = self.held.subscribe();
        Box::pin(async move {
            // The sender lives as long as the broker.
            let _ = held.wait_for(|held| !held).await;
            Ok(Some(params))
        })
    }
}

impl Machine {
    /// Starts both with these settings of the runner, and runs a first task.
    pub(crate) async fn start(
        concurrency: usize,
        settings: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let calls = Arc::new(Calls { made: Semaphore::new(0), held: watch::channel(false).0 });
        let broker =
            Broker::start(BrokerConfig { hooks: calls.clone(), ..BrokerConfig::default() }).await?;
        let first = broker.submit(task("return 1", "[]")?);
        let started = Instant::now();
        let runner = Command::new(env!("CARGO_BIN_EXE_serpentarium"))
            .arg("runner")
            // What is measured has its default settings, whatever this process was given.
            .env_clear()
            .env("N8N_RUNNERS_TASK_BROKER_URI", broker.uri())
            .env("N8N_RUNNERS_AUTH_TOKEN", broker.auth_token().expose_secret())
            .env("N8N_RUNNERS_MAX_CONCURRENCY", concurrency.to_string())
            .env("N8N_RUNNERS_LAUNCHER_LOG_LEVEL", "warn")
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

    /// Keeps so many tasks in flight until all are done.
    pub(crate) async fn fly(&self, tasks: usize, in_flight: usize) -> anyhow::Result<Flight> {
        let settings = task("return [{'json': {'n': 1}}]", r#"[{"json":{"n":1}}]"#)?;
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
        let percentile = |percent: usize| {
            latencies.get(latencies.len() * percent / 100).copied().unwrap_or_default()
        };
        Ok(Flight {
            in_flight,
            tasks_per_second: tasks as f64 / seconds,
            p50_ms: ms(percentile(50)),
            p99_ms: ms(percentile(99)),
        })
    }

    /// Milliseconds of so many echoes of these items, a JSON text.
    pub(crate) async fn echo(&self, items: &str, echoes: usize) -> anyhow::Result<Vec<f64>> {
        let settings = task("return _items", items)?;
        let mut times = Vec::new();
        for _ in 0..echoes {
            let settings = settings.clone();
            let submitted = Instant::now();
            let result = done(self.broker.submit(settings).result().await)?;
            times.push(ms(submitted.elapsed()));
            if result.get() != items {
                bail!("the echo is not what was sent");
            }
        }
        Ok(times)
    }

    /// Milliseconds that calls take, as the task sees them: the middle one, and that which 99 of 100 are faster than.
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

    /// Private KiB that each of so many tasks adds which wait for an answer, all at once.
    pub(crate) async fn waiting(&self, tasks: usize) -> anyhow::Result<f64> {
        let private =
            || self.processes()?.into_iter().map(memory::private).sum::<io::Result<f64>>();
        let before = private()?;
        self.calls.held.send_replace(true);
        let settings =
            task("import _host\nreturn _host.call('helpers.binaryToString', '[1]')", "[]")?;
        let waiting: Vec<_> = (0..tasks).map(|_| self.broker.submit(settings.clone())).collect();
        let all = self.calls.made.acquire_many(u32::try_from(tasks)?);
        tokio::time::timeout(PATIENCE, all).await.context("not all tasks came to wait")??.forget();
        let after = private()?;
        self.calls.held.send_replace(false);
        for task in waiting {
            done(task.result().await)?;
        }
        Ok((after - before) / tasks as f64)
    }

    /// The runner's process, and after it those of its workers.
    pub(crate) fn processes(&self) -> io::Result<Vec<u32>> {
        let runner = self.runner.id().ok_or_else(|| io::Error::other("the runner is gone"))?;
        Ok([runner].into_iter().chain(memory::children(runner)?).collect())
    }

    /// Ends both.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        let pid = self
            .runner
            .id()
            .and_then(|id| Pid::from_raw(id.cast_signed()))
            .context("the runner is gone")?;
        kill_process(pid, Signal::TERM)?;
        let status = tokio::time::timeout(PATIENCE, self.runner.wait()).await??;
        if !status.success() {
            bail!("the runner ended with {status}");
        }
        self.broker.shutdown().await;
        Ok(())
    }
}

/// One item with a text, so many bytes of JSON.
pub(crate) fn one_text(bytes: usize) -> String {
    format!(r#"[{{"json":{{"text":"{}"}}}}]"#, "x".repeat(bytes))
}

/// Items as they come from a table, at least so many bytes of JSON.
pub(crate) fn customers(bytes: usize) -> String {
    let mut items = String::with_capacity(bytes + 200);
    let mut id = 0;
    while items.len() < bytes {
        let (open, amount, active) =
            (if id == 0 { '[' } else { ',' }, id as f64 * 1.25 + 0.5, id % 3 == 0);
        let _ = write!(
            items,
            r#"{open}{{"json":{{"id":{id},"name":"customer {id}","email":"c{id}@example.com","amount":{amount},"active":{active},"tags":["a","b"]}}}}"#
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

/// A time in milliseconds.
pub(crate) fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
