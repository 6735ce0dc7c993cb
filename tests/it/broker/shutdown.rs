//! Draining and shutdown, with thousands of tasks.

use super::*;

#[tokio::test]
async fn draining_lets_tasks_finish_ends_those_that_wait_and_closes() {
    let broker = start(config()).await;
    let mut runner = Runner::register(&broker, "a").await;
    let running = broker.submit(settings());
    let (task_id, _) = runner.take_task().await;
    let waiting = broker.submit(settings());
    let runner_side = async {
        assert_eq!(runner.receive().await["type"], "broker:drain");
        runner.offer("ignored", 5000).await;
        runner.done(&task_id, json!("finished")).await;
        assert_eq!(runner.closed().await, 1001);
    };
    tokio::join!(soon(broker.drain(SOON)), runner_side);
    assert_eq!(done(&result_of(running).await), r#""finished""#);
    assert!(matches!(result_of(waiting).await, TaskResult::BrokerClosed));
    assert!(matches!(result_of(broker.submit(settings())).await, TaskResult::BrokerClosed));
    let authorization = format!("Bearer {}", grant(&broker).await);
    assert_eq!(open(&broker, "/runners/_ws?id=a", Some(&authorization)).await.err(), Some(503));
}

#[tokio::test]
async fn draining_gives_up_on_tasks_that_do_not_finish() {
    let broker = start(config()).await;
    let mut runner = Runner::register(&broker, "a").await;
    let task = broker.submit(settings());
    runner.take_task().await;
    soon(broker.drain(Duration::from_millis(30))).await;
    assert!(matches!(result_of(task).await, TaskResult::BrokerClosed));
    assert_eq!(runner.closed().await, 1001);
}

#[tokio::test]
async fn a_shutdown_says_good_bye_and_frees_the_port() {
    let broker = start(config()).await;
    let uri = broker.uri();
    let mut runner = Runner::register(&broker, "a").await;
    let task = broker.submit(settings());
    runner.take_task().await;
    let code = tokio::spawn(async move { runner.closed().await });
    soon(broker.shutdown()).await;
    assert_eq!(soon(code).await.unwrap(), 1001);
    assert!(matches!(result_of(task).await, TaskResult::BrokerClosed));
    assert!(TcpStream::connect(uri.trim_start_matches("http://")).await.is_err());
}

#[tokio::test]
async fn thousands_of_tasks_pass_in_flight_at_once() {
    let broker = start(config()).await;
    let mut runner = Runner::register(&broker, "a").await;
    let tasks: Vec<_> = (0..3000).map(|_| broker.submit(settings())).collect();
    let runner_side = async {
        let mut offer = 0;
        for _ in 0..64 {
            offer += 1;
            runner.offer(&offer.to_string(), 5000).await;
        }
        let mut finished = 0;
        while finished < 3000 {
            let message = runner.receive().await;
            let task_id = message["taskId"].as_str().unwrap().to_owned();
            if message["type"] == "broker:taskofferaccept" {
                runner.answer("runner:taskaccepted", &task_id).await;
            } else {
                runner.done(&task_id, json!(finished)).await;
                finished += 1;
                offer += 1;
                runner.offer(&offer.to_string(), 5000).await;
            }
        }
    };
    let results = async {
        for task in tasks {
            assert!(matches!(result_of(task).await, TaskResult::Done(_)));
        }
    };
    tokio::join!(runner_side, results);
}
