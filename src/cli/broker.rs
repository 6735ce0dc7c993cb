//! `serpentarium broker`: a task broker for use without n8n. It takes tasks from a file.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
    net::SocketAddr,
    path::{Path, PathBuf},
    pin::pin,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use futures_util::{StreamExt, stream::FuturesUnordered};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::mpsc;
use tracing::level_filters::LevelFilter;

use super::{
    console::{Console, print_error},
    exit_code::USAGE,
    pretty::Compact,
};
use crate::{
    broker::{
        Broker, BrokerConfig, TaskEvent, TaskHandle, TaskReport, TaskResult, Workflow, print_text,
    },
    logging,
    net::descriptors,
    protocol::TaskFailure,
};

/// Tasks in flight at most. This bounds memory: the next task is read from the file when one ends.
const IN_FLIGHT: usize = 256;
/// Time that tasks in flight have to finish after Ctrl-C.
const DRAIN_GRACE: Duration = Duration::from_secs(30);

/// Serves runners as n8n's task broker does, and runs tasks from a file on them.
///
/// A task is the JSON object that n8n sends as the settings of a task: {"code": "return 1",
/// "nodeMode": "runOnceForAllItems", "items": []}. A member "data", in the form of n8n's answer to
/// a request for task data, adds other nodes' data, variables and static data. The broker derives
/// missing members from the settings. Helpers work: the broker sends HTTP requests to any address
/// that a task names, and keeps binary data in memory.
///
/// Standard error shows the prints of a task. Standard output gets its result as one line of JSON.
/// The first Ctrl-C takes no more tasks and lets those in flight finish. The second one stops at
/// once.
///
/// Exit codes: 0 every task succeeded, 1 a task failed (or a file could not be read), 2 wrong
/// usage, or a task is not JSON.
#[derive(Debug, clap::Args)]
pub(crate) struct BrokerArgs {
    /// A file of tasks, one JSON object after the other; - reads standard input. Without a file the
    /// broker only serves.
    task: Option<PathBuf>,
    /// The address to listen on. Port 0 takes a free port.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:5679")]
    listen: SocketAddr,
    /// The token that runners must present; prefer the variable, other users can see flags
    /// [default: a random token].
    #[arg(long, env = "N8N_RUNNERS_AUTH_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    auth_token: Option<SecretString>,
    /// The time that a task may take.
    #[arg(long, value_name = "TIME", default_value = "300s", value_parser = humantime::parse_duration)]
    timeout: Duration,
    /// Print one JSON object per task instead: number, result or error, custom and static data,
    /// prints, times.
    #[arg(long)]
    json: bool,
}

/// Serves until all tasks have ended, or until Ctrl-C if there is no file of tasks.
///
/// # Errors
/// The broker cannot listen on the address, or the file cannot be read.
pub(crate) fn run(args: BrokerArgs) -> anyhow::Result<ExitCode> {
    logging::to_stderr(LevelFilter::INFO);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve(args))
}

async fn serve(args: BrokerArgs) -> anyhow::Result<ExitCode> {
    descriptors::raise_limit();
    // Without a file the kept sender holds the queue open, so that the broker serves until Ctrl-C.
    let (sender, queue) = mpsc::channel(IN_FLIGHT);
    let _open = match &args.task {
        Some(path) => {
            read_tasks(open(path)?, sender);
            None
        }
        None => Some(sender),
    };
    let hooks = Arc::new(Workflow::new()?);
    let mut config = BrokerConfig {
        listen: args.listen,
        task_timeout: args.timeout,
        hooks,
        ..BrokerConfig::default()
    };
    let chosen = args.auth_token.is_some();
    if let Some(token) = args.auth_token {
        config.auth_token = token;
    }
    let broker = Broker::start(config).await?;
    let console = Console::default();
    print_runner_command(&console, &broker, chosen, args.task.is_none());
    let code = run_tasks(&console, &broker, queue, args.json).await;
    broker.shutdown().await;
    Ok(console.finish(code.into()))
}

/// Prints the command that starts a runner. Hides a token that the user chose.
fn print_runner_command(console: &Console, broker: &Broker, chosen: bool, only_serves: bool) {
    let token = if chosen { "…" } else { broker.auth_token().expose_secret() };
    let uri = broker.uri();
    console.note(format_args!("Listening on {uri}. Start a runner with:\n"));
    console.note(format_args!(
        "  N8N_RUNNERS_TASK_BROKER_URI={uri} N8N_RUNNERS_AUTH_TOKEN={token} serpentarium runner\n"
    ));
    if only_serves {
        console.note(
            "No tasks were given (serpentarium broker TASK.json, or - for standard input): only serving. Ctrl-C ends.",
        );
    }
}

