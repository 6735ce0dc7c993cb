//! What a broker says to a runner.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{ProtocolError, wire::Envelope};

/// A message from the broker.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum BrokerMessage {
    /// Who are you? The first message on a connection.
    #[serde(rename = "broker:inforequest")]
    InfoRequest,
    /// The runner is registered and may offer.
    #[serde(rename = "broker:runnerregistered")]
    RunnerRegistered,
    /// An offer was matched with a task; the runner has two seconds to accept or reject it.
    #[serde(rename = "broker:taskofferaccept")]
    TaskOfferAccept {
        /// The task.
        task_id: String,
        /// The runner's offer.
        offer_id: String,
    },
    /// The work.
    #[serde(rename = "broker:tasksettings")]
    TaskSettings {
        /// The task.
        task_id: String,
        /// The settings, as [`TaskSettings`](super::TaskSettings) reads them.
        settings: Box<RawValue>,
    },
    /// Stop the task.
    #[serde(rename = "broker:taskcancel")]
    TaskCancel {
        /// The task.
        task_id: String,
        /// Why, for people.
        reason: String,
    },
    /// The answer to a `runner:rpc`.
    #[serde(rename = "broker:rpcresponse")]
    RpcResponse {
        /// The call that is answered.
        call_id: String,
        /// The task that called.
        task_id: String,
        /// Whether `data` is the result or the error.
        status: RpcStatus,
        /// Result or error; may be absent.
        #[serde(skip_serializing_if = "Option::is_none")]
        data: Option<Box<RawValue>>,
    },
    /// The answer to a `runner:taskdatarequest`.
    #[serde(rename = "broker:taskdataresponse")]
    TaskDataResponse {
        /// The task that asked.
        task_id: String,
        /// The request that is answered.
        request_id: String,
        /// The data.
        data: Box<RawValue>,
    },
    /// The answer to a `runner:nodetypesrequest`.
    #[serde(rename = "broker:nodetypes")]
    NodeTypes {
        /// The task that asked.
        task_id: String,
        /// The request that is answered.
        request_id: String,
        /// The node types.
        node_types: Box<RawValue>,
    },
    /// Stop offering, finish what runs: the broker is about to close.
    #[serde(rename = "broker:drain")]
    Drain,
}

/// Whether an RPC went well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RpcStatus {
    /// `data` is the result.
    Success,
    /// `data` is the error.
    Error,
}

impl BrokerMessage {
    /// Reads one frame. Fields that its type does not have are ignored.
    ///
    /// # Errors
    /// The frame is not JSON, has an unknown `type`, or lacks a field.
    pub fn parse(frame: &str) -> Result<Self, ProtocolError> {
        let mut e = Envelope::parse(frame)?;
        let task_id = e.task_id.take();
        let task_id = |e: &Envelope| e.need("taskId", task_id);
        Ok(match e.kind.as_str() {
            "broker:inforequest" => Self::InfoRequest,
            "broker:runnerregistered" => Self::RunnerRegistered,
            "broker:drain" => Self::Drain,
            "broker:taskofferaccept" => {
                Self::TaskOfferAccept { offer_id: e.need("offerId", e.offer_id.clone())?, task_id: task_id(&e)? }
            }
            "broker:tasksettings" => {
                Self::TaskSettings { settings: e.need("settings", e.settings)?.to_owned(), task_id: task_id(&e)? }
            }
            "broker:taskcancel" => {
                Self::TaskCancel { reason: e.reason.take().unwrap_or_default(), task_id: task_id(&e)? }
            }
            "broker:rpcresponse" => Self::RpcResponse {
                call_id: e.need("callId", e.call_id.clone())?,
                status: e.need("status", e.status)?,
                data: e.data.map(ToOwned::to_owned),
                task_id: task_id(&e)?,
            },
            "broker:taskdataresponse" => Self::TaskDataResponse {
                request_id: e.need("requestId", e.request_id.clone())?,
                data: e.need("data", e.data)?.to_owned(),
                task_id: task_id(&e)?,
            },
            "broker:nodetypes" => Self::NodeTypes {
                request_id: e.need("requestId", e.request_id.clone())?,
                node_types: e.need("nodeTypes", e.node_types)?.to_owned(),
                task_id: task_id(&e)?,
            },
            _ => return Err(ProtocolError::UnknownType(e.kind)),
        })
    }
}
