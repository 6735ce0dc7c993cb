//! Limits of a task in pairs: a task within the limit succeeds, a task over it fails with the
//! limit's name and value.

use std::{sync::Arc, time::Duration};

use crate::support::{Echo, Silent, exceeded, job, limited, raised, returned, run, sandbox};
use bytesize::ByteSize;
use serpentarium::sandbox::{Exceeded, Failure};

const SPIN: &str = "while True: pass";

/// Checks that a task succeeds after another one exceeded a limit.
async fn still_healthy() {
    assert_eq!(returned(&run(job("return 6 * 7")).await), 42);
}

#[tokio::test]
async fn fuel_obeyed() {
    let outcome = run(limited("return sum(range(1000))", |limits| limits.fuel = 50_000_000)).await;
    assert_eq!(returned(&outcome), 499_500);
    assert!(
        outcome.usage.fuel > 10_000 && outcome.usage.fuel < 50_000_000,
        "{}",
        outcome.usage.fuel
    );
}

#[tokio::test]
async fn fuel_violated() {
    let outcome = run(limited(SPIN, |limits| limits.fuel = 50_000_000)).await;
    assert_eq!(exceeded(&outcome), Exceeded::Fuel(50_000_000));
    assert_eq!(outcome.usage.fuel, 50_000_000, "the task consumes its limit exactly");
    still_healthy().await;
}

#[tokio::test]
async fn time_obeyed() {
    let outcome = run(limited("import time; time.sleep(0.05); return 1", |l| {
        l.time = Duration::from_secs(5)
    }))
    .await;
    assert_eq!(returned(&outcome), 1);
    assert!(outcome.usage.duration >= Duration::from_millis(50));
}

#[tokio::test]
async fn time_violated_by_a_loop() {
    let outcome = run(limited(SPIN, |limits| limits.time = Duration::from_millis(100))).await;
    assert_eq!(exceeded(&outcome), Exceeded::Time(Duration::from_millis(100)));
    assert!(outcome.usage.duration < Duration::from_millis(600), "{:?}", outcome.usage.duration);
    still_healthy().await;
}

#[tokio::test]
async fn time_violated_asleep() {
    let sleep = "import time; time.sleep(100)";
    let outcome = run(limited(sleep, |limits| limits.time = Duration::from_millis(100))).await;
    assert_eq!(exceeded(&outcome), Exceeded::Time(Duration::from_millis(100)));
    assert!(outcome.usage.duration < Duration::from_millis(600), "{:?}", outcome.usage.duration);
    still_healthy().await;
}

#[tokio::test]
async fn time_violated_while_waiting_for_an_answer() {
    let wait = limited("import _host; _host.call('wait', '[]')", |limits| {
        limits.time = Duration::from_millis(100)
    });
    let outcome = sandbox().run(wait, Arc::new(Silent)).await;
    assert_eq!(exceeded(&outcome), Exceeded::Time(Duration::from_millis(100)));
    still_healthy().await;
}

#[tokio::test]
async fn memory_obeyed() {
    let outcome =
        run(limited("return len(bytearray(50 << 20))", |l| l.memory = ByteSize::mib(256).as_u64()))
            .await;
    assert_eq!(returned(&outcome), 50 << 20);
    assert!(
        outcome.usage.memory > 50 << 20 && outcome.usage.memory <= 256 << 20,
        "{}",
        outcome.usage.memory
    );
}

/// The heap grows in large steps. A step over the limit must fall back to a smaller one.
#[tokio::test]
async fn memory_obeyed_to_the_last_piece() {
    let code = "
pieces = []
try:
    while True: pieces.append(bytes(1 << 20))
except MemoryError: pass
count = len(pieces)
pieces.clear()
return count
";
    let outcome = run(limited(code, |l| l.memory = ByteSize::mib(128).as_u64())).await;
    let count = returned(&outcome).as_u64().expect("a number");
    assert!(count >= 88, "{count} of 128 MiB, of which the interpreter has 33");
    assert!(outcome.usage.memory <= 128 << 20);
}

#[tokio::test]
async fn memory_violated_is_a_memory_error_that_python_can_catch() {
    let code = "
try:
    x = bytearray(400 << 20)
except MemoryError:
    return 'caught'
";
    let outcome = run(limited(code, |l| l.memory = ByteSize::mib(256).as_u64())).await;
    assert_eq!(returned(&outcome), "caught");
    assert!(outcome.usage.memory <= 256 << 20);
}

#[tokio::test]
async fn memory_violated_by_the_interpreter_alone() {
    let outcome = run(limited("return 1", |l| l.memory = ByteSize::mib(20).as_u64())).await;
    assert_eq!(exceeded(&outcome), Exceeded::Memory(20 << 20));
    assert_eq!(outcome.usage.fuel, 0);
}