fn open(path: &Path) -> anyhow::Result<Box<dyn Read + Send>> {
    if path == Path::new("-") {
        return Ok(Box::new(io::stdin()));
    }
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(Box::new(io::BufReader::new(file)))
}

/// Reads one JSON object after the other on a separate thread, because reading standard input
/// blocks.
fn read_tasks(input: Box<dyn Read + Send>, queue: mpsc::Sender<Result<Box<RawValue>, String>>) {
    std::thread::spawn(move || {
        for value in serde_json::Deserializer::from_reader(input).into_iter::<Box<RawValue>>() {
            let task = match value {
                Ok(value) if value.get().starts_with('{') => Ok(value),
                Ok(_) => Err("a task must be a JSON object".to_owned()),
                Err(error) => Err(format!("a task is not JSON: {error}")),
            };
            let wrong = task.is_err();
            if queue.blocking_send(task).is_err() || wrong {
                return;
            }
        }
    });
}

/// Runs every task of the queue, and prints the result of each. Returns the exit code. A failed
/// task does not stop the others.
async fn run_tasks(
    console: &Console,
    broker: &Broker,
    mut queue: mpsc::Receiver<Result<Box<RawValue>, String>>,
    json: bool,
) -> u8 {
    let (mut running, mut number, mut code) = (FuturesUnordered::new(), 0, 0);
    let (mut open, mut interrupted, mut draining) = (true, false, false);
    let mut interrupt = pin!(tokio::signal::ctrl_c());
    let mut drain = pin!(async {
        tokio::select! {
            () = broker.drain(DRAIN_GRACE) => true,
            _ = tokio::signal::ctrl_c() => false,
        }
    });
    while open || !running.is_empty() {
        tokio::select! {
            task = queue.recv(), if open && running.len() < IN_FLIGHT => match task {
                Some(Ok(settings)) => {
                    number += 1;
                    running.push(follow(console, number, broker.submit(settings), json));
                }
                Some(Err(wrong)) => {
                    print_error(wrong);
                    (open, code) = (false, USAGE);
                }
                None => open = false,
            },
            Some(done) = running.next() => if !done { code = code.max(1) },
            _ = &mut interrupt, if !interrupted => {
                console.note("Draining; Ctrl-C again to stop at once.");
                (open, interrupted, draining) = (false, true, true);
            }
            // If drained, every task has ended, and the loop goes on to print the last results.
            drained = &mut drain, if draining => match drained {
                true => draining = false,
                false => break,
            },
        }
    }
    // A second Ctrl-C abandons the tasks that still run.
    if running.is_empty() { code } else { code.max(1) }
}

/// One line of `--json`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    task: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    custom_data: Option<&'a BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    static_data: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a TaskFailure>,
    prints: Vec<String>,
    waited_seconds: f64,
    ran_seconds: f64,
}

/// Prints the output and the result of a task. Returns whether it succeeded.
async fn follow(console: &Console, number: usize, mut task: TaskHandle, json: bool) -> bool {
    let mut prints = Vec::new();
    let report = loop {
        match task.event().await {
            Some(TaskEvent::Print(print)) if json => prints.push(print_text(&print)),
            Some(TaskEvent::Print(print)) => console.note(print_text(&print)),
            Some(TaskEvent::Ended(report)) => break report,
            None => return false,
        }
    };
    let TaskReport { result, waited, ran } = *report;
    let failure = match &result {
        TaskResult::Done(_) => None,
        TaskResult::Failed(failure) => Some(failure.clone()),
        other => Some(TaskFailure { message: other.to_string(), ..TaskFailure::default() }),
    };
    let data = match &result {
        TaskResult::Done(data) => Some(data),
        _ => None,
    };
    let result = data.map(|data| &*data.result);
    if json {
        let (waited_seconds, ran_seconds) = (waited.as_secs_f64(), ran.as_secs_f64());
        let custom_data = data.and_then(|data| data.custom_data.as_ref());
        let static_data = data.and_then(|data| data.static_data.as_deref());
        let error = failure.as_ref();
        let line = Line {
            task: number,
            result,
            custom_data,
            static_data,
            error,
            prints,
            waited_seconds,
            ran_seconds,
        };
        match serde_json::to_string(&line) {
            Ok(line) => console.out_json(format_args!("{}\n", Compact(&line))),
            Err(error) => {
                print_error(format_args!("task {number} cannot be shown: {error}"));
                return false;
            }
        }
    } else if let Some(result) = result {
        console.out_json(format_args!("{}\n", Compact(result.get())));
    } else if let Some(failure) = &failure {
        console.note(format_args!("Task {number} failed: {}", failure.message));
        if let Some(description) = failure.details.get("description").and_then(|text| text.as_str())
        {
            console.note(description);
        }
    }
    failure.is_none()
}
