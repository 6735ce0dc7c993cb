//! One pass over a frame, whatever its type: every field that any message has, each optional.
//!
//! Serde's internally tagged enums buffer a whole message to find its tag, and cannot hand out raw JSON. This envelope
//! borrows raw payloads from the frame instead, so a large message is scanned once.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{DataRequest, NodeType, ProtocolError, RpcStatus, TaskFailure};

/// All fields of all messages.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Envelope<'a> {
    #[serde(rename = "type")]
    pub kind: String,
    pub task_id: Option<String>,
    pub offer_id: Option<String>,
    pub call_id: Option<String>,
    pub request_id: Option<String>,
    pub reason: Option<String>,
    pub name: Option<String>,
    pub types: Option<Vec<String>>,
    pub task_type: Option<String>,
    pub valid_for: Option<i64>,
    pub status: Option<RpcStatus>,
    pub error: Option<TaskFailure>,
    #[serde(borrow)]
    pub settings: Option<&'a RawValue>,
    #[serde(borrow)]
    pub data: Option<&'a RawValue>,
    #[serde(borrow)]
    pub params: Option<&'a RawValue>,
    #[serde(borrow)]
    pub node_types: Option<&'a RawValue>,
    #[serde(borrow)]
    pub request_params: Option<&'a RawValue>,
}

impl<'a> Envelope<'a> {
    pub fn parse(frame: &'a str) -> Result<Self, ProtocolError> {
        Ok(serde_json::from_str(frame)?)
    }

    /// The value of a field that this message type needs.
    pub fn need<T>(&self, field: &'static str, value: Option<T>) -> Result<T, ProtocolError> {
        value.ok_or_else(|| ProtocolError::MissingField { message: self.kind.clone(), field })
    }

    pub fn data_request(&self) -> Result<DataRequest, ProtocolError> {
        Ok(serde_json::from_str(self.need("requestParams", self.request_params)?.get())?)
    }

    pub fn node_type_request(&self) -> Result<Vec<NodeType>, ProtocolError> {
        Ok(serde_json::from_str(self.need("requestParams", self.request_params)?.get())?)
    }
}
