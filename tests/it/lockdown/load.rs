//! A load of every kind, in a worker that a wrong list of system calls would kill.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use serpentarium::{
    protocol::NodeMode,
    sandbox::{Failure, Job, NoHost},
    workers::{Lockdown, Pool, PoolConfig},
};

use crate::support::{Echo, Silent, job, job_with, limited, returned};

fn pool() -> Pool {
    let program = env!("CARGO_BIN_EXE_serpentarium").into();
    let lockdown = Lockdown::Required;
    let config = PoolConfig { workers: 1, slots: 80, program, lockdown, ..PoolConfig::default() };
    Pool::start(&config).expect("the pool starts")
}

/// Runs jobs together. Panics if one lost its worker.
async fn run_all(pool: &Pool, jobs: Vec<Job>) {
    let runs = jobs.into_iter().map(|job| pool.run(job, Arc::new(Echo::default())));
    for outcome in futures_util::future::join_all(runs).await {
        assert!(!matches!(outcome.result, Err(Failure::WorkerLost(_))), "{:?}", outcome.result);
    }
}

#[tokio::test]
async fn every_kind_of_task_runs_under_the_filter() {
    let pool = pool();
    pool.ready().await.expect("this machine has every part of the lockdown");
    let before = pool.process_ids();

    // Ends of every kind: traps, no stack, no memory, an exit, no fuel, no time.
    let trap = "import _host, ctypes" /* no such module: an exception */;
    let ends = [
        trap,
        "import posix; posix._exit(3)",
        "def f(): f()\nimport sys\nsys.setrecursionlimit(10**9)\nf()",
        "x = []\nfor _ in range(10**6): x = [x]\nreturn x",
        "return 'x' * 10**10",
        "return len(b'x' * 400_000_000)",
        "return (lambda: 0).__code__.replace(co_code=b'\\xff' * 64, co_stacksize=9)() ",
        "import random, time, uuid\ntime.sleep(0.01)\nreturn [random.random(), str(uuid.uuid4())]",
    ];
    run_all(&pool, ends.iter().map(|code| job(code)).collect()).await;
    let spin = |fuel| limited("while True: pass", move |limits| limits.fuel = fuel);
    let late = limited("while True: pass", |limits| limits.time = Duration::from_millis(50));
    run_all(&pool, vec![spin(5_000_000), spin(50_000_000), late]).await;

    // Waits, cancelled: the timers and calls of 64 tasks.
    let waiting: Vec<_> = (0..64)
        .map(|_| {
            let host = Arc::new(Silent);
            tokio::spawn(pool.run(job("import _host; _host.call('wait', '[]')"), host))
        })
        .collect();
    let sleep = "import time; time.sleep(0.05); return 1";
    run_all(&pool, (0..8).map(|_| job(sleep)).collect()).await;
    waiting.iter().for_each(tokio::task::JoinHandle::abort);

    // Large inputs, results and answers, together: threads, huge pages, moved blocks.
    let text = "y".repeat(20 << 20);
    let items = format!(r#"[{{"json":{{"x":"{text}"}}}}]"#);
    let large = || job_with("return _items", NodeMode::AllItems, &items);
    let call = "
import _host, json
text = json.dumps('z' * (8 << 20))
return [len(_host.call('echo', text)) for _ in range(4)]
";
    run_all(&pool, vec![large(), large(), job(call), job(call), job(call), job(sleep)]).await;

    assert_eq!(pool.process_ids(), before, "no worker was replaced");
    assert_eq!(returned(&pool.run(job("return 1"), Arc::new(NoHost)).await), json!(1));
}
