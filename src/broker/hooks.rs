//! What a task asks of the workflow around it, and who answers.

use std::{future::Future, pin::Pin};

use serde_json::{Value, value::RawValue};

use crate::protocol::{DataRequest, NodeType};

/// An answer that may take a while. Dropped when the runner that waits for it is gone.
pub type Reply<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Answers what tasks ask, in the place of n8n. Every method has an answer of its own; `logNodeOutput` never gets here, it
/// goes to the [`TaskHandle`](super::TaskHandle) as [`TaskEvent::Print`](super::TaskEvent::Print).
pub trait Hooks: Send + Sync {
    /// A task was submitted with these settings. Returns those that its runner gets: unless overridden, the same.
    fn submitted(&self, task_id: &str, settings: Box<RawValue>) -> Box<RawValue> {
        let _ = task_id;
        settings
    }

    /// Nobody is interested in the task any more: its [`TaskHandle`](super::TaskHandle) is gone.
    fn gone(&self, task_id: &str) {
        let _ = task_id;
    }

    /// A `runner:rpc` (protocol, section 6): the method's name, and a JSON list of parameters. `Ok(None)` is a success
    /// without a value; an error is a text or an object. Unless overridden, no method is allowed.
    fn rpc(
        &self,
        task_id: &str,
        name: &str,
        params: Box<RawValue>,
    ) -> Reply<Result<Option<Box<RawValue>>, Value>> {
        let _ = (task_id, name, params);
        Box::pin(std::future::ready(Err("Method not allowed".into())))
    }

    /// A `runner:taskdatarequest`. Unless overridden, an empty object.
    fn task_data(&self, task_id: &str, request: DataRequest) -> Reply<Box<RawValue>> {
        let _ = (task_id, request);
        Box::pin(std::future::ready(raw("{}")))
    }

    /// A `runner:nodetypesrequest`. Unless overridden, an empty list.
    fn node_types(&self, task_id: &str, request: Vec<NodeType>) -> Reply<Box<RawValue>> {
        let _ = (task_id, request);
        Box::pin(std::future::ready(raw("[]")))
    }
}

/// No workflow around the task: nothing is known, nothing is allowed.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoWorkflow;

impl Hooks for NoWorkflow {}

/// A JSON text that stands in this file.
fn raw(json: &'static str) -> Box<RawValue> {
    RawValue::from_string(json.into()).unwrap_or_else(|_| RawValue::NULL.to_owned())
}
