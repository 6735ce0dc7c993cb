//! The interface for the calls of tasks to the workflow around them.

use std::{future::Future, pin::Pin};

use serde_json::{Value, value::RawValue};

use crate::protocol::{DataRequest, NodeType};

/// The future of an answer. The broker drops it when the connection of the runner that waits for it
/// ends.
pub type HookFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Answers the calls of tasks in n8n's place. Every method has a default. `logNodeOutput` is no
/// call to a hook: it becomes [`TaskEvent::Print`](super::TaskEvent::Print) at the
/// [`TaskHandle`](super::TaskHandle).
pub trait Hooks: Send + Sync {
    /// Returns the settings that the runner gets for a submitted task. The default returns
    /// `settings` itself.
    fn submitted(&self, task_id: &str, settings: Box<RawValue>) -> Box<RawValue> {
        let _ = task_id;
        settings
    }

    /// Releases the task's data. The broker calls it after the drop of the task's
    /// [`TaskHandle`](super::TaskHandle).
    fn gone(&self, task_id: &str) {
        let _ = task_id;
    }

    /// Answers `runner:rpc`: the method's name, and a JSON list of parameters. `Ok(None)` is
    /// success without a value. An error is a JSON string or object. The default refuses every
    /// method.
    fn rpc(
        &self,
        task_id: &str,
        name: &str,
        params: Box<RawValue>,
    ) -> HookFuture<Result<Option<Box<RawValue>>, Value>> {
        let _ = (task_id, name, params);
        Box::pin(std::future::ready(Err("Method not allowed".into())))
    }

    /// Answers `runner:taskdatarequest`. The default is an empty object.
    fn task_data(&self, task_id: &str, request: DataRequest) -> HookFuture<Box<RawValue>> {
        let _ = (task_id, request);
        Box::pin(std::future::ready(raw("{}")))
    }

    /// Answers `runner:nodetypesrequest`. The default is an empty list.
    fn node_types(&self, task_id: &str, request: Vec<NodeType>) -> HookFuture<Box<RawValue>> {
        let _ = (task_id, request);
        Box::pin(std::future::ready(raw("[]")))
    }
}

/// The defaults of [`Hooks`]: no data, no methods.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoWorkflow;

impl Hooks for NoWorkflow {}

/// Converts a JSON literal.
fn raw(json: &'static str) -> Box<RawValue> {
    RawValue::from_string(json.into()).unwrap_or_else(|_| RawValue::NULL.to_owned())
}
