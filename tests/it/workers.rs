//! Worker processes: outcomes over the pipe, the end of workers, and the tasks that it affects.

mod hostile;
mod memory;
mod stuck;

use std::{
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use crate::support::{Echo, Silent, exceeded, job, limited, raised, returned};
use serde_json::json;
use serpentarium::{
    sandbox::{Exceeded, Failure, NoHost, Outcome},
    workers::{Pool, PoolConfig},
};

fn pool(workers: usize) -> Pool {
    let program = env!("CARGO_BIN_EXE_serpentarium").into();
    Pool::start(&PoolConfig { workers, slots: 16, program, ..PoolConfig::default() })
        .expect("the pool starts")
}

async fn run(pool: &Pool, code: &str) -> Outcome {
    pool.run(job(code), Arc::new(NoHost)).await
}

fn kill(process: u32) {
    let status =
        Command::new("kill").args(["-9", &process.to_string()]).status().expect("kill starts");
    assert!(status.success());
}

fn is_alive(process: u32) -> bool {
    // A zombie counts as ended.
    std::fs::read_to_string(format!("/proc/{process}/stat")).is_ok_and(|stat| {
        !stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z'))
    })
}

async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < deadline, "waited 10 s for: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn every_kind_of_end_comes_back_over_the_pipe() {
    let pool = pool(1);
    let outcome = run(&pool, "return {'a': [1, 'ü', None]}").await;
    assert_eq!(returned(&outcome), json!({"a": [1, "ü", null]}));
    assert!(
        outcome.usage.fuel > 0
            && outcome.usage.memory > 0
            && outcome.usage.duration > Duration::ZERO
    );
    let outcome = run(&pool, "\nraise ValueError('no')").await;
    assert_eq!((raised(&outcome).message.as_str(), raised(&outcome).line_number), ("no", Some(2)));
    let spin = limited("while True: pass", |limits| limits.fuel = 10_000_000);
    assert_eq!(exceeded(&pool.run(spin, Arc::new(NoHost)).await), Exceeded::Fuel(10_000_000));
    assert!(matches!(
        run(&pool, "import posix; posix._exit(3)").await.result,
        Err(Failure::Broken(_))
    ));
    assert_eq!(run(&pool, "import sys; sys.stderr.write('oops')").await.stderr, "oops");
}

/// An idle worker prepares an instance for the next job. This instance must also serve one job
/// only, with no trace of earlier jobs or of the time that it waited.
#[tokio::test]
async fn an_instance_prepared_ahead_of_its_job_is_fresh() {
    let pool = pool(1);
    let probe = "
import builtins, time
seen, builtins.mark = hasattr(builtins, 'mark'), 1
return [seen, time.perf_counter() < 1]
";
    let mut fuel = Vec::new();
    for before in
        ["return 1", "raise ValueError", "while True: pass", "import posix; posix._exit(3)"]
    {
        let before = limited(before, |limits| limits.fuel = 10_000_000);
        pool.run(before, Arc::new(NoHost)).await;
        // The worker prepares the next instance after one second.
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        let deterministic = || job(probe).seed(1);
        // The first job takes the prepared instance; the others arrive while it runs.
        let outcomes = futures_util::future::join_all(
            (0..3).map(|_| pool.run(deterministic(), Arc::new(NoHost))),
        )
        .await;
        for outcome in outcomes {
            assert_eq!(returned(&outcome), json!([false, true]));
            fuel.push(outcome.usage.fuel);
        }
        assert_eq!(returned(&run(&pool, probe).await), json!([false, true]));
    }
    assert!(fuel.iter().all(|units| *units == fuel[0]), "{fuel:?}");
}

