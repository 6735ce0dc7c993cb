//! Host calls of a task, over the broker.
//!
//! A call is a `runner:rpc`, answered by a `broker:rpcresponse`. A request for workflow data is a
//! `runner:taskdatarequest`, answered by a `broker:taskdataresponse`.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use serde_json::value::RawValue;
use tokio::sync::oneshot;
use tracing::{debug, warn};

use super::message_queue::MessageQueue;
use crate::{
    protocol::{DataRequest, RunnerMessage, random_id},
    sandbox::{Answer, HostCalls, METHOD_NOT_ALLOWED, PendingAnswer, PendingCapacity},
    sync::lock,
};

/// The method of a print. Its answer carries nothing, so the task does not wait for it.
const LOG_NODE_OUTPUT: &str = "logNodeOutput";

/// The call that requests workflow data. n8n has no such method: the request has its own message
/// type.
const TASK_DATA: &str = "taskData";

/// Bytes of the largest data request: enough for the node names of a large workflow.
const MAX_DATA_REQUEST: usize = 64 << 10;

/// Data requests per task. One is usual, as the guest requests all data at once; the limit bounds
/// the load on n8n.
const MAX_DATA_REQUESTS: u32 = 16;

/// The methods that n8n answers. The runner sends no other.
const METHODS: [&str; 8] = [
    LOG_NODE_OUTPUT,
    "helpers.httpRequest",
    "helpers.assertBinaryData",
    "helpers.getBinaryDataBuffer",
    "helpers.prepareBinaryData",
    "helpers.setBinaryDataBuffer",
    "helpers.binaryToString",
    "helpers.request",
];

/// Prefix of a notification's id. The broker answers it, and no task waits for the answer.
const NOTIFICATION_PREFIX: char = 't';
/// Prefix of a call's id.
const CALL_PREFIX: char = 'c';
/// Prefix of a data request's id.
const DATA_REQUEST_PREFIX: char = 'd';

/// The host calls of one task.
#[derive(Debug)]
pub(crate) struct TaskCalls {
    task_id: String,
    queue: MessageQueue,
    /// The calls that wait for an answer. `None`: the task is over.
    waiting: Arc<Mutex<Option<AwaitedCalls>>>,
    /// Data requests so far.
    data_requests: AtomicU32,
    /// Whether the log holds the warning about dropped prints. It appears once per task.
    warned: AtomicBool,
}

type AwaitedCalls = HashMap<String, oneshot::Sender<Answer>>;

/// A call's entry in [`AwaitedCalls`]. Dropping it removes the entry: the call has its answer, or
/// the task stopped waiting.
struct CallRegistration {
    call_id: String,
    waiting: Arc<Mutex<Option<AwaitedCalls>>>,
}

impl Drop for CallRegistration {
    fn drop(&mut self) {
        if let Some(calls) = lock(&self.waiting).as_mut() {
            calls.remove(&self.call_id);
        }
    }
}

impl TaskCalls {
    /// Creates the calls of a task that is about to run.
    pub(crate) fn new(task_id: String, queue: MessageQueue) -> Self {
        Self {
            task_id,
            queue,
            waiting: Arc::new(Mutex::new(Some(AwaitedCalls::new()))),
            data_requests: AtomicU32::new(0),
            warned: AtomicBool::new(false),
        }
    }

    /// Passes the broker's answer to the waiting call. Drops it if no call waits.
    pub(crate) fn answer(&self, call_id: &str, answer: Answer) {
        if is_notification(call_id) {
            return;
        }
        let Some(caller) = lock(&self.waiting).as_mut().and_then(|calls| calls.remove(call_id))
        else {
            warn!(
                task_id = self.task_id,
                call_id, "dropped an answer to a call that is not waiting"
            );
            return;
        };
        // Fails if the guest stopped waiting.
        let _ = caller.send(answer);
    }

    /// Ends the calls: fails the waiting ones and sends no more.
    pub(crate) fn close(&self) {
        *lock(&self.waiting) = None;
    }

    fn is_open(&self) -> bool {
        lock(&self.waiting).is_some()
    }

    /// Returns the message of a call, and the id that its answer names.
    fn message(
        &self,
        name: &str,
        params: Box<RawValue>,
    ) -> Result<(String, RunnerMessage), String> {
        let task_id = self.task_id.clone();
        if name == TASK_DATA {
            let request_params = self.data_request(&params)?;
            let request_id = id_with_prefix(DATA_REQUEST_PREFIX);
            let message = RunnerMessage::TaskDataRequest {
                request_id: request_id.clone(),
                task_id,
                request_params,
            };
            return Ok((request_id, message));
        }
        if !METHODS.contains(&name) {
            return Err(METHOD_NOT_ALLOWED.into());
        }
        if !is_list(&params) {
            return Err("parameters must be a list".into());
        }
        let call_id = id_with_prefix(CALL_PREFIX);
        Ok((call_id.clone(), RunnerMessage::Rpc { call_id, task_id, name: name.into(), params }))
    }

