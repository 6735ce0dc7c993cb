//! Failures: time-outs, cancels, lost and silent runners, oversized messages.

use super::*;

/// Time of a connection to register.
const REGISTRATION_TIME: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_task_that_runs_too_long_times_out_and_the_runner_is_told() {
    let broker = start(BrokerConfig { task_timeout: Duration::from_millis(60), ..config() }).await;
    let mut runner = Runner::register(&broker, "a").await;
    let task = broker.submit(settings());
    let (task_id, _) = runner.take_task().await;
    let cancel = runner.receive().await;
    assert_eq!(
        (&cancel["type"], &cancel["reason"]),
        (&json!("broker:taskcancel"), &json!("Task execution timed out"))
    );
    runner.done(&task_id, json!("too late")).await;
    assert!(matches!(result_of(task).await, TaskResult::TimedOut));
}

#[tokio::test]
async fn a_cancelled_task_ends_at_once_and_the_runner_is_told() {
    let broker = start(config()).await;
    let mut runner = Runner::register(&broker, "a").await;
    let task = broker.submit(settings());
    let (task_id, _) = runner.take_task().await;
    task.cancel();
    assert!(matches!(result_of(task).await, TaskResult::Cancelled));
    let cancel = runner.receive().await;
    assert_eq!(
        (&cancel["type"], &cancel["taskId"]),
        (&json!("broker:taskcancel"), &json!(task_id))
    );
}

#[tokio::test]
async fn a_dropped_handle_cancels_its_task_also_while_it_waits() {
    let broker = start(config()).await;
    drop(broker.submit(settings()));
    let second = broker.submit(settings());
    let mut runner = Runner::register(&broker, "a").await;
    assert_eq!(runner.take_task().await.0, second.id());
    drop(second);
    assert_eq!(runner.receive().await["type"], "broker:taskcancel");
}

#[tokio::test]
async fn a_lost_connection_fails_running_tasks_and_moves_the_others() {
    let broker = start(config()).await;
    let mut runner = Runner::register(&broker, "a").await;
    let running = broker.submit(settings());
    runner.take_task().await;
    let matched = broker.submit(settings());
    runner.offer("second", 5000).await;
    runner.accept_of("second").await;
    drop(runner);
    assert!(matches!(result_of(running).await, TaskResult::RunnerLost));
    let mut other = Runner::register(&broker, "b").await;
    assert_eq!(other.take_task().await.0, matched.id());
}

#[tokio::test]
async fn the_same_id_again_wins_and_the_old_connection_is_closed() {
    let broker = start(config()).await;
    let mut old = Runner::register(&broker, "same").await;
    old.offer("old", 5000).await;
    let mut new = Runner::register(&broker, "same").await;
    assert_eq!(old.closed().await, 1000);
    assert_eq!(broker.runners(), 1);
    let task = broker.submit(settings());
    let (task_id, _) = new.take_task().await;
    new.done(&task_id, json!(1)).await;
    assert_eq!(done(&result_of(task).await), "1");
}

#[tokio::test]
async fn a_runner_that_does_not_answer_pings_is_cut_off() {
    let broker = start(BrokerConfig { heartbeat: Duration::from_millis(50), ..config() }).await;
    let mut runner = Runner::register(&broker, "a").await;
    let task = broker.submit(settings());
    runner.take_task().await;
    // A client that does not read does not answer pings.
    assert!(matches!(result_of(task).await, TaskResult::RunnerLost));
    assert_eq!(runner.closed().await, 1002);
}

#[tokio::test]
async fn a_runner_that_answers_pings_stays() {
    let broker = start(BrokerConfig { heartbeat: Duration::from_millis(30), ..config() }).await;
    let mut runner = Runner::register(&broker, "a").await;
    assert!(timeout(Duration::from_millis(300), runner.receive()).await.is_err());
    assert_eq!(broker.runners(), 1);
}

#[tokio::test]
async fn registration_time_obeyed_keeps_the_connection() {
    let broker = start(config()).await;
    let mut runner = Runner::register(&broker, "a").await;
    tokio::time::sleep(REGISTRATION_TIME + A_MOMENT).await;
    let task = broker.submit(settings());
    let (task_id, _) = runner.take_task().await;
    runner.done(&task_id, json!(1)).await;
    assert_eq!(done(&result_of(task).await), "1");
}

#[tokio::test]
async fn registration_time_violated_ends_the_connection() {
    let broker = start(config()).await;
    let mut runner = Runner::connect(&broker, "a").await;
    assert_eq!(runner.receive().await["type"], "broker:inforequest");
    tokio::time::sleep(REGISTRATION_TIME).await;
    assert_eq!(runner.closed().await, 1008);
}

#[tokio::test]
async fn a_message_over_the_limit_ends_the_connection() {
    let broker = start(BrokerConfig { max_payload: bytesize::ByteSize::kib(64), ..config() }).await;
    let mut runner = Runner::register(&broker, "a").await;
    let task = broker.submit(settings());
    let (task_id, _) = runner.take_task().await;
    runner.done(&task_id, json!("x".repeat(128 << 10))).await;
    assert!(matches!(result_of(task).await, TaskResult::RunnerLost));
}

#[tokio::test]
async fn large_messages_pass_in_both_directions() {
    let broker = start(config()).await;
    let mut runner = Runner::register(&broker, "a").await;
    let text = "x".repeat(8 << 20);
    let task = broker.submit(raw(&json!({"code": text})));
    let (task_id, received) = runner.take_task().await;
    runner.done(&task_id, received["code"].clone()).await;
    assert_eq!(done(&result_of(task).await).len(), text.len() + 2);
}