#[tokio::test]
async fn host_calls_cross_the_pipe_in_order() {
    let pool = pool(1);
    let host = Arc::new(Echo::default());
    let code = "
import _host, json
for n in range(100):
    _host.notify('log', str(n))
    assert _host.call('echo', json.dumps({'n': n})) == json.dumps({'n': n})
return 'done'
";
    assert_eq!(returned(&pool.run(job(code), host.clone()).await), "done");
    let notified: Vec<String> =
        host.notified.lock().expect("no panic").iter().map(|(_, params)| params.clone()).collect();
    assert_eq!(notified, (0..100).map(|n: i32| n.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_payload_of_fifty_megabytes_goes_there_and_back() {
    let pool = pool(1);
    let items = format!(r#"[{{"json":{{"x":"{}"}}}}]"#, "y".repeat(50 << 20));
    let echo = crate::support::job_with(
        "return _items",
        serpentarium::protocol::NodeMode::AllItems,
        &items,
    );
    let outcome = pool.run(echo, Arc::new(NoHost)).await;
    assert_eq!(returned(&outcome)[0]["json"]["x"].as_str().map(str::len), Some(50 << 20));
}

#[tokio::test]
async fn a_killed_worker_fails_its_tasks_and_is_replaced() {
    let pool = pool(2);
    let spinning: Vec<_> = (0..4)
        .map(|_| {
            tokio::spawn(
                pool.run(limited("while True: pass", |l| l.fuel = 3_000_000_000), Arc::new(NoHost)),
            )
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let before = pool.process_ids();
    assert_eq!(before.len(), 2);
    kill(before[0]);
    let mut ends = Vec::new();
    for task in spinning {
        ends.push(task.await.expect("no panic").result);
    }
    let lost = ends
        .iter()
        .filter(
            |end| matches!(end, Err(Failure::WorkerLost(reason)) if reason.contains("signal: 9")),
        )
        .count();
    let spent =
        ends.iter().filter(|end| matches!(end, Err(Failure::Exceeded(Exceeded::Fuel(_))))).count();
    assert_eq!((lost, spent), (2, 2), "{ends:?}");
    assert_eq!(returned(&run(&pool, "return 1").await), 1);
    until("a new worker", || {
        pool.process_ids().len() == 2 && !pool.process_ids().contains(&before[0])
    })
    .await;
    for _ in 0..8 {
        assert_eq!(returned(&run(&pool, "return 1").await), 1);
    }
}

#[tokio::test]
async fn workers_end_with_the_pool() {
    let pool = pool(2);
    assert_eq!(returned(&run(&pool, "return 1").await), 1);
    let processes = pool.process_ids();
    drop(pool);
    until("the workers' end", || !processes.iter().any(|process| is_alive(*process))).await;
}

#[tokio::test]
async fn a_dropped_task_stops_and_its_pending_call_is_dropped() {
    let pool = pool(1);
    let host = Arc::new(Silent);
    let waiting =
        tokio::spawn(pool.run(job("import _host; _host.call('wait', '[]')"), host.clone()));
    until("the call", || Arc::strong_count(&host) > 2).await;
    waiting.abort();
    until("the call's end", || Arc::strong_count(&host) == 1).await;
    let spinning = tokio::spawn(pool.run(job("while True: pass"), Arc::new(NoHost)));
    tokio::time::sleep(Duration::from_millis(100)).await;
    spinning.abort();
    let outcome = run(&pool, "return 1").await;
    assert_eq!(returned(&outcome), 1);
    tokio::time::sleep(Duration::from_millis(200)).await;
    let process = pool.process_ids()[0];
    let before = cpu_ticks(process);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(cpu_ticks(process) - before <= 3, "a stopped task consumes no CPU time");
}

/// Returns the CPU time of a process in ticks of 10 ms (`USER_HZ` is 100).
fn cpu_ticks(process: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("the process lives");
    let fields: Vec<&str> =
        stat.rsplit(')').next().expect("it has fields").split_whitespace().collect();
    fields[11].parse::<u64>().expect("a number") + fields[12].parse::<u64>().expect("a number")
}

#[tokio::test]
async fn a_worker_knows_nothing_of_its_parents_environment() {
    assert!(std::env::vars_os().next().is_some(), "this process has an environment to hide");
    let pool = pool(1);
    assert_eq!(returned(&run(&pool, "return 1").await), 1);
    let environment =
        std::fs::read(format!("/proc/{}/environ", pool.process_ids()[0])).expect("it is ours");
    assert!(environment.is_empty(), "{}", String::from_utf8_lossy(&environment));
}

#[test]
fn workers_end_with_a_parent_that_is_killed() {
    // Any subcommand with a pool serves here.
    let mut parent = Command::new(env!("CARGO_BIN_EXE_serpentarium"))
        .arg("runner")
        .env("N8N_RUNNERS_TASK_BROKER_URI", "http://127.0.0.1:9")
        .env("N8N_RUNNERS_AUTH_TOKEN", "x")
        .env("SERPENTARIUM_WORKERS", "2")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("serpentarium starts");
    let deadline = Instant::now() + Duration::from_secs(10);
    let children = || children_of(parent.id());
    while children().len() < 2 {
        assert!(Instant::now() < deadline, "no workers were started");
        std::thread::sleep(Duration::from_millis(10));
    }
    let workers = children();
    parent.kill().expect("it can be killed");
    parent.wait().expect("it ends");
    while workers.iter().any(|worker| is_alive(*worker)) {
        assert!(Instant::now() < deadline, "the workers outlived their parent");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn children_of(process: u32) -> Vec<u32> {
    let tasks = Path::new("/proc")
        .join(process.to_string())
        .join("task")
        .join(process.to_string())
        .join("children");
    let text = std::fs::read_to_string(tasks).unwrap_or_default();
    text.split_whitespace().filter_map(|child| child.parse().ok()).collect()
}