    /// Checks a data request: its size, its form, and the number of requests of the task.
    fn data_request(&self, params: &RawValue) -> Result<DataRequest, String> {
        if params.get().len() > MAX_DATA_REQUEST {
            return Err(format!(
                "Invalid data request: it is larger than {} KiB",
                MAX_DATA_REQUEST >> 10
            ));
        }
        let [request] = serde_json::from_str::<[DataRequest; 1]>(params.get())
            .map_err(|error| format!("Invalid data request: {error}"))?;
        if self.data_requests.fetch_add(1, Ordering::Relaxed) >= MAX_DATA_REQUESTS {
            return Err(format!("Too many data requests: a task may make {MAX_DATA_REQUESTS}"));
        }
        Ok(request)
    }
}

impl HostCalls for TaskCalls {
    fn call(&self, name: &str, params: Box<RawValue>) -> PendingAnswer {
        let (call_id, message) = match self.message(name, params) {
            Ok(call) => call,
            Err(refused) => return Box::pin(std::future::ready(Err(refused))),
        };
        let (queue, waiting) = (self.queue.clone(), self.waiting.clone());
        Box::pin(async move {
            let over = || Err("the task is over".to_owned());
            queue.wait_for_capacity().await;
            let (caller, answer) = oneshot::channel();
            match lock(&waiting).as_mut() {
                Some(calls) => calls.insert(call_id.clone(), caller),
                None => return over(),
            };
            let _registration = CallRegistration { call_id, waiting };
            if let Err(error) = queue.send(message) {
                return Err(error.to_string());
            }
            answer.await.unwrap_or_else(|_| over())
        })
    }

    fn capacity(&self) -> Option<PendingCapacity> {
        let queue = self.queue.is_full().then(|| self.queue.clone())?;
        Some(Box::pin(async move { queue.wait_for_capacity().await }))
    }

    fn notify(&self, name: &str, params: Box<RawValue>) {
        if name != LOG_NODE_OUTPUT || !is_list(&params) || !self.is_open() {
            debug!(task_id = self.task_id, name, "dropped a notification");
            return;
        }
        let (call_id, task_id) = (id_with_prefix(NOTIFICATION_PREFIX), self.task_id.clone());
        let message = RunnerMessage::Rpc { call_id, task_id, name: name.into(), params };
        let sent = !self.queue.is_full() && self.queue.send(message).is_ok();
        if !sent && !self.warned.swap(true, Ordering::Relaxed) {
            warn!(
                task_id = self.task_id,
                "dropping prints: they are too large, or the broker reads too slowly"
            );
        }
    }
}

/// Returns a new id with this prefix.
fn id_with_prefix(prefix: char) -> String {
    format!("{prefix}{}", random_id())
}

/// Returns whether an id belongs to a notification. Its answer carries nothing.
pub(crate) fn is_notification(call_id: &str) -> bool {
    call_id.starts_with(NOTIFICATION_PREFIX)
}