#[tokio::test]
async fn memory_violated_bit_by_bit_names_memory() {
    for code in [
        "x = []\nwhile True: x.append('y' * 100_000)",
        "x = [0]\nwhile True: x += x",
        "x = {}\nwhile True: x[len(x)] = [x]",
    ] {
        let outcome = run(limited(code, |l| l.memory = ByteSize::mib(128).as_u64())).await;
        let text = match &outcome.result {
            Err(Failure::Exceeded(limit)) => limit.to_string(),
            _ => raised(&outcome).message.clone(),
        };
        assert!(text.to_lowercase().contains("memory"), "{code}: {text}");
        assert!(outcome.usage.memory <= 128 << 20);
        still_healthy().await;
    }
}

#[tokio::test]
async fn memory_reaches_wasm_s_four_gibibytes() {
    let code = "
blocks = [bytearray(1 << 30) for _ in range(3)]
return len(blocks)
";
    let outcome = run(limited(code, |l| l.memory = serpentarium::sandbox::MAX_MEMORY)).await;
    assert_eq!(returned(&outcome), 3);
    assert!(outcome.usage.memory > 3 << 30);
}

#[tokio::test]
async fn input_obeyed() {
    let mut job = job("return 1");
    job.limits.input = job.input.len() as u64;
    assert_eq!(returned(&run(job).await), 1);
}

#[tokio::test]
async fn input_violated() {
    let mut job = job("return 1");
    job.limits.input = job.input.len() as u64 - 1;
    let limit = job.limits.input;
    assert_eq!(exceeded(&run(job).await), Exceeded::Input(limit));
}

#[tokio::test]
async fn output_obeyed() {
    let outcome = run(limited("return 'x' * 9_000", |limits| limits.output = 10_000)).await;
    assert_eq!(returned(&outcome).as_str().map(str::len), Some(9_000));
}

#[tokio::test]
async fn output_violated() {
    let outcome = run(limited("return 'x' * 10_000", |limits| limits.output = 10_000)).await;
    assert_eq!(exceeded(&outcome), Exceeded::Output(10_000));
    still_healthy().await;
}

#[tokio::test]
async fn stderr_obeyed() {
    let outcome = run(job("import sys; sys.stderr.write('warning: é\\n')")).await;
    assert_eq!(outcome.stderr, "warning: é\n");
}

#[tokio::test]
async fn stderr_violated_is_cut_and_the_task_goes_on() {
    let code = "
import sys
for _ in range(100): sys.stderr.write('x' * 1000)
return 'done'
";
    let outcome = run(limited(code, |limits| limits.stderr = 5_000)).await;
    assert_eq!(returned(&outcome), "done");
    assert_eq!(outcome.stderr.len(), 5_000);
}

const CALLS: &str = "
import _host
for n in range(10): assert _host.call('echo', str(n)) == str(n)
return 'done'
";

#[tokio::test]
async fn calls_obeyed() {
    let outcome =
        sandbox().run(limited(CALLS, |limits| limits.calls = 10), Arc::new(Echo::default())).await;
    assert_eq!(returned(&outcome), "done");
}

#[tokio::test]
async fn calls_violated() {
    let outcome =
        sandbox().run(limited(CALLS, |limits| limits.calls = 9), Arc::new(Echo::default())).await;
    assert_eq!(exceeded(&outcome), Exceeded::Calls(9));
    still_healthy().await;
}

#[tokio::test]
async fn notifications_count_as_calls() {
    let code = "import _host\nwhile True: _host.notify('x', '1')";
    let outcome =
        sandbox().run(limited(code, |limits| limits.calls = 9), Arc::new(Echo::default())).await;
    assert_eq!(exceeded(&outcome), Exceeded::Calls(9));
}

const BIG_CALL: &str = "
import _host
return len(_host.call('echo', '\"' + 'x' * 998 + '\"'))
";

#[tokio::test]
async fn call_bytes_obeyed() {
    let outcome = sandbox()
        .run(limited(BIG_CALL, |limits| limits.call_bytes = 1_000), Arc::new(Echo::default()))
        .await;
    assert_eq!(returned(&outcome), 1_000);
}

#[tokio::test]
async fn call_bytes_violated() {
    let outcome = sandbox()
        .run(limited(BIG_CALL, |limits| limits.call_bytes = 999), Arc::new(Echo::default()))
        .await;
    let exception = raised(&outcome);
    let refused = "The parameters of a host call are too large: the limit is 999 B";
    assert_eq!((exception.message.as_str(), exception.line_number), (refused, Some(3)));
    let notify = BIG_CALL.replace("return len(_host.call", "return (_host.notify");
    let outcome = sandbox()
        .run(limited(&notify, |limits| limits.call_bytes = 999), Arc::new(Echo::default()))
        .await;
    assert_eq!(exceeded(&outcome), Exceeded::CallBytes(999));
    still_healthy().await;
}

const MANY_NOTIFICATIONS: &str =
    "import _host\nfor _ in range(100): _host.notify('x', '\"' + 'y' * 98 + '\"')";

#[tokio::test]
async fn notified_obeyed() {
    let outcome = sandbox()
        .run(
            limited(MANY_NOTIFICATIONS, |limits| limits.notified = 10_000),
            Arc::new(Echo::default()),
        )
        .await;
    assert_eq!(returned(&outcome), serde_json::Value::Null);
}

