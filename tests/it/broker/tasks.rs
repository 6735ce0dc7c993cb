//! Tasks from offer to result.

use super::*;

#[tokio::test]
async fn a_task_goes_from_offer_to_result() {
    let broker = start(config()).await;
    let mut runner = Runner::register(&broker, "a").await;
    soon(broker.runner_registered()).await;
    assert_eq!(broker.runners(), 1);
    let task = broker.submit(settings());
    let (task_id, received) = runner.take_task().await;
    assert_eq!(task_id, task.id());
    assert_eq!(received, serde_json::from_str::<Value>(settings().get()).unwrap());
    runner.done(&task_id, json!([{"json": {"n": 1}}])).await;
    assert_eq!(done(&result_of(task).await), r#"[{"json":{"n":1}}]"#);
}

#[tokio::test]
async fn an_error_reaches_the_caller_with_its_details() {
    let broker = start(config()).await;
    let mut runner = Runner::register(&broker, "a").await;
    let task = broker.submit(settings());
    let (task_id, _) = runner.take_task().await;
    let error = json!({"message": "boom", "lineNumber": 3});
    runner.send(json!({"type": "runner:taskerror", "taskId": task_id, "error": error})).await;
    let TaskResult::Failed(failure) = result_of(task).await else { panic!("it failed") };
    assert_eq!((failure.message.as_str(), &failure.details["lineNumber"]), ("boom", &json!(3)));
}

#[tokio::test]
async fn binary_frames_are_as_good_as_text() {
    let broker = start(config()).await;
    let mut runner = Runner::connect(&broker, "a").await;
    runner.receive().await;
    let info = json!({"type": "runner:info", "name": "Test", "types": ["python"]});
    runner.0.send(Message::Binary(info.to_string().into_bytes().into())).await.unwrap();
    assert_eq!(runner.receive().await["type"], "broker:runnerregistered");
}

#[tokio::test]
async fn frames_before_the_info_are_ignored() {
    let broker = start(config()).await;
    let _task = broker.submit(settings());
    let mut runner = Runner::connect(&broker, "a").await;
    runner.receive().await;
    runner.offer("early", 5000).await;
    runner.silence().await;
    runner.send(json!({"type": "runner:info", "name": "Test", "types": ["python"]})).await;
    assert_eq!(runner.receive().await["type"], "broker:runnerregistered");
    runner.silence().await;
    runner.offer("late", 5000).await;
    runner.accept_of("late").await;
}

#[tokio::test]
async fn meaningless_frames_are_dropped_and_the_connection_lives_on() {
    let broker = start(config()).await;
    let mut runner = Runner::register(&broker, "a").await;
    for text in
        ["", "{", "[]", "{}", r#"{"type": "runner:dance"}"#, r#"{"type": "runner:taskoffer"}"#]
    {
        runner.text(text).await;
    }
    runner.0.send(Message::Binary(vec![0xff, 0xfe].into())).await.unwrap();
    runner.done("no such task", json!(1)).await;
    let task = broker.submit(settings());
    let (task_id, _) = runner.take_task().await;
    runner.done(&task_id, json!(2)).await;
    assert_eq!(done(&result_of(task).await), "2");
}

#[tokio::test]
async fn tasks_are_spread_over_runners_and_kept_in_order() {
    let broker = start(config()).await;
    let (mut one, mut two) =
        (Runner::register(&broker, "1").await, Runner::register(&broker, "2").await);
    one.offer("1a", 5000).await;
    one.offer("1b", 5000).await;
    two.offer("2a", 5000).await;
    tokio::time::sleep(A_MOMENT).await;
    let tasks = [broker.submit(settings()), broker.submit(settings()), broker.submit(settings())];
    assert_eq!(one.accept_of("1a").await, tasks[0].id());
    assert_eq!(two.accept_of("2a").await, tasks[1].id());
    assert_eq!(one.accept_of("1b").await, tasks[2].id());
}

#[tokio::test]
async fn a_rejected_task_is_matched_again_at_once() {
    let broker = start(config()).await;
    let mut runner = Runner::register(&broker, "a").await;
    let task = broker.submit(settings());
    runner.offer("1", 5000).await;
    runner.offer("2", 5000).await;
    let task_id = runner.accept_of("1").await;
    runner.answer("runner:taskrejected", &task_id).await;
    assert_eq!(runner.accept_of("2").await, task_id);
    runner.answer("runner:taskaccepted", &task_id).await;
    assert_eq!(runner.receive().await["type"], "broker:tasksettings");
    runner.done(&task_id, json!(1)).await;
    assert_eq!(done(&result_of(task).await), "1");
}

#[tokio::test]
async fn an_expired_offer_is_not_accepted() {
    let broker = start(config()).await;
    let mut runner = Runner::register(&broker, "a").await;
    runner.offer("short", 20).await;
    runner.offer("unlimited", -1).await;
    tokio::time::sleep(A_MOMENT).await;
    let _task = broker.submit(settings());
    runner.accept_of("unlimited").await;
}

#[tokio::test]
async fn a_late_answer_voids_the_offers_and_moves_the_task() {
    let broker = start(BrokerConfig { ack_window: Duration::from_millis(60), ..config() }).await;
    let mut slow = Runner::register(&broker, "slow").await;
    slow.offer("1", 5000).await;
    slow.offer("2", 5000).await;
    let task = broker.submit(settings());
    let task_id = slow.accept_of("1").await;
    let cancel = slow.receive().await;
    assert_eq!(cancel["type"], "broker:taskcancel");
    assert_eq!(cancel["taskId"], task_id.as_str());
    assert_eq!(cancel["reason"], "Acknowledgement window elapsed");
    slow.silence().await;
    let mut quick = Runner::register(&broker, "quick").await;
    assert_eq!(quick.take_task().await.0, task_id);
    slow.answer("runner:taskaccepted", &task_id).await;
    slow.done(&task_id, json!("not mine")).await;
    slow.silence().await;
    quick.done(&task_id, json!("mine")).await;
    assert_eq!(done(&result_of(task).await), r#""mine""#);
}

#[tokio::test]
async fn three_late_answers_in_a_row_end_the_connection() {
    let broker = start(BrokerConfig { ack_window: Duration::from_millis(20), ..config() }).await;
    let mut runner = Runner::register(&broker, "a").await;
    let _task = broker.submit(settings());
    for offer in ["1", "2", "3"] {
        runner.offer(offer, 5000).await;
        runner.accept_of(offer).await;
        assert_eq!(runner.receive().await["type"], "broker:taskcancel");
    }
    assert_eq!(runner.closed().await, 1002);
}
