//! Host calls in flight: a task begins several, and waits for the first that has its answer.

mod common;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use common::{Echo, Silent, exceeded, job, limited, raised, returned, run, sandbox};
use serde_json::{Value, json, value::RawValue};
use serpentarium::{
    sandbox::{Exceeded, HostCalls, Job, Outcome, PendingAnswer},
    workers::{Pool, PoolConfig},
};

/// A host that answers `after` with the second parameter when as many milliseconds have passed as the first says, fails
/// `fail` with the text that is its parameter, never answers `never`, and counts what waits.
#[derive(Default)]
struct Desk {
    waiting: Arc<AtomicUsize>,
}

/// A call that waits, until it is dropped.
struct Waits(Arc<AtomicUsize>);

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl HostCalls for Desk {
    fn call(&self, name: &str, params: Box<RawValue>) -> PendingAnswer {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let (name, waits) = (name.to_owned(), Waits(self.waiting.clone()));
        Box::pin(async move {
            let _waits = waits;
            match name.as_str() {
                "after" => {
                    let (ms, value) = serde_json::from_str::<(u64, Box<RawValue>)>(params.get()).expect("a pair");
                    tokio::time::sleep(Duration::from_millis(ms)).await;
                    Ok(value)
                }
                "fail" => Err(serde_json::from_str(params.get()).expect("a text")),
                _ => std::future::pending().await,
            }
        })
    }

    fn tell(&self, _name: &str, _params: Box<RawValue>) {}
}

async fn at_desk(job: Job) -> Outcome {
    sandbox().run(job, Arc::new(Desk::default())).await
}

async fn value(code: &str) -> Value {
    returned(&at_desk(job(code)).await)
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
    assert_eq!(value(code).await, json!([[2, true, "\"100\""], [3, true, "\"200\""], [1, true, "\"300\""]]));
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
        assert!(exception.description.as_ref().unwrap().contains("ValueError"), "{limit}: {exception:?}");
    }
    let outcome = run(job("import _host\n_host.wait('soon')")).await;
    assert!(raised(&outcome).description.as_ref().unwrap().contains("TypeError"));
}

const THREE: &str = "
import _host
for n in range(3): _host.start('after', '[0, 1]')
for n in range(3): _host.wait(-1)
for n in range(3): _host.start('never', '[]')
return 'done'
";

#[tokio::test]
async fn in_flight_obeyed() {
    assert_eq!(returned(&at_desk(limited(THREE, |limits| limits.in_flight = 3)).await), "done");
}

#[tokio::test]
async fn in_flight_violated() {
    assert_eq!(exceeded(&at_desk(limited(THREE, |limits| limits.in_flight = 2)).await), Exceeded::InFlight(2));
    assert_eq!(exceeded(&at_desk(limited(THREE, |limits| limits.in_flight = 0)).await), Exceeded::InFlight(0));
}

#[tokio::test]
async fn calls_in_flight_count_as_calls_obeyed() {
    assert_eq!(returned(&at_desk(limited(THREE, |limits| limits.calls = 6)).await), "done");
}

#[tokio::test]
async fn calls_in_flight_count_as_calls_violated() {
    assert_eq!(exceeded(&at_desk(limited(THREE, |limits| limits.calls = 5)).await), Exceeded::Calls(5));
}

const LARGE: &str = "
import _host
answer = '\"' + 'x' * 998 + '\"'
for n in range(4): _host.start('echo', answer)
return [ok or text for _, ok, text in (_host.wait(-1) for n in range(4))]
";

#[tokio::test]
async fn the_size_of_calls_in_flight_obeyed() {
    let outcome = sandbox().run(limited(LARGE, |limits| limits.call_bytes = 1000), Arc::new(Echo::default())).await;
    assert_eq!(returned(&outcome), json!([true, true, true, true]));
}

#[tokio::test]
async fn the_size_of_calls_in_flight_violated() {
    let small = |limits: &mut serpentarium::sandbox::Limits| limits.call_bytes = 999;
    let outcome = sandbox().run(limited(LARGE, small), Arc::new(Echo::default())).await;
    let refused = "The parameters of a host call are too large: the limit is 999 B (SERPENTARIUM_MAX_CALL_BYTES)";
    assert_eq!(returned(&outcome), json!([refused, refused, refused, refused]));
}

const UNANSWERED: &str = "
import _host
params = '\"' + 'x' * 998 + '\"'
for n in range(6): _host.start('never', params)
refused = []
while answer := _host.wait(0.05): refused.append(answer)
_host.tell('sandbox.forget', '[1]')
_host.start('never', params)
return [refused, _host.wait(0.05)]
";

#[tokio::test]
async fn parameters_of_calls_without_an_answer_have_a_limit_together() {
    let outcome = at_desk(limited(UNANSWERED, |limits| limits.call_bytes = 1000)).await;
    let text = "The parameters of calls without an answer are larger than 3.9 KiB together";
    assert_eq!(returned(&outcome), json!([[[5, false, text], [6, false, text]], null]));
}

