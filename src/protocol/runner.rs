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
    /// The nodes whose data is asked for.
    pub data_of_nodes: DataOfNodes,
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
    pub chunk: Option<Chunk>,
}

/// The nodes whose data is asked for: their names, or the text `all`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum DataOfNodes {
    /// Those of these names.
    Named(Vec<String>),
    /// All of them.
    All(AllNodes),
}

/// The text `all`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AllNodes {
    /// All of them.
    All,
}

/// A part of the input items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Chunk {
    /// The index of the first, from 0.
    pub start_index: u64,
    /// How many.
    pub count: u64,
}

/// The name of a node type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeType {
    /// Its name, for example `n8n-nodes-base.code`.
    pub name: String,
    /// Its version.
    pub version: f64,
}

/// Bytes of a payload from which on it is not copied.
const LARGE: usize = 64 << 10;

impl RunnerMessage {
    /// Reads one frame. Fields that its type does not have are ignored.
    ///
    /// # Errors
    /// The frame is not JSON, has an unknown `type`, or lacks a field.
    pub fn parse(frame: &str) -> Result<Self, ProtocolError> {
        let mut e = Envelope::<TaskData>::parse(frame)?;
        let data = e.data.take();
        Ok(match e.kind.as_str() {
            "runner:info" => {
                Self::Info { name: e.read("name", e.name)?, types: e.read("types", e.types)? }
            }
            "runner:taskoffer" => Self::TaskOffer {
                offer_id: e.read("offerId", e.offer_id)?,
                task_type: e.read("taskType", e.task_type)?,
                valid_for: e.read("validFor", e.valid_for)?,
            },
            "runner:taskaccepted" => Self::TaskAccepted { task_id: e.task_id()? },
            "runner:taskrejected" => {
                Self::TaskRejected { task_id: e.task_id()?, reason: e.reason() }
            }
            "runner:taskdone" => Self::TaskDone {
                task_id: e.task_id()?,
                data: data.ok_or_else(|| e.missing("data"))?,
            },
            "runner:taskerror" => {
                Self::TaskError { task_id: e.task_id()?, error: e.read("error", e.error)? }
            }
            "runner:rpc" => Self::Rpc {
                call_id: e.read("callId", e.call_id)?,
                task_id: e.task_id()?,
                name: e.read("name", e.name)?,
                params: e.raw("params", e.params)?,
            },
            "runner:taskdatarequest" => Self::TaskDataRequest {
                task_id: e.task_id()?,
                request_id: e.read("requestId", e.request_id)?,
                request_params: e.read("requestParams", e.request_params)?,
            },
            "runner:nodetypesrequest" => Self::NodeTypesRequest {
                task_id: e.task_id()?,
                request_id: e.read("requestId", e.request_id)?,
                request_params: e.read("requestParams", e.request_params)?,
            },
            _ => return Err(ProtocolError::UnknownType(e.kind)),
        })
    }

    /// The text of the frame.
    ///
    /// # Errors
    /// None in practice: every field serialises.
    pub fn to_frame(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }

    /// The text of the frame in parts, to be sent one after the other. A large payload is a part of its own, and not copied.
    ///
    /// # Errors
    /// As for [`to_frame`](Self::to_frame).
    pub fn into_parts(mut self) -> Result<Vec<String>, serde_json::Error> {
        let (field, payload) = match &mut self {
            Self::TaskDone { data, .. } => ("\"result\":", &mut data.result),
            Self::Rpc { params, .. } => ("\"params\":", params),
            _ => return Ok(vec![self.to_frame()?]),
        };
        if payload.get().len() < LARGE {
            return Ok(vec![self.to_frame()?]);
        }
        let payload = std::mem::replace(payload, RawValue::NULL.to_owned());
        let mut head = self.to_frame()?;
        // The field itself: within a text before it, the quotation marks would have a backslash before them.
        let place = head
            .find(field)
            .ok_or_else(|| serde::ser::Error::custom("the payload has no place"))?
            + field.len();
        let tail = head.split_off(place).split_off("null".len());
        Ok(vec![head, Box::<str>::from(payload).into(), tail])
    }
}
