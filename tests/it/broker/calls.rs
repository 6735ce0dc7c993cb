//! Requests of running tasks.

use super::*;

fn rpc(task_id: &str, name: &str) -> Value {
    json!({"type": "runner:rpc", "callId": "c", "taskId": task_id, "name": name, "params": ["'hello'", "2"]})
}

#[tokio::test]
async fn prints_are_streamed_to_the_caller_and_answered() {
    let broker = start(config()).await;
    let mut runner = Runner::register(&broker, "a").await;
    let mut task = broker.submit(settings());
    let (task_id, _) = runner.take_task().await;
    runner.send(rpc(&task_id, "logNodeOutput")).await;
    let Some(TaskEvent::Print(print)) = soon(task.event()).await else { panic!("a print first") };
    assert_eq!(print_text(&print), "hello 2");
    let answer = runner.receive().await;
    let expected = json!({"type": "broker:rpcresponse", "callId": "c", "taskId": task_id, "status": "success"});
    assert_eq!(answer, expected);
    runner.done(&task_id, json!(null)).await;
    assert!(matches!(soon(task.event()).await, Some(TaskEvent::Ended(_))));
    assert!(soon(task.event()).await.is_none());
}

#[tokio::test]
async fn other_methods_are_not_allowed_and_foreign_tasks_not_answered() {
    let broker = start(config()).await;
    let mut runner = Runner::register(&broker, "a").await;
    let _task = broker.submit(settings());
    let (task_id, _) = runner.take_task().await;
    runner.send(rpc("another", "helpers.httpRequest")).await;
    runner.send(rpc("another", "logNodeOutput")).await;
    runner.silence().await;
    runner.send(rpc(&task_id, "helpers.httpRequest")).await;
    let answer = runner.receive().await;
    assert_eq!(
        (&answer["status"], &answer["data"]),
        (&json!("error"), &json!("Method not allowed"))
    );
}

#[tokio::test]
async fn data_requests_without_a_workflow_get_empty_answers() {
    let broker = start(config()).await;
    let mut runner = Runner::register(&broker, "a").await;
    let _task = broker.submit(settings());
    let (task_id, _) = runner.take_task().await;
    let params =
        json!({"dataOfNodes": "all", "prevNode": true, "input": {"include": true}, "env": false});
    runner
        .send(json!({"type": "runner:taskdatarequest", "taskId": task_id, "requestId": "r", "requestParams": params}))
        .await;
    let expected =
        json!({"type": "broker:taskdataresponse", "taskId": task_id, "requestId": "r", "data": {}});
    assert_eq!(runner.receive().await, expected);
    let params = json!([{"name": "n8n-nodes-base.code", "version": 2}]);
    runner
        .send(json!({"type": "runner:nodetypesrequest", "taskId": task_id, "requestId": "s", "requestParams": params}))
        .await;
    let expected =
        json!({"type": "broker:nodetypes", "taskId": task_id, "requestId": "s", "nodeTypes": []});
    assert_eq!(runner.receive().await, expected);
}

/// A workflow whose method answers only after a request for task data.
#[derive(Default)]
struct Workflow(Arc<Notify>);

impl Hooks for Workflow {
    fn rpc(
        &self,
        _: &str,
        name: &str,
        params: Box<RawValue>,
    ) -> HookFuture<Result<Option<Box<RawValue>>, Value>> {
        let (known, asked) = (name == "helpers.httpRequest", self.0.clone());
        Box::pin(async move {
            asked.notified().await;
            if known { Ok(Some(params)) } else { Err("no".into()) }
        })
    }

    fn task_data(&self, _: &str, request: DataRequest) -> HookFuture<Box<RawValue>> {
        self.0.notify_one();
        Box::pin(async move { raw(&json!({"env": request.env})) })
    }

    fn node_types(&self, _: &str, request: Vec<NodeType>) -> HookFuture<Box<RawValue>> {
        Box::pin(async move { raw(&json!(request.len())) })
    }
}

#[tokio::test]
async fn hooks_answer_for_n8n_without_blocking_the_connection() {
    let broker = start(BrokerConfig { hooks: Arc::new(Workflow::default()), ..config() }).await;
    let mut runner = Runner::register(&broker, "a").await;
    let _task = broker.submit(settings());
    let (task_id, _) = runner.take_task().await;
    runner.send(rpc(&task_id, "helpers.httpRequest")).await;
    let params =
        json!({"dataOfNodes": [], "prevNode": false, "input": {"include": false}, "env": true});
    runner
        .send(json!({"type": "runner:taskdatarequest", "taskId": task_id, "requestId": "r", "requestParams": params}))
        .await;
    let answers = [runner.receive().await, runner.receive().await];
    let answer =
        |kind: &str| answers.iter().find(|answer| answer["type"] == kind).expect("an answer");
    assert_eq!(answer("broker:taskdataresponse")["data"], json!({"env": true}));
    let rpc = answer("broker:rpcresponse");
    assert_eq!((&rpc["status"], &rpc["data"]), (&json!("success"), &json!(["'hello'", "2"])));
}