#[tokio::test]
async fn notified_violated() {
    let outcome = sandbox()
        .run(
            limited(MANY_NOTIFICATIONS, |limits| limits.notified = 9_999),
            Arc::new(Echo::default()),
        )
        .await;
    assert_eq!(exceeded(&outcome), Exceeded::Notified(9_999));
    still_healthy().await;
}

/// Each program calls the host without pause. Host work must not delay the interruption.
const BUSY_WITH_THE_HOST: &[&str] = &[
    "import os\nwhile True: os.urandom(16)",
    "import os\nwhile True: os.urandom(5_000_000)",
    "import os\nwhile True: os.write(2, b'x')",
    "import time\nwhile True: time.sleep(0)",
    "import uuid\nwhile True: uuid.uuid4()",
    "import _host\nwhile True: _host.call('echo', '1')",
    "import _host\nwhile True: _host.notify('a b', '[]')",
    "import _host\nwhile True: _host.wait(0)",
    "import _host\nwhile True: _host.start('a b', '[]'), _host.wait(-1)",
    "import _host\n_host.start('echo', '1')\nwhile True: _host.wait(0), _host.start('echo', '1')",
];

#[tokio::test]
async fn time_violated_while_calling_the_host_all_the_time() {
    for code in BUSY_WITH_THE_HOST {
        let busy = limited(code, |limits| {
            limits.time = Duration::from_millis(200);
            limits.calls = u32::MAX;
        });
        let outcome = sandbox().run(busy, Arc::new(Echo::default())).await;
        assert_eq!(exceeded(&outcome), Exceeded::Time(Duration::from_millis(200)), "{code}");
        assert!(
            outcome.usage.duration < Duration::from_millis(900),
            "{code}: {:?}",
            outcome.usage.duration
        );
    }
}

#[tokio::test]
async fn one_large_call_of_the_host_can_be_interrupted() {
    let code = "import os\nos.urandom(300_000_000)";
    let outcome = run(limited(code, |limits| limits.time = Duration::from_millis(50))).await;
    assert_eq!(exceeded(&outcome), Exceeded::Time(Duration::from_millis(50)));
    assert!(outcome.usage.duration < Duration::from_millis(600), "{:?}", outcome.usage.duration);
}

#[tokio::test]
async fn work_of_the_host_consumes_fuel_of_the_guest() {
    let fuel_of = async |code: &str| run(job(code)).await.usage.fuel;
    let less = fuel_of("import os\nos.urandom(1_000)").await;
    let more = fuel_of("import os\nos.urandom(1_001_000)").await;
    assert!(more > less + 1_000_000, "{less}, {more}");
    let busy =
        limited("import os\nwhile True: os.urandom(1_000_000)", |limits| limits.fuel = 100_000_000);
    let outcome = run(busy).await;
    assert_eq!(
        (exceeded(&outcome), outcome.usage.fuel),
        (Exceeded::Fuel(100_000_000), 100_000_000)
    );
}

/// The host refused the last large step of the heap but granted the smaller one.
#[tokio::test]
async fn a_trap_near_the_memory_limit_is_no_lack_of_memory() {
    let code = "
import posix
pieces = []
for _ in range(18): pieces.append(bytearray(1 << 20))
posix.abort()
";
    let outcome = run(limited(code, |l| l.memory = ByteSize::mib(64).as_u64())).await;
    assert!(
        matches!(&outcome.result, Err(Failure::Broken(reason)) if reason.contains("trap")),
        "{:?}",
        outcome.result
    );
}

#[tokio::test]
async fn a_caught_memory_error_does_not_rename_later_errors() {
    let code = "
import posix
try: bytearray(900_000_000)
except MemoryError: pass
posix._exit(3)
";
    let outcome = run(job(code)).await;
    assert!(
        matches!(&outcome.result, Err(Failure::Broken(reason)) if reason.contains("code 3")),
        "{:?}",
        outcome.result
    );
}

#[tokio::test]
async fn a_spinning_task_does_not_starve_another() {
    // Long enough for a machine on which many other tests run.
    let time = Duration::from_secs(3);
    let spin = tokio::spawn(run(limited(SPIN, |limits| limits.time = time)));
    tokio::task::yield_now().await;
    let outcome = run(job("return 1")).await;
    assert!(!spin.is_finished(), "the other task runs while this one spins");
    assert!(outcome.usage.duration < time / 2, "{:?}", outcome.usage.duration);
    assert_eq!(exceeded(&spin.await.expect("no panic")), Exceeded::Time(time));
}

#[tokio::test]
async fn a_dropped_task_stops_at_once_and_frees_its_slot() {
    for _ in 0..20 {
        let spinning = tokio::time::timeout(Duration::from_millis(10), run(job(SPIN))).await;
        assert!(spinning.is_err(), "the task is dropped while it runs");
    }
    still_healthy().await;
}
