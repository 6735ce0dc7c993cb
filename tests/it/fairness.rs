//! A task gets its share of the thread beside hostile tasks of each kind.
//!
//! The clock is the processor time of the test's thread, which runs all guests of a test. Other
//! processes on the machine do not count.

use std::{sync::Arc, time::Duration};

use rustix::time::{ClockId, clock_gettime};
use serde_json::value::RawValue;
use serpentarium::sandbox::{
    Exceeded, HostCalls, Job, METHOD_NOT_ALLOWED, NoHost, PendingAnswer, Sandbox,
};
use tokio::{
    sync::{Mutex, MutexGuard, Notify},
    task::JoinSet,
};

use crate::support::{exceeded, job, limited, returned};

/// The innocent task: about 0.17 s of processor time.
const INNOCENT: &str = "x = 0\nfor i in range(4_000_000): x += i\nreturn x";

/// Hostile tasks that [`one_hostile_task_takes_half_of_the_time`] runs: the first ones.
const BESIDE_ONE: usize = 7;

/// Hostile tasks by their largest single operations: name, preparation, body of an endless loop.
const HOSTILE: &[(&str, &str, &str)] = &[
    ("computing", "", "pass"),
    ("fills of 400 MB", "", "b'x' * 400_000_000"),
    (
        "copies of 100 MB",
        "m = memoryview(bytearray(100_000_000))\ny = bytes(100_000_000)",
        "m[:] = y",
    ),
    (
        "moves of 150 MB",
        "m = memoryview(bytearray(200_000_000))",
        "m[1:150_000_000] = m[0:149_999_999]",
    ),
    ("moves of 1 MB", "m = memoryview(bytearray(2_000_000))", "m[1:1_000_001] = m[0:1_000_000]"),
    (
        "parameters of 60 MB",
        "import _host\np = '[\"' + 'x' * (60 << 20) + '\"]'",
        "
    try: _host.call('nobody.answers', p)
    except _host.CallError: pass",
    ),
    ("memory that grows", "", "[bytearray(60_000_000) for _ in range(6)]"),
    ("first writes to pages", "", "[bytearray(1 << 20) for _ in range(300)]"),
    ("a write to each page", "x = bytearray(300_000_000)\ny = bytes(73243)", "x[::4096] = y"),
    ("lists multiplied", "", "[None] * 80_000_000"),
    ("dicts that grow", "", "dict.fromkeys(range(3_000_000))"),
    ("large powers", "", "3 ** 5_000_000"),
    ("large products", "x = 3 ** 2_000_000", "x * x"),
    ("a regular expression", "import re", "re.match('(a+)+$', 'a' * 40 + 'b')"),
    ("sorting", "import random\nx = [random.random() for _ in range(500_000)]", "sorted(x)"),
    ("JSON", "import json\nx = [{'a': i} for i in range(300_000)]", "json.dumps(x)"),
    ("text encoded", "x = 'é' * 80_000_000", "x.encode()"),
    ("compression", "import zlib\nx = bytes(100_000_000)", "zlib.compress(x)"),
    ("comparisons", "x = bytes(200_000_000)\ny = bytes(200_000_000)", "x == y"),
    ("garbage collection", "import gc\nx = [[] for _ in range(1_000_000)]", "gc.collect()"),
    ("randomness", "import os", "os.urandom(100_000_000)"),
    ("standard error", "import os\nx = bytes(50_000_000)", "os.write(2, x)"),
    ("notifications", "import _host", "_host.notify('nobody', '[]')"),
    (
        "recursion",
        "def f(): f()",
        "
    try: f()
    except RecursionError: pass",
    ),
];

/// A host that waits for the notification with which a hostile task says that it is prepared.
#[derive(Default)]
struct Prepared(Notify);

impl HostCalls for Prepared {
    fn call(&self, _name: &str, _params: Box<RawValue>) -> PendingAnswer {
        Box::pin(std::future::ready(Err(METHOD_NOT_ALLOWED.into())))
    }

    fn notify(&self, name: &str, _params: Box<RawValue>) {
        if name == "prepared" {
            self.0.notify_one();
        }
    }
}

/// Runs one of these tests at a time: together they would use much memory.
async fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::const_new(());
    ALONE.lock().await
}

/// Returns the processor time of this thread.
fn clock() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap(), time.tv_nsec.try_into().unwrap())
}

fn endless(preparation: &str, body: &str) -> Job {
    let code = format!(
        "import _host as _h\n{preparation}\n_h.notify('prepared', '1')\nwhile True: {body}"
    );
    limited(&code, |limits| {
        limits.time = Duration::from_secs(600);
        limits.fuel = u64::MAX / 4;
        limits.calls = u32::MAX;
        limits.notified = u64::MAX;
    })
}

