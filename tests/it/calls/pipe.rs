//! Host calls over the pipe between parent and worker.

use super::*;

#[tokio::test]
async fn answers_of_several_tasks_are_kept_apart_over_the_pipe() {
    let pool = pool();
    let code = |task: usize| {
        format!(
            "import _host, json
for n in range(50): _host.start('after', json.dumps([(n * 7) % 50, [{task}, n + 1]]))
answers = [_host.wait(-1) for _ in range(50)]
return all(ok and json.loads(text) == [{task}, number] for number, ok, text in answers)"
        )
    };
    let host = Arc::new(TimedHost::default());
    let tasks: Vec<_> =
        (0..8).map(|task| tokio::spawn(pool.run(job(&code(task)), host.clone()))).collect();
    for task in tasks {
        assert_eq!(returned(&task.await.unwrap()), true);
    }
}

#[tokio::test]
async fn calls_in_flight_end_with_their_task_over_the_pipe() {
    let pool = pool();
    let host = Arc::new(TimedHost::default());
    let waiting = |count: usize| {
        let host = host.clone();
        async move {
            let by = Instant::now() + Duration::from_secs(10);
            while host.waiting.load(Ordering::Relaxed) != count {
                assert!(
                    Instant::now() < by,
                    "{} calls wait, not {count}",
                    host.waiting.load(Ordering::Relaxed)
                );
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    };
    let code =
        "import _host\nfor _ in range(10): _host.start('never', '[]')\n_host.wait(WAIT)\nreturn 1";
    let task = tokio::spawn(pool.run(job(&code.replace("WAIT", "-1")), host.clone()));
    waiting(10).await;
    task.abort();
    waiting(0).await;
    assert_eq!(returned(&pool.run(job(&code.replace("WAIT", "0.05")), host.clone()).await), 1);
    waiting(0).await;
    // The parent also drops abandoned calls.
    let code = "
import _host
for n in range(10): _host.start('never', '[]')
_host.wait(0.2)
for n in range(10): _host.notify('sandbox.forget', f'[{n + 1}]')
import time
time.sleep(0.5)
return 1";
    let task = tokio::spawn(pool.run(job(code), host.clone()));
    waiting(10).await;
    waiting(0).await;
    assert!(!task.is_finished());
    assert_eq!(returned(&task.await.unwrap()), 1);
    // Both sides drop a call that exceeds its time.
    let late = limited(
        "import _host\n_host.start('never', '[]')\n_host.wait(-1)\n_host.wait(0.3)\nreturn 1",
        |limits| {
            limits.call_time = Duration::from_millis(50);
        },
    );
    let task = tokio::spawn(pool.run(late, host.clone()));
    waiting(1).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!task.is_finished() && host.waiting.load(Ordering::Relaxed) == 0);
    assert_eq!(returned(&task.await.unwrap()), 1);
}

/// The parent counts as well, and kills a worker that is over a limit by one.
#[tokio::test]
async fn counts_at_their_limits_hold_over_the_pipe() {
    let pool = pool();
    let process = pool.process_ids()[0];
    let code = "
import _host
numbers = [_host.start('never', '[]') for _ in range(10)]
for n in range(300):
    _host.notify('sandbox.forget', f'[{numbers.pop(n % 10)}]')
    numbers.append(_host.start('after', '[0, 1]') if n % 3 else _host.start('never', '[]'))
    assert _host.call('after', '[0, 1]') == '1'
    if n % 3:
        assert _host.wait(-1)[0] == numbers.pop()
        numbers.append(_host.start('never', '[]'))
return len(numbers)";
    // Ten calls, then three requests in each round, and one more in two thirds of them.
    let limits = |limits: &mut serpentarium::sandbox::Limits| {
        (limits.in_flight, limits.calls) = (10, 10 + 300 * 3 + 200);
    };
    for _ in 0..3 {
        let outcome = pool.run(limited(code, limits), Arc::new(TimedHost::default())).await;
        assert_eq!(returned(&outcome), 10);
    }
    // Such a task ends with calls pending and with answers on their way.
    let code = "import _host\nfor n in range(20): _host.start('after', '[0, 1]')\nreturn 1";
    for _ in 0..50 {
        let outcome = pool.run(job(code), Arc::new(TimedHost::default())).await;
        assert_eq!(returned(&outcome), 1);
    }
    assert_eq!(pool.process_ids(), [process]);
}

#[tokio::test]
async fn a_task_that_waits_for_calls_consumes_no_fuel() {
    let code = "import _host\nfor _ in range(10): _host.start('never', '[]')\n_host.wait(SECONDS)\nreturn 1";
    let fuel = async |seconds: &str| {
        let outcome = sandbox().run(job(&code.replace("SECONDS", seconds)), Arc::new(Silent)).await;
        assert_eq!(returned(&outcome), 1);
        outcome.usage.fuel
    };
    let (short, long) = (fuel("0.1").await, fuel("0.5").await);
    assert!(long.abs_diff(short) < 10_000, "{short} for 0.1 s, {long} for 0.5 s");
}

/// Parameters count against the limit until their call is abandoned. Abandoned parameters may still
/// queue for the pipe, so backpressure must bound them.
#[tokio::test]
async fn parameters_of_abandoned_calls_do_not_accumulate() {
    let pool = pool();
    let code = "
import _host
params = '\"' + 'x' * 30_000_000 + '\"'
for _ in range(60): _host.notify('sandbox.forget', f\"[{_host.start('never', params)}]\")
return 1";
    assert_eq!(returned(&pool.run(job(code), Arc::new(TimedHost::default())).await), 1);
    let peak = peak_of(pool.process_ids()[0]).expect("the worker lives");
    assert!(peak < 600_000, "the worker had {peak} KiB");
}

/// Returns the peak resident memory of a process in KiB (`VmHWM`). None if it has ended.
fn peak_of(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .ok()
}
