//! Messages from a runner to a broker.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
    error::ProtocolError,
    request::{DataRequest, NodeType},
    wire::Envelope,
};

/// A message from the runner.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum RunnerMessage {
    /// Answers `broker:inforequest`.
    #[serde(rename = "runner:info")]
    Info {
        /// A name for people.
        name: String,
        /// Task types that the runner runs: `["python"]`.
        types: Vec<String>,
    },
    /// Offers to run one task.
    #[serde(rename = "runner:taskoffer")]
    TaskOffer {
        /// The offer, which the accept names.
        offer_id: String,
        /// Task type of the offer: `python`.
        task_type: String,
        /// Validity in milliseconds. -1: no limit.
        valid_for: i64,
    },
    /// Accepts the assigned task.
    #[serde(rename = "runner:taskaccepted")]
    TaskAccepted {
        /// The task.
        task_id: String,
    },
    /// Rejects the assigned task. The broker assigns it again.
    #[serde(rename = "runner:taskrejected")]
    TaskRejected {
        /// The task.
        task_id: String,
        /// The reason, a text for people.
        reason: String,
    },
    /// Reports a result.
    #[serde(rename = "runner:taskdone")]
    TaskDone {
        /// The task.
        task_id: String,
        /// The result.
        data: TaskData,
    },
    /// Reports a failure.
    #[serde(rename = "runner:taskerror")]
    TaskError {
        /// The task.
        task_id: String,
        /// The failure. n8n stores every field in its execution data.
        error: TaskFailure,
    },
    /// Calls a method of n8n for a task.
    #[serde(rename = "runner:rpc")]
    Rpc {
        /// The call, which the answer names.
        call_id: String,
        /// The calling task.
        task_id: String,
        /// The method, for example `helpers.httpRequest`.
        name: String,
        /// The arguments: a JSON list.
        params: Box<RawValue>,
    },
    /// Requests data of the workflow.
    #[serde(rename = "runner:taskdatarequest")]
    TaskDataRequest {
        /// The requesting task.
        task_id: String,
        /// The request, which the answer names.
        request_id: String,
        /// The requested parts.
        request_params: DataRequest,
    },
    /// Requests descriptions of node types.
    #[serde(rename = "runner:nodetypesrequest")]
    NodeTypesRequest {
        /// The requesting task.
        task_id: String,
        /// The request, which the answer names.
        request_id: String,
        /// The requested node types.
        request_params: Vec<NodeType>,
    },
}

/// The `data` of a `runner:taskdone`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskData {
    /// The value that user code returned.
    pub result: Box<RawValue>,
    /// Custom execution data that the task set, by key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_data: Option<BTreeMap<String, String>>,
    /// Workflow static data that the task changed: a JSON object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub static_data: Option<Box<RawValue>>,
}

/// The `error` of a `runner:taskerror`: a message and details (`description`, `lineNumber`, …).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TaskFailure {
    /// The text that a user sees first. n8n shows "Unknown error" if it is missing.
    pub message: String,
    /// All other fields.
    #[serde(flatten)]
    pub details: serde_json::Map<String, serde_json::Value>,
}

/// Payloads of at least this many bytes become a part of their own. Copying a smaller one costs
/// less than a further part.
const LARGE: usize = 64 << 10;

impl RunnerMessage {
    /// Reads one frame. Ignores unknown fields.
    ///
    /// # Errors
    /// The frame is not JSON, has an unknown `type`, or lacks a required field.
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

    /// Serialises the message.
    ///
    /// # Errors
    /// Never in practice: every field serialises.
    pub fn to_frame(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }

    /// Serialises the message into consecutive parts. A large payload is a part of its own and is
    /// not copied.
    ///
    /// # Errors
    /// As for [`to_frame`](Self::to_frame).
    pub fn into_parts(mut self) -> Result<Vec<String>, serde_json::Error> {
        let payloads: &mut [(&str, &mut Box<RawValue>)] = match &mut self {
            Self::TaskDone {
                data: TaskData { result, static_data: Some(static_data), .. },
                ..
            } => &mut [("\"result\":", result), ("\"staticData\":", static_data)],
            Self::TaskDone { data, .. } => &mut [("\"result\":", &mut data.result)],
            Self::Rpc { params, .. } => &mut [("\"params\":", params)],
            _ => &mut [],
        };
        let mut large = Vec::new();
        for (field, payload) in payloads {
            if payload.get().len() >= LARGE {
                let null = RawValue::NULL.to_owned();
                large.push((*field, std::mem::replace(*payload, null)));
            }
        }
        let mut rest = self.to_frame()?;
        let mut parts = Vec::new();
        // From the last field to the first: custom data before the static data may have its key.
        for (field, payload) in large.into_iter().rev() {
            // Inside a string the field's quotation marks would be escaped.
            let place =
                if field == "\"staticData\":" { rest.rfind(field) } else { rest.find(field) };
            let place = place
                .ok_or_else(|| serde::ser::Error::custom("the message has no payload field"))?
                + field.len();
            parts.push(rest.split_off(place).split_off("null".len()));
            parts.push(Box::<str>::from(payload).into());
        }
        parts.push(rest);
        parts.reverse();
        Ok(parts)
    }
}