fn is_list(params: &RawValue) -> bool {
    params.get().starts_with('[')
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;
    use tokio::sync::mpsc::UnboundedReceiver;

    use super::*;
    use crate::runner::message_queue::QueuedFrame;

    fn calls() -> (TaskCalls, UnboundedReceiver<QueuedFrame>) {
        let (queue, sent) = MessageQueue::new(1000);
        (TaskCalls::new("t1".into(), queue), sent)
    }

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.into()).unwrap()
    }

    fn next(sent: &mut UnboundedReceiver<QueuedFrame>) -> Option<serde_json::Value> {
        match sent.try_recv() {
            Ok(QueuedFrame::Text(frame)) => serde_json::from_str(&frame.concat()).ok(),
            _ => None,
        }
    }

    #[tokio::test]
    async fn a_call_gets_its_own_answer_and_the_first_one_counts() {
        let (calls, mut sent) = calls();
        let pending = tokio::spawn(calls.call("helpers.httpRequest", raw("[{}]")));
        tokio::time::sleep(Duration::from_millis(10)).await;
        let call = next(&mut sent).unwrap();
        assert_eq!((&call["taskId"], &call["params"]), (&json!("t1"), &json!([{}])));
        calls.answer("c-forged", Ok(raw("1")));
        calls.answer(call["callId"].as_str().unwrap(), Ok(raw("[7]")));
        calls.answer(call["callId"].as_str().unwrap(), Ok(raw("2")));
        assert_eq!(pending.await.unwrap().unwrap().get(), "[7]");
    }

    #[tokio::test]
    async fn disallowed_calls_are_not_sent() {
        let (calls, mut sent) = calls();
        assert_eq!(calls.call("helpers.evil", raw("[]")).await.unwrap_err(), METHOD_NOT_ALLOWED);
        assert!(calls.call("helpers.request", raw("{}")).await.is_err());
        let too_large = format!("[\"{}\"]", "x".repeat(1000));
        assert!(calls.call("helpers.request", raw(&too_large)).await.unwrap_err().contains("1000"));
        calls.notify(LOG_NODE_OUTPUT, raw(&too_large));
        calls.notify(LOG_NODE_OUTPUT, raw("1"));
        calls.notify("stdout", raw("[]"));
        assert!(next(&mut sent).is_none());
    }

    #[tokio::test]
    async fn a_data_request_is_a_message_of_its_own() {
        let (calls, mut sent) = calls();
        let request =
            r#"[{"dataOfNodes":["A"],"prevNode":false,"env":false,"input":{"include":true}}]"#;
        let pending = tokio::spawn(calls.call(TASK_DATA, raw(request)));
        tokio::time::sleep(Duration::from_millis(10)).await;
        let asked = next(&mut sent).unwrap();
        assert_eq!(asked["type"], "runner:taskdatarequest");
        assert_eq!(
            asked["requestParams"],
            json!({
                "dataOfNodes": ["A"], "prevNode": false, "env": false, "input": { "include": true }
            })
        );
        calls.answer(asked["requestId"].as_str().unwrap(), Ok(raw(r#"{"mode":"manual"}"#)));
        assert_eq!(pending.await.unwrap().unwrap().get(), r#"{"mode":"manual"}"#);
        for bad in ["[]", "[{}]", "{}", request.replace("input", "output").as_str()] {
            let error = calls.call(TASK_DATA, raw(bad)).await.unwrap_err();
            assert!(error.starts_with("Invalid data request: "), "{error}");
        }
        assert!(next(&mut sent).is_none());
    }

    #[tokio::test]
    async fn data_requests_are_limited_in_size_number_and_form() {
        let (calls, mut sent) = calls();
        let request = |nodes: &str, chunk: &str| {
            raw(&format!(
                r#"[{{"dataOfNodes":{nodes},"prevNode":false,"env":false,
                     "input":{{"include":true,"chunk":{chunk}}}}}]"#
            ))
        };
        let chunk = r#"{"startIndex":0,"count":1}"#;
        let large = format!(r#"["{}"]"#, "x".repeat(MAX_DATA_REQUEST));
        let bad = [
            ("7", chunk),
            (r#""some""#, chunk),
            (r#"[["A"]]"#, chunk),
            ("{}", chunk),
            (&large, chunk),
        ];
        let bad_chunks = ["7", "[]", r#"{"startIndex":-1,"count":1}"#, r#"{"startIndex":0}"#]
            .map(|chunk| ("[]", chunk));
        for (nodes, chunk) in bad.into_iter().chain(bad_chunks) {
            let error = calls.call(TASK_DATA, request(nodes, chunk)).await.unwrap_err();
            assert!(
                error.starts_with("Invalid data request: ") && error.len() < 300,
                "{nodes} {chunk}: {error}"
            );
        }
        let asked: Vec<_> = (0..=MAX_DATA_REQUESTS)
            .map(|_| tokio::spawn(calls.call(TASK_DATA, request(r#""all""#, chunk))))
            .collect();
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert_eq!(std::iter::from_fn(|| next(&mut sent)).count(), 16);
        calls.close();
        let mut answers = Vec::new();
        for asked in asked {
            answers.push(asked.await.unwrap().unwrap_err());
        }
        assert_eq!(answers.last().unwrap(), "Too many data requests: a task may make 16");
        assert!(answers[..16].iter().all(|answer| answer == "the task is over"));
    }

    #[tokio::test]
    async fn an_abandoned_call_leaves_no_entry() {
        let (calls, mut sent) = calls();
        let pending = tokio::spawn(calls.call("helpers.request", raw("[]")));
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert!(next(&mut sent).is_some());
        assert_eq!(lock(&calls.waiting).as_ref().unwrap().len(), 1);
        pending.abort();
        assert!(pending.await.is_err() && lock(&calls.waiting).as_ref().unwrap().is_empty());
    }

    #[tokio::test]
    async fn notifications_are_sent_in_order_until_the_task_ends() {
        let (calls, mut sent) = calls();
        calls.notify(LOG_NODE_OUTPUT, raw("[1]"));
        calls.notify(LOG_NODE_OUTPUT, raw("[2]"));
        let pending = tokio::spawn(calls.call("helpers.request", raw("[]")));
        tokio::time::sleep(Duration::from_millis(10)).await;
        calls.close();
        calls.notify(LOG_NODE_OUTPUT, raw("[3]"));
        assert!(
            pending.await.unwrap().is_err()
                && calls.call("helpers.request", raw("[]")).await.is_err()
        );
        let params: Vec<_> =
            std::iter::from_fn(|| next(&mut sent)).map(|call| call["params"].clone()).collect();
        assert_eq!(params, [json!([1]), json!([2]), json!([])]);
    }
}
