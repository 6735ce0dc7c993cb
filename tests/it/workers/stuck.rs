//! Workers that hang: they get no more jobs, and are replaced.

use super::*;
use crate::support::puppet;
use serpentarium::sandbox::{Job, Limits};

fn stop(process: u32) {
    let sent = Command::new("kill").args(["-STOP", &process.to_string()]).status();
    assert!(sent.expect("kill starts").success());
}

/// Longer than the silence after which a worker is killed, on a busy machine.
const LONG: Duration = Duration::from_secs(60);

async fn until_replaced(pool: &Pool, process: u32) {
    let deadline = Instant::now() + LONG;
    while is_alive(process) || pool.process_ids().len() < 2 {
        assert!(Instant::now() < deadline, "the worker was not replaced");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_worker_that_does_not_move_is_stopped() {
    let pool = pool(1);
    assert_eq!(returned(&run(&pool, "return 1").await), 1);
    let stuck = pool.process_ids()[0];
    stop(stuck);
    let outcome = run(&pool, "return 1").await;
    assert!(
        matches!(&outcome.result, Err(Failure::WorkerLost(reason)) if reason.contains("did not move")),
        "{:?}",
        outcome.result
    );
    assert_eq!(returned(&run(&pool, "return 2").await), 2);
    assert!(!is_alive(stuck));
}

#[tokio::test]
async fn a_stopped_worker_gets_no_jobs_and_is_replaced() {
    let pool = pool(2);
    for _ in 0..2 {
        assert_eq!(returned(&run(&pool, "return 1").await), 1);
    }
    let stuck = pool.process_ids()[0];
    stop(stuck);
    // The next ping of an idle worker is at most a second away.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    for _ in 0..20 {
        assert_eq!(returned(&run(&pool, "return 1").await), 1);
    }
    until_replaced(&pool, stuck).await;
}

#[tokio::test]
async fn short_limits_do_not_hide_a_stopped_worker() {
    let pool = pool(2);
    assert_eq!(returned(&run(&pool, "return 1").await), 1);
    let (stuck, begun) = (pool.process_ids()[0], Instant::now());
    stop(stuck);
    let mut failed = 0;
    let mut tasks = 0;
    while is_alive(stuck) {
        let short = limited("return 1", |limits| limits.time = Duration::from_secs(3));
        failed += usize::from(pool.run(short, Arc::new(NoHost)).await.result.is_err());
        tasks += 1;
        assert!(begun.elapsed() < LONG, "{tasks} tasks later it was not replaced");
    }
    assert!(failed <= 2, "{failed} of {tasks} tasks failed");
}

#[tokio::test]
async fn a_worker_that_keeps_a_task_too_long_is_stopped() {
    let pool = puppet::pool(1);
    let (process, begun) = (pool.process_ids()[0], Instant::now());
    let job = |seconds| Job::new("[]", Limits::default().time(Duration::from_secs(seconds)));
    // It answers every ping.
    let (late, other) =
        tokio::join!(pool.run(job(1), Arc::new(NoHost)), pool.run(job(60), Arc::new(NoHost)),);
    assert_eq!(exceeded(&late), Exceeded::Time(Duration::from_secs(1)));
    assert!(late.usage.duration >= Duration::from_secs(6) && begun.elapsed() < LONG);
    let end = format!("{:?}", other.result);
    assert!(end.contains("did not end a task whose time limit is 1 second"), "{end}");
    assert!(!is_alive(process));
}

#[tokio::test]
async fn a_frame_that_never_ends_is_bounded_in_time() {
    let pool = puppet::pool(1);
    let header = json!({"Call": {"job": "$job", "call": 1, "name": "a"}});
    let steps = json!([
        {"mute": true},
        {"send": header, "announce": 50_000_000},
        {"repeat": 1_000, "steps": [{"raw": "x"}, {"sleep": 0.1}]}
    ]);
    let outcome = pool.run(Job::new(steps.to_string(), Limits::default()), Arc::new(NoHost)).await;
    let end = format!("{:?}", outcome.result);
    assert!(end.contains("did not move for 15 s"), "{end}");
}

/// One bulk instruction keeps the event loop of a worker busy for hundreds of milliseconds.
#[tokio::test]
async fn a_busy_worker_is_not_replaced() {
    let pool = pool(2);
    assert_eq!(returned(&run(&pool, "return 1").await), 1);
    let processes = pool.process_ids();
    let busy = limited("while True: b'x' * 400_000_000", |limits| {
        limits.time = Duration::from_secs(4);
    });
    let busy: Vec<_> =
        (0..2).map(|_| tokio::spawn(pool.run(busy.clone(), Arc::new(NoHost)))).collect();
    while !busy.iter().all(tokio::task::JoinHandle::is_finished) {
        assert_eq!(returned(&run(&pool, "return 1").await), 1);
    }
    for busy in busy {
        let end = exceeded(&busy.await.expect("no panic"));
        assert!(matches!(end, Exceeded::Time(_) | Exceeded::Fuel(_)), "{end:?}");
    }
    assert_eq!(pool.process_ids(), processes);
}
