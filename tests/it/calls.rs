//! Concurrent host calls: a task starts several and waits for the first answer.

mod limits;
mod pipe;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use crate::support::{Echo, Silent, exceeded, job, limited, raised, returned, run, sandbox};
use serde_json::{Value, json, value::RawValue};
use serpentarium::{
    sandbox::{Exceeded, HostCalls, Job, Outcome, PendingAnswer},
    workers::{Pool, PoolConfig},
};

/// A host with three calls: `after` (milliseconds, value) answers later with the value, `fail`
/// fails with its parameter, `never` stays pending. It counts pending calls.
#[derive(Default)]
struct TimedHost {
    waiting: Arc<AtomicUsize>,
}

/// Counts a pending call until it is dropped.
struct Waits(Arc<AtomicUsize>);

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl HostCalls for TimedHost {
    fn call(&self, name: &str, params: Box<RawValue>) -> PendingAnswer {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let (name, waits) = (name.to_owned(), Waits(self.waiting.clone()));
        Box::pin(async move {
            let _waits = waits;
            match name.as_str() {
                "after" => {
                    let (ms, value) =
                        serde_json::from_str::<(u64, Box<RawValue>)>(params.get()).expect("a pair");
                    tokio::time::sleep(Duration::from_millis(ms)).await;
                    Ok(value)
                }
                "fail" => Err(serde_json::from_str(params.get()).expect("a text")),
                _ => std::future::pending().await,
            }
        })
    }

    fn notify(&self, _name: &str, _params: Box<RawValue>) {}
}

fn pool() -> Pool {
    let program = env!("CARGO_BIN_EXE_serpentarium").into();
    Pool::start(&PoolConfig { workers: 1, slots: 16, program, ..PoolConfig::default() })
        .expect("the pool starts")
}

async fn on_timed_host(job: Job) -> Outcome {
    sandbox().run(job, Arc::new(TimedHost::default())).await
}

async fn value(code: &str) -> Value {
    returned(&on_timed_host(job(code)).await)
}

#[tokio::test]
async fn a_hundred_calls_take_about_as_long_as_the_slowest() {
    let code = "
import _host
numbers = [_host.start('after', f'[{100 + n}, {n}]') for n in range(100)]
answers = [_host.wait(-1) for _ in numbers]
assert sorted(answer[0] for answer in answers) == numbers == list(range(1, 101))
return sorted(int(answer[2]) for answer in answers) == list(range(100))
";
    let started = Instant::now();
    assert_eq!(value(code).await, true);
    let took = started.elapsed();
    assert!(took < Duration::from_millis(600), "a hundred calls of 100 to 200 ms took {took:?}");
}

#[tokio::test]
async fn answers_come_in_the_order_in_which_they_are_there() {
    let code = "
import _host
for ms in (300, 100, 200): _host.start('after', f'[{ms}, \"{ms}\"]')
return [_host.wait(-1) for _ in range(3)]
";
    assert_eq!(
        value(code).await,
        json!([[2, true, "\"100\""], [3, true, "\"200\""], [1, true, "\"300\""]])
    );
}

#[tokio::test]
async fn failures_and_refusals_come_through_wait() {
    let code = "
import _host
_host.start('fail', '\"it broke\"')
_host.start('no such name!', '[]')
_host.start('fail', 'no json')
return sorted(_host.wait(-1) for _ in range(3))
";
    let answers = value(code).await;
    assert_eq!(answers[0], json!([1, false, "it broke"]));
    assert!(answers[1][2].as_str().unwrap().starts_with("the name of a host call"), "{answers}");
    assert_eq!(answers[2], json!([3, false, "the parameters of a host call are one JSON value"]));
}

#[tokio::test]
async fn a_call_that_blocks_leaves_those_in_flight_alone() {
    let code = "
import _host
_host.start('after', '[0, 1]')
assert _host.call('after', '[50, 2]') == '2'
try: _host.call('fail', '\"no\"')
except _host.CallError as e: assert str(e) == 'no'
return [_host.wait(-1), _host.wait(0)]
";
    assert_eq!(value(code).await, json!([[1, true, "1"], null]));
}

#[tokio::test]
async fn text_of_every_kind_comes_back_as_it_was_sent() {
    let code = "
import _host, json
texts = ['', 'a', 'plain', 'é', 'ü' * 1000, '日本語', '🐍', 'x' * 100_000 + '🐍']
for text in texts:
    params = json.dumps(text, ensure_ascii=False)
    assert _host.call('echo', params) == params
    number = _host.start('echo', params)
    assert _host.wait(-1) == (number, True, params)
return _host.decode_plain(json.dumps({'a': [1, 'é', '🐍']}, ensure_ascii=False))
";
    let outcome = sandbox().run(job(code), Arc::new(Echo::default())).await;
    assert_eq!(returned(&outcome), json!({"a": [1, "é", "🐍"]}));
}

#[tokio::test]
async fn waiting_ends_with_its_time() {
    let code = "
import _host, time
def took(*arguments):
    start = time.monotonic()
    return _host.wait(*arguments), round(time.monotonic() - start, 1)
alone = took(0.2), took(0)
_host.start('never', '[]')
return alone, took(0.2), took(0)
";
    assert_eq!(value(code).await, json!([[[null, 0.2], [null, 0.0]], [null, 0.2], [null, 0.0]]));
}

#[tokio::test]
async fn waiting_for_ever_for_nothing_is_an_error_in_python() {
    for limit in ["-1", "float('inf')", "float('nan')", "-0.5"] {
        let outcome = run(job(&format!("import _host\n_host.wait({limit})"))).await;
        let exception = raised(&outcome);
        assert!(
            exception.description.as_ref().unwrap().contains("ValueError"),
            "{limit}: {exception:?}"
        );
    }
    let outcome = run(job("import _host\n_host.wait('soon')")).await;
    assert!(raised(&outcome).description.as_ref().unwrap().contains("TypeError"));
}

#[tokio::test]
async fn a_guest_that_polls_for_answers_does_not_starve_the_host() {
    let code = "
import _host
_host.start('after', '[20, 1]')
looks = 1
while not (answer := _host.wait(0)): looks += 1
return answer, looks > 1
";
    assert_eq!(value(code).await, json!([[1, true, "1"], true]));
}

#[tokio::test]
async fn calls_in_flight_end_with_their_task() {
    let host = Arc::new(TimedHost::default());
    let code =
        "import _host\nfor _ in range(10): _host.start('never', '[]')\n_host.wait(0.05)\nreturn 1";
    assert_eq!(returned(&sandbox().run(job(code), host.clone()).await), 1);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(host.waiting.load(Ordering::Relaxed), 0);
    let ends = sandbox().run(job(&code.replace("return 1", "_host.wait(-1)")), host.clone());
    assert!(tokio::time::timeout(Duration::from_millis(300), ends).await.is_err());
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(host.waiting.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_virtual_clock_advances_only_without_an_answer() {
    let code = "
import _host, time
def passed(*arguments):
    start = time.monotonic()
    answer = _host.wait(*arguments)
    return answer, round(time.monotonic() - start, 3)
alone = passed(3600)
_host.start('after', '[100, 1]')
return alone, passed(0.02), passed(60)
";
    let virtual_time = job(code).seed(1);
    let (first, second) =
        (on_timed_host(virtual_time.clone()).await, on_timed_host(virtual_time).await);
    assert_eq!(returned(&first), json!([[null, 3600.0], [null, 0.02], [[1, true, "1"], 0.0]]));
    assert_eq!(first.usage.fuel, second.usage.fuel);
}
