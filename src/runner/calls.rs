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

use serde_json::value::{RawValue, to_raw_value};
use tokio::sync::oneshot;
use tracing::{debug, warn};

use super::{
    error_output::{ErrorOutput, MARK},
    message_queue::MessageQueue,
    variables::MAX_STDERR_VAR,
};
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
    error_output: Mutex<ErrorOutput>,
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
    /// Creates the calls of a task that is about to run. `stderr` is its limit of standard error.
    pub(crate) fn new(task_id: String, queue: MessageQueue, stderr: u64) -> Self {
        Self {
            task_id,
            queue,
            waiting: Arc::new(Mutex::new(Some(AwaitedCalls::new()))),
            data_requests: AtomicU32::new(0),
            error_output: Mutex::new(ErrorOutput::new(stderr)),
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

    /// Ends the calls of a task that ran to its end.
    pub(crate) fn finish(&self) {
        let last = lock(&self.error_output).end(MAX_STDERR_VAR);
        if let Some(line) = last {
            self.show_error_line(&line);
        }
        self.close();
    }

    /// Ends the calls: fails the waiting ones and sends no more.
    pub(crate) fn close(&self) {
        *lock(&self.waiting) = None;
    }

    /// Shows a line of standard error in the node's console and in the log.
    fn show_error_line(&self, line: &str) {
        debug!(task_id = self.task_id, "standard error of a task: {line}");
        // A list of text always serialises.
        if let Ok(params) = to_raw_value(&[format!("{MARK}{line}")]) {
            self.print(params);
        }
    }

    /// Sends a print. Drops it if the broker reads too slowly.
    fn print(&self, params: Box<RawValue>) {
        let (call_id, task_id) = (id_with_prefix(NOTIFICATION_PREFIX), self.task_id.clone());
        let name = LOG_NODE_OUTPUT.into();
        let message = RunnerMessage::Rpc { call_id, task_id, name, params };
        let sent = !self.queue.is_full() && self.queue.send(message).is_ok();
        if !sent && !self.warned.swap(true, Ordering::Relaxed) {
            warn!(
                task_id = self.task_id,
                "dropping prints: they are too large, or the broker reads too slowly"
            );
        }
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
        self.print(params);
    }

    fn stderr(&self, bytes: &[u8]) {
        if self.is_open() {
            let lines = lock(&self.error_output).lines(bytes);
            lines.iter().for_each(|line| self.show_error_line(line));
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
mod tests;
