//! The memory of a parent whose broker reads nothing, while a worker sends all it can.

use std::thread;

use crate::support::{
    own_process, puppet,
    script_broker::{Broker, settings},
};
use serde_json::{Value, json};
use serpentarium::runner::{self, Credentials, RunnerConfig};

use super::*;

/// Starts a runner in this process, whose workers follow the code of their tasks.
fn start_runner(port: u16, workers: usize) {
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let pool = puppet::config(workers);
            let credentials = Credentials { grant: None, auth: Some("secret".into()) };
            let broker = format!("http://127.0.0.1:{port}").parse().unwrap();
            let config = RunnerConfig::new(broker, credentials);
            runner::run(config, Pool::start(&pool).unwrap(), std::future::pending()).await
        })
    });
}

/// Returns the resident memory of this process in MiB.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4 / 1024
}

/// A runner in this process, and a broker that has stopped to read.
struct DeafBroker {
    broker: Broker,
    /// The largest growth of this process in MiB meanwhile.
    growth: u64,
}

/// Runs tasks that each send `calls` of `size` MiB, while the broker reads nothing.
fn deaf_broker(tasks: usize, calls: u64, size: u64) -> DeafBroker {
    let mut broker = Broker::start();
    start_runner(broker.port, tasks);
    broker.register();
    let call = |number: Value, fill: u64| {
        let name = "helpers.httpRequest";
        let header = json!({"Call": {"job": "$job", "call": number, "name": name}});
        json!({"send": header, "before": "[\"", "fill": fill, "after": "\"]"})
    };
    let flood = json!({"repeat": calls, "steps": [call("$n".into(), (size << 20) - 4)]});
    // The flood begins once the broker has stopped.
    let directory = tempfile::tempdir().expect("a directory");
    let begin = directory.path().join("begin");
    let steps = json!([call(1_000.into(), 0), {"await": begin}, flood]);
    for task in 0..tasks {
        broker.submit(&format!("t{task}"), settings(&steps.to_string()));
        broker.message("runner:rpc");
    }
    broker.signal("STOP");
    std::fs::write(&begin, "").expect("the file is made");
    let (before, begun) = (resident(), Instant::now());
    let mut most = before;
    while begun.elapsed() < Duration::from_secs(6) {
        most = most.max(resident());
        thread::sleep(Duration::from_millis(1));
    }
    eprintln!("{tasks} tasks, {calls} calls of {size} MiB: {before} MiB, then up to {most} MiB");
    DeafBroker { broker, growth: most - before }
}

/// The unsent messages are bounded, and so is what each worker adds.
#[test]
fn calls_for_a_broker_that_reads_nothing_stay_in_the_worker() {
    own_process::run(
        concat!(module_path!(), "::calls_for_a_broker_that_reads_nothing_stay_in_the_worker"),
        || {
            // Unsent: calls of 60 MiB up to the first beyond 64 MiB, and two from each worker.
            let DeafBroker { growth, .. } = deaf_broker(2, 4, 60);
            assert!((100..450).contains(&growth), "{growth} MiB");
        },
    );
}

#[test]
fn forged_calls_do_not_fill_the_parent() {
    own_process::run(concat!(module_path!(), "::forged_calls_do_not_fill_the_parent"), || {
        let DeafBroker { broker, growth } = deaf_broker(1, 40, 100);
        assert!(growth < 100, "{growth} MiB");
        broker.signal("CONT");
        let error = broker.message("runner:taskerror")["error"]["message"].to_string();
        let expected = "parameters of a host call: 100.0 MiB where 64.0 MiB are allowed";
        assert!(error.contains(expected), "{error}");
    });
}

/// The largest call, five times at once: four that the guest started, and one that blocks it.
#[tokio::test]
async fn calls_at_their_limits_pass_the_pipe() {
    let pool = pool(1);
    let process = pool.process_ids()[0];
    let code = "
import _host
params = '\"' + 'x' * ((64 << 20) - 2) + '\"'
started = [_host.start('never', params) for _ in range(4)]
try: _host.call('never', params)
except _host.CallError as e: late = str(e)
try: _host.call('never', params + ' ')
except _host.CallError as e: return [late, str(e)]
";
    let job = limited(code, |limits| limits.call_time = Duration::from_secs(3));
    let outcome = pool.run(job, Arc::new(Silent)).await;
    let expected = json!([
        "The call of never timed out after 3 seconds",
        "The parameters of a host call are too large: the limit is 64.0 MiB"
    ]);
    assert_eq!((returned(&outcome), pool.process_ids()[0]), (expected, process));
}
