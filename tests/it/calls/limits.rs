//! Limits on the number, size and time of host calls, obeyed and violated.

use super::*;

const THREE: &str = "
import _host
for n in range(3): _host.start('after', '[0, 1]')
for n in range(3): _host.wait(-1)
for n in range(3): _host.start('never', '[]')
return 'done'
";

#[tokio::test]
async fn in_flight_obeyed() {
    assert_eq!(
        returned(&on_timed_host(limited(THREE, |limits| limits.in_flight = 3)).await),
        "done"
    );
}

#[tokio::test]
async fn in_flight_violated() {
    assert_eq!(
        exceeded(&on_timed_host(limited(THREE, |limits| limits.in_flight = 2)).await),
        Exceeded::InFlight(2)
    );
    assert_eq!(
        exceeded(&on_timed_host(limited(THREE, |limits| limits.in_flight = 0)).await),
        Exceeded::InFlight(0)
    );
}

#[tokio::test]
async fn calls_in_flight_count_as_calls_obeyed() {
    assert_eq!(returned(&on_timed_host(limited(THREE, |limits| limits.calls = 6)).await), "done");
}

#[tokio::test]
async fn calls_in_flight_count_as_calls_violated() {
    assert_eq!(
        exceeded(&on_timed_host(limited(THREE, |limits| limits.calls = 5)).await),
        Exceeded::Calls(5)
    );
}

const LARGE: &str = "
import _host
answer = '\"' + 'x' * 998 + '\"'
for n in range(4): _host.start('echo', answer)
return [ok or text for _, ok, text in (_host.wait(-1) for n in range(4))]
";

#[tokio::test]
async fn the_size_of_calls_in_flight_obeyed() {
    let outcome = sandbox()
        .run(limited(LARGE, |limits| limits.call_bytes = 1000), Arc::new(Echo::default()))
        .await;
    assert_eq!(returned(&outcome), json!([true, true, true, true]));
}

#[tokio::test]
async fn the_size_of_calls_in_flight_violated() {
    let small = |limits: &mut serpentarium::sandbox::Limits| limits.call_bytes = 999;
    let outcome = sandbox().run(limited(LARGE, small), Arc::new(Echo::default())).await;
    let refused = "The parameters of a host call are too large: the limit is 999 B";
    assert_eq!(returned(&outcome), json!([refused, refused, refused, refused]));
}

const UNANSWERED: &str = "
import _host
params = '\"' + 'x' * 998 + '\"'
for n in range(6): _host.start('never', params)
refused = []
while answer := _host.wait(0.05): refused.append(answer)
_host.notify('sandbox.forget', '[1]')
_host.start('never', params)
return [refused, _host.wait(0.05)]
";

#[tokio::test]
async fn parameters_of_calls_without_an_answer_have_a_limit_together() {
    let outcome = on_timed_host(limited(UNANSWERED, |limits| limits.call_bytes = 1000)).await;
    let text = "The parameters of calls without an answer are larger than 3.9 KiB together";
    assert_eq!(returned(&outcome), json!([[[5, false, text], [6, false, text]], null]));
}

#[tokio::test]
async fn an_abandoned_call_frees_its_place() {
    let code = "
import _host
for n in range(50):
    _host.notify('sandbox.forget', f'[{_host.start(\"never\", \"[]\")}]')
for bad in ('[1]', '[7000]', '[-1]', '[]', '{}', '7', '[1, 2]', '[\"1\"]'): _host.notify('sandbox.forget', bad)
number = _host.start('after', '[0, 1]')
assert _host.call('after', '[20, 1]') == '1'
_host.notify('sandbox.forget', f'[{number}]')
number = _host.start('after', '[0, 2]')
answer = _host.wait(-1)
try: _host.wait(-1)
except ValueError: return [answer == (number, True, '2'), _host.wait(0.01)]
";
    assert_eq!(
        returned(&on_timed_host(limited(code, |limits| limits.in_flight = 1)).await),
        json!([true, null])
    );
}

/// A host whose answers are larger than their parameters.
struct Large;

impl HostCalls for Large {
    fn call(&self, _name: &str, _params: Box<RawValue>) -> PendingAnswer {
        let answer = RawValue::from_string(format!("\"{}\"", "x".repeat(98))).expect("a text");
        Box::pin(std::future::ready(Ok(answer)))
    }

    fn notify(&self, _name: &str, _params: Box<RawValue>) {}
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
    let run =
        |size| sandbox().run(limited(code, |limits| limits.call_bytes = size), Arc::new(Large));
    assert_eq!(returned(&run(100).await), json!([100, 100]));
    let refused = "The answer of a host call is too large: the limit is 99 B";
    assert_eq!(returned(&run(99).await), json!([refused, refused]));
    let over_the_pipe =
        pool().run(limited(code, |limits| limits.call_bytes = 99), Arc::new(Large)).await;
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
    let outcome = sandbox()
        .run(limited(&code, |limits| limits.call_bytes = 1000), Arc::new(Echo::default()))
        .await;
    assert_eq!(returned(&outcome), json!([]));
}

#[tokio::test]
async fn answers_that_wait_to_be_fetched_violated() {
    let code = UNFETCHED.replace("COUNT", "6");
    let outcome = sandbox()
        .run(limited(&code, |limits| limits.call_bytes = 1000), Arc::new(Echo::default()))
        .await;
    let failed = returned(&outcome);
    let text = failed[0][2].as_str().unwrap();
    assert!(text.starts_with("The answers that wait to be fetched are larger than"), "{failed}");
}

#[tokio::test]
async fn the_time_of_a_call_obeyed() {
    let code = "import _host\n_host.start('after', '[50, 1]')\nreturn [_host.call('after', '[50, 2]'), _host.wait(-1)]";
    let outcome =
        on_timed_host(limited(code, |limits| limits.call_time = Duration::from_secs(1))).await;
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
    let outcome =
        on_timed_host(limited(code, |limits| limits.call_time = Duration::from_millis(100))).await;
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
    assert_eq!(
        exceeded(&on_timed_host(limited(code, |limits| limits.time = time)).await),
        Exceeded::Time(time)
    );
}
