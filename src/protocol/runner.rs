//! What a runner says to a broker.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{ProtocolError, wire::Envelope};

/// A message from the runner.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum RunnerMessage {
    /// The answer to `broker:inforequest`.
    #[serde(rename = "runner:info")]
    Info {
        /// A name for people.
        name: String,
        /// The task types that the runner takes: `["python"]`.
        types: Vec<String>,
    },
    /// A free place for one task.
    #[serde(rename = "runner:taskoffer")]
    TaskOffer {
        /// The offer, to be named in the accept.
        offer_id: String,
        /// `python`.
        task_type: String,
        /// Milliseconds that the offer stands; -1 for ever.
        valid_for: i64,
    },
    /// The runner takes the matched task.
    #[serde(rename = "runner:taskaccepted")]
    TaskAccepted {
        /// The task.
        task_id: String,
    },
    /// The runner does not take the matched task; the broker matches it again.
    #[serde(rename = "runner:taskrejected")]
    TaskRejected {
        /// The task.
        task_id: String,
        /// Why, for people.
        reason: String,
    },
    /// The task is done.
    #[serde(rename = "runner:taskdone")]
    TaskDone {
        /// The task.
        task_id: String,
        /// Its result.
        data: TaskData,
    },
    /// The task failed.
    #[serde(rename = "runner:taskerror")]
    TaskError {
        /// The task.
        task_id: String,
        /// Why. Every field lands in n8n's execution data.
        error: TaskFailure,
    },
    /// A call from a task.
    #[serde(rename = "runner:rpc")]
    Rpc {
        /// The call, to be named in the answer.
        call_id: String,
        /// The task that calls.
        task_id: String,
        /// The method.
        name: String,
        /// A JSON list.
        params: Box<RawValue>,
    },
    /// Asks for data of the workflow around the task.
    #[serde(rename = "runner:taskdatarequest")]
    TaskDataRequest {
        /// The task that asks.
        task_id: String,
        /// The request, to be named in the answer.
        request_id: String,
        /// The parts that are asked for.
        request_params: DataRequest,
    },
    /// Asks for node types.
    #[serde(rename = "runner:nodetypesrequest")]
    NodeTypesRequest {
        /// The task that asks.
        task_id: String,
        /// The request, to be named in the answer.
        request_id: String,
        /// The node types that are asked for.
        request_params: Vec<NodeType>,
    },
}

/// The `data` of a `runner:taskdone`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskData {
    /// The result, as user code returned it.
    pub result: Box<RawValue>,
    /// Custom execution data that the task set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_data: Option<BTreeMap<String, String>>,
    /// Workflow static data that the task changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub static_data: Option<Box<RawValue>>,
}

/// The `error` of a `runner:taskerror`: a message, and whatever else explains it (`description`, `lineNumber`, …).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TaskFailure {
    /// The text that a user sees first. n8n shows "Unknown error" where it is missing.
    pub message: String,
    /// Everything else.
    #[serde(flatten)]
    pub details: serde_json::Map<String, serde_json::Value>,
}

/// Which parts of a task's surroundings are asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DataRequest {
    /// The names of nodes, or the text `all`.
    pub data_of_nodes: serde_json::Value,
    /// Whether the node before this one is asked for.
    pub prev_node: bool,
    /// The input items.
    pub input: InputRequest,
    /// Whether n8n's environment is asked for.
    pub env: bool,
}

/// Which input items are asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputRequest {
    /// Whether any are.
    pub include: bool,
    /// `{startIndex, count}` for a part of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chunk: Option<serde_json::Value>,
}

/// The name of a node type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeType {
    /// Its name, for example `n8n-nodes-base.code`.
    pub name: String,
    /// Its version.
    pub version: f64,
}

impl RunnerMessage {
    /// Reads one frame. Fields that its type does not have are ignored.
    ///
    /// # Errors
    /// The frame is not JSON, has an unknown `type`, or lacks a field.
    pub fn parse(frame: &str) -> Result<Self, ProtocolError> {
        let mut e = Envelope::parse(frame)?;
        let task_id = e.task_id.take();
        let task_id = |e: &Envelope| e.need("taskId", task_id);
        Ok(match e.kind.as_str() {
            "runner:info" => {
                Self::Info { name: e.need("name", e.name.clone())?, types: e.need("types", e.types.clone())? }
            }
            "runner:taskoffer" => Self::TaskOffer {
                offer_id: e.need("offerId", e.offer_id.clone())?,
                task_type: e.need("taskType", e.task_type.clone())?,
                valid_for: e.need("validFor", e.valid_for)?,
            },
            "runner:taskaccepted" => Self::TaskAccepted { task_id: task_id(&e)? },
            "runner:taskrejected" => {
                Self::TaskRejected { reason: e.reason.take().unwrap_or_default(), task_id: task_id(&e)? }
            }
            "runner:taskdone" => {
                Self::TaskDone { data: serde_json::from_str(e.need("data", e.data)?.get())?, task_id: task_id(&e)? }
            }
            "runner:taskerror" => {
                Self::TaskError { error: e.need("error", e.error.clone())?, task_id: task_id(&e)? }
            }
            "runner:rpc" => Self::Rpc {
                call_id: e.need("callId", e.call_id.clone())?,
                name: e.need("name", e.name.clone())?,
                params: e.need("params", e.params)?.to_owned(),
                task_id: task_id(&e)?,
            },
            "runner:taskdatarequest" => Self::TaskDataRequest {
                request_id: e.need("requestId", e.request_id.clone())?,
                request_params: e.data_request()?,
                task_id: task_id(&e)?,
            },
            "runner:nodetypesrequest" => Self::NodeTypesRequest {
                request_id: e.need("requestId", e.request_id.clone())?,
                request_params: e.node_type_request()?,
                task_id: task_id(&e)?,
            },
            _ => return Err(ProtocolError::UnknownType(e.kind)),
        })
    }
}