/// Runs the innocent task; returns the thread's time from its submission to its result.
///
/// In a task of its own: tokio polls the future of `block_on` less often than tasks.
async fn innocent(sandbox: &Sandbox) -> Duration {
    let (sandbox, started) = (sandbox.clone(), clock());
    let task = tokio::spawn(async move {
        let outcome = sandbox.run(job(INNOCENT), NoHost).await;
        (outcome, clock() - started)
    });
    let (outcome, time) = task.await.unwrap();
    assert_eq!(returned(&outcome), 7_999_998_000_000_u64);
    time
}

/// Returns the time of the innocent task beside `count` hostile ones that are in their loops.
async fn beside(sandbox: &Sandbox, preparation: &str, body: &str, count: usize) -> Duration {
    let mut hostile = JoinSet::new();
    for _ in 0..count {
        let (sandbox, host) = (sandbox.clone(), Arc::new(Prepared::default()));
        let (job, ready) = (endless(preparation, body), host.clone());
        hostile.spawn(async move { sandbox.run(job, host).await });
        ready.0.notified().await;
    }
    let time = innocent(sandbox).await;
    if let Some(ended) = hostile.try_join_next() {
        panic!("a hostile task ended: {:?}", ended.unwrap().result);
    }
    hostile.shutdown().await;
    time
}

/// Checks that `count` hostile tasks of each kind take no more than their share. The innocent task
/// waits for one step of each at first, and its own time varies by a quarter.
async fn check(tasks: &[(&str, &str, &str)], count: u32) {
    let _alone = alone().await;
    let sandbox = Sandbox::builder().slots(4).build().unwrap();
    innocent(&sandbox).await;
    let mut late = Vec::new();
    for (name, preparation, body) in tasks {
        let time = beside(&sandbox, preparation, body, count as usize).await;
        let alone = innocent(&sandbox).await;
        println!("{name}: {time:?} beside {count}, {alone:?} alone");
        if time > alone * (count + 1) * 5 / 4 + Duration::from_millis(300) {
            late.push((name, time, alone));
        }
    }
    assert!(late.is_empty(), "{late:?}");
}

#[tokio::test]
async fn one_hostile_task_takes_half_of_the_time() {
    check(&HOSTILE[..BESIDE_ONE], 1).await;
}

#[tokio::test]
async fn three_hostile_tasks_of_any_kind_take_equal_shares() {
    check(HOSTILE, 3).await;
}

/// A hostile task sits out turns most of the time. Limits and cancels do not wait for its turn.
#[tokio::test]
async fn a_task_that_sits_out_turns_can_be_ended_at_once() {
    let _alone = alone().await;
    let sandbox = Sandbox::builder().slots(4).build().unwrap();
    let spin = tokio::spawn({
        let (sandbox, job) = (sandbox.clone(), endless("", "pass"));
        async move { sandbox.run(job, NoHost).await }
    });
    let mut hostile = endless("", "b'x' * 200_000_000");
    let host = Arc::new(Prepared::default());
    let cancelled = tokio::spawn({
        let (sandbox, job, host) = (sandbox.clone(), hostile.clone(), host.clone());
        async move { sandbox.run(job, host).await }
    });
    host.0.notified().await;
    cancelled.abort();
    let started = clock();
    assert!(cancelled.await.unwrap_err().is_cancelled());
    assert!(clock() - started < Duration::from_millis(500));
    hostile.limits.time = Duration::from_millis(700);
    let limit = Exceeded::Time(hostile.limits.time);
    assert_eq!(exceeded(&sandbox.run(hostile, NoHost).await), limit);
    spin.abort();
}

/// A task that waits has no turn, so a large operation beside it costs no time.
#[tokio::test]
async fn large_operations_cost_no_turns_beside_waiting_tasks() {
    let _alone = alone().await;
    let sandbox = Sandbox::builder().slots(4).build().unwrap();
    let fills = "for _ in range(20): b'x' * 20_000_000\nreturn 1";
    let fill = async || {
        let started = clock();
        assert_eq!(returned(&sandbox.run(job(fills), NoHost).await), 1);
        clock() - started
    };
    fill().await;
    let alone = fill().await;
    let mut waiting = JoinSet::new();
    for _ in 0..3 {
        let sandbox = sandbox.clone();
        let sleep = job("import time\ntime.sleep(60)");
        waiting.spawn(async move { sandbox.run(sleep, NoHost).await });
    }
    tokio::task::yield_now().await;
    let time = fill().await;
    assert!(time < alone * 2 + Duration::from_millis(100), "{time:?}, {alone:?} alone");
    waiting.shutdown().await;
}