#[tokio::test]
async fn a_call_that_is_given_up_leaves_its_place() {
    let code = "
import _host
for n in range(50):
    _host.tell('sandbox.forget', f'[{_host.start(\"never\", \"[]\")}]')
for bad in ('[1]', '[7000]', '[-1]', '[]', '{}', '7', '[1, 2]', '[\"1\"]'): _host.tell('sandbox.forget', bad)
number = _host.start('after', '[0, 1]')
assert _host.call('after', '[20, 1]') == '1'
_host.tell('sandbox.forget', f'[{number}]')
number = _host.start('after', '[0, 2]')
answer = _host.wait(-1)
try: _host.wait(-1)
except ValueError: return [answer == (number, True, '2'), _host.wait(0.01)]
";
    assert_eq!(returned(&at_desk(limited(code, |limits| limits.in_flight = 1)).await), json!([true, null]));
}

/// A host whose answers are larger than what it was asked.
struct Large;

impl HostCalls for Large {
    fn call(&self, _name: &str, _params: Box<RawValue>) -> PendingAnswer {
        let answer = RawValue::from_string(format!("\"{}\"", "x".repeat(98))).expect("a text");
        Box::pin(std::future::ready(Ok(answer)))
    }

    fn tell(&self, _name: &str, _params: Box<RawValue>) {}
}

#[tokio::test]
async fn the_size_of_an_answer_obeyed_and_violated() {
    let code = "
import _host
_host.start('x', '1')
try: blocking = len(_host.call('x', '1'))
except _host.CallError as error: blocking = str(error)
_, ok, text = _host.wait(-1)
return [blocking, len(text) if ok else text]";
    let run = |size| sandbox().run(limited(code, |limits| limits.call_bytes = size), Arc::new(Large));
    assert_eq!(returned(&run(100).await), json!([100, 100]));
    let refused = "The answer of a host call is too large: the limit is 99 B (SERPENTARIUM_MAX_CALL_BYTES)";
    assert_eq!(returned(&run(99).await), json!([refused, refused]));
    let over_the_pipe = pool().run(limited(code, |limits| limits.call_bytes = 99), Arc::new(Large)).await;
    assert_eq!(returned(&over_the_pipe), json!([refused, refused]));
}

const UNFETCHED: &str = "
import _host, time
answer = '\"' + 'x' * 998 + '\"'
for n in range(COUNT): _host.start('echo', answer)
time.sleep(0.1)
answers = [_host.wait(-1) for n in range(COUNT)]
assert _host.wait(0) is None
_host.start('echo', answer)
assert _host.wait(-1)[1]
return [answer for answer in answers if not answer[1]]
";

#[tokio::test]
async fn answers_that_wait_to_be_fetched_obeyed() {
    let code = UNFETCHED.replace("COUNT", "4");
    let outcome = sandbox().run(limited(&code, |limits| limits.call_bytes = 1000), Arc::new(Echo::default())).await;
    assert_eq!(returned(&outcome), json!([]));
}

#[tokio::test]
async fn answers_that_wait_to_be_fetched_violated() {
    let code = UNFETCHED.replace("COUNT", "6");
    let outcome = sandbox().run(limited(&code, |limits| limits.call_bytes = 1000), Arc::new(Echo::default())).await;
    let failed = returned(&outcome);
    let text = failed[0][2].as_str().unwrap();
    assert!(text.starts_with("The answers that wait to be fetched are larger than"), "{failed}");
}

#[tokio::test]
async fn the_time_of_a_call_obeyed() {
    let code = "import _host\n_host.start('after', '[50, 1]')\nreturn [_host.call('after', '[50, 2]'), _host.wait(-1)]";
    let outcome = at_desk(limited(code, |limits| limits.call_time = Duration::from_secs(1))).await;
    assert_eq!(returned(&outcome), json!(["2", [1, true, "1"]]));
}

#[tokio::test]
async fn the_time_of_a_call_violated() {
    let code = "
import _host
_host.start('never', '[]')
try: _host.call('after', '[5000, 2]')
except _host.CallError as e: return [str(e), _host.wait(-1)]
";
    let outcome = at_desk(limited(code, |limits| limits.call_time = Duration::from_millis(100))).await;
    let expected = json!([
        "The call of after timed out after 0.1 seconds",
        [1, false, "The call of never timed out after 0.1 seconds"]
    ]);
    assert_eq!(returned(&outcome), expected);
}

#[tokio::test]
async fn the_time_of_the_task_also_ends_its_waiting() {
    let code = "import _host\n_host.start('never', '[]')\n_host.wait(-1)";
    let time = Duration::from_millis(100);
    assert_eq!(exceeded(&at_desk(limited(code, |limits| limits.time = time)).await), Exceeded::Time(time));
}

#[tokio::test]
async fn a_guest_that_only_looks_for_answers_does_not_starve_those_who_give_them() {
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
    let host = Arc::new(Desk::default());
    let code = "import _host\nfor _ in range(10): _host.start('never', '[]')\n_host.wait(0.05)\nreturn 1";
    assert_eq!(returned(&sandbox().run(job(code), host.clone()).await), 1);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(host.waiting.load(Ordering::Relaxed), 0);
    let ends = sandbox().run(job(&code.replace("return 1", "_host.wait(-1)")), host.clone());
    assert!(tokio::time::timeout(Duration::from_millis(300), ends).await.is_err());
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(host.waiting.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn where_the_clock_is_virtual_only_time_without_an_answer_passes() {
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
    let virtual_time = Job { deterministic: Some(1), ..job(code) };
    let (first, second) = (at_desk(virtual_time.clone()).await, at_desk(virtual_time).await);
    assert_eq!(returned(&first), json!([[null, 3600.0], [null, 0.02], [[1, true, "1"], 0.0]]));
    assert_eq!(first.usage.fuel, second.usage.fuel);
}

// Over the pipe between runner and worker.

fn pool() -> Pool {
    let program = env!("CARGO_BIN_EXE_serpentarium").into();
    Pool::start(&PoolConfig { workers: 1, slots: 16, program }).expect("the pool starts")
}

#[tokio::test]
async fn calls_in_flight_of_several_tasks_cross_the_pipe_and_keep_their_answers_apart() {
    let pool = pool();
    let code = |task: usize| {
        format!(
            "import _host, json
for n in range(50): _host.start('after', json.dumps([(n * 7) % 50, [{task}, n + 1]]))
answers = [_host.wait(-1) for _ in range(50)]
return all(ok and json.loads(text) == [{task}, number] for number, ok, text in answers)"
        )
    };
    let host = Arc::new(Desk::default());
    let tasks: Vec<_> = (0..8).map(|task| tokio::spawn(pool.run(job(&code(task)), host.clone()))).collect();
    for task in tasks {
        assert_eq!(returned(&task.await.unwrap()), true);
    }
}

#[tokio::test]
async fn calls_in_flight_end_with_their_task_over_the_pipe() {
    let pool = pool();
    let host = Arc::new(Desk::default());
    let waiting = |count: usize| {
        let host = host.clone();
        async move {
            let by = Instant::now() + Duration::from_secs(10);
            while host.waiting.load(Ordering::Relaxed) != count {
                assert!(Instant::now() < by, "{} calls wait, not {count}", host.waiting.load(Ordering::Relaxed));
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    };
    let code = "import _host\nfor _ in range(10): _host.start('never', '[]')\n_host.wait(WAIT)\nreturn 1";
    let task = tokio::spawn(pool.run(job(&code.replace("WAIT", "-1")), host.clone()));
    waiting(10).await;
    task.abort();
    waiting(0).await;
    assert_eq!(returned(&pool.run(job(&code.replace("WAIT", "0.05")), host.clone()).await), 1);
    waiting(0).await;
    // Nor is a call waited for that was given up.
    let code = "
import _host
for n in range(10): _host.start('never', '[]')
_host.wait(0.2)
for n in range(10): _host.tell('sandbox.forget', f'[{n + 1}]')
import time
time.sleep(0.5)
return 1";
    let task = tokio::spawn(pool.run(job(code), host.clone()));
    waiting(10).await;
    waiting(0).await;
    assert!(!task.is_finished());
    assert_eq!(returned(&task.await.unwrap()), 1);
    // A call that took too long is not waited for on either side.
    let late =
        limited("import _host\n_host.start('never', '[]')\n_host.wait(-1)\n_host.wait(0.3)\nreturn 1", |limits| {
            limits.call_time = Duration::from_millis(50);
        });
    let task = tokio::spawn(pool.run(late, host.clone()));
    waiting(1).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!task.is_finished() && host.waiting.load(Ordering::Relaxed) == 0);
    assert_eq!(returned(&task.await.unwrap()), 1);
}

#[tokio::test]
async fn a_task_that_waits_for_calls_burns_nothing() {
    let code = "import _host\nfor _ in range(10): _host.start('never', '[]')\n_host.wait(SECONDS)\nreturn 1";
    let fuel = async |seconds: &str| {
        let outcome = sandbox().run(job(&code.replace("SECONDS", seconds)), Arc::new(Silent)).await;
        assert_eq!(returned(&outcome), 1);
        outcome.usage.fuel
    };
    let (short, long) = (fuel("0.1").await, fuel("0.5").await);
    assert!(long.abs_diff(short) < 10_000, "{short} for 0.1 s, {long} for 0.5 s");
}
