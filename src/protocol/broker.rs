//! Messages from a broker to a runner.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
    error::ProtocolError,
    received::ReceivedSettings,
    wire::{Envelope, Head},
};

/// A message from the broker. `S` is the type of a task's settings, and `D` that of other raw JSON.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum BrokerMessage<S = Box<RawValue>, D = Box<RawValue>> {
    /// Asks for name and task types: the first message on a connection.
    #[serde(rename = "broker:inforequest")]
    InfoRequest,
    /// Confirms the registration: the runner may send offers.
    #[serde(rename = "broker:runnerregistered")]
    RunnerRegistered,
    /// Assigns a task to an offer. The runner has two seconds to accept or reject it.
    #[serde(rename = "broker:taskofferaccept")]
    TaskOfferAccept {
        /// The task.
        task_id: String,
        /// The matched offer.
        offer_id: String,
    },
    /// Delivers the settings of an accepted task.
    #[serde(rename = "broker:tasksettings")]
    TaskSettings {
        /// The task.
        task_id: String,
        /// The settings; [`TaskSettings`](super::settings::TaskSettings) lists the fields.
        settings: S,
    },
    /// Cancels the task.
    #[serde(rename = "broker:taskcancel")]
    TaskCancel {
        /// The task.
        task_id: String,
        /// The reason, a text for people.
        reason: String,
    },
    /// Answers a `runner:rpc`.
    #[serde(rename = "broker:rpcresponse")]
    RpcResponse {
        /// The answered call.
        call_id: String,
        /// The task that called.
        task_id: String,
        /// Whether `data` is the result or the error.
        status: RpcStatus,
        /// The result or the error. May be absent.
        #[serde(skip_serializing_if = "Option::is_none")]
        data: Option<D>,
    },
    /// Answers a `runner:taskdatarequest`.
    #[serde(rename = "broker:taskdataresponse")]
    TaskDataResponse {
        /// The task that asked.
        task_id: String,
        /// The answered request.
        request_id: String,
        /// The data.
        data: D,
    },
    /// Answers a `runner:nodetypesrequest`.
    #[serde(rename = "broker:nodetypes")]
    NodeTypes {
        /// The task that asked.
        task_id: String,
        /// The answered request.
        request_id: String,
        /// The node types.
        node_types: D,
    },
    /// Asks the runner to stop offering and to finish its tasks: the broker is about to close.
    #[serde(rename = "broker:drain")]
    Drain,
}

/// Whether an RPC succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RpcStatus {
    /// `data` is the result.
    Success,
    /// `data` is the error.
    Error,
}

impl<'a> BrokerMessage<ReceivedSettings<'a>, &'a RawValue> {
    /// Reads one frame in one pass. Ignores unknown fields. Copies no payload.
    ///
    /// # Errors
    /// The frame is not JSON, has an unknown `type`, or lacks a required field.
    pub fn parse(frame: &'a str) -> Result<Self, ProtocolError> {
        let e = Envelope::<&RawValue>::parse(frame)?;
        Ok(match e.kind.as_str() {
            "broker:inforequest" => Self::InfoRequest,
            "broker:runnerregistered" => Self::RunnerRegistered,
            "broker:drain" => Self::Drain,
            "broker:taskofferaccept" => Self::TaskOfferAccept {
                task_id: e.task_id()?,
                offer_id: e.read("offerId", e.offer_id)?,
            },
            "broker:tasksettings" => {
                let settings = e.settings.as_ref().ok_or_else(|| e.missing("settings"))?;
                Self::TaskSettings { task_id: e.task_id()?, settings: settings.within(frame) }
            }
            "broker:taskcancel" => Self::TaskCancel { task_id: e.task_id()?, reason: e.reason() },
            "broker:rpcresponse" => Self::RpcResponse {
                call_id: e.read("callId", e.call_id)?,
                task_id: e.task_id()?,
                status: e.read("status", e.status)?,
                data: e.data,
            },
            "broker:taskdataresponse" => Self::TaskDataResponse {
                task_id: e.task_id()?,
                request_id: e.read("requestId", e.request_id)?,
                data: e.need("data", e.data)?,
            },
            "broker:nodetypes" => Self::NodeTypes {
                task_id: e.task_id()?,
                request_id: e.read("requestId", e.request_id)?,
                node_types: e.need("nodeTypes", e.node_types)?,
            },
            _ => return Err(ProtocolError::UnknownType(e.kind)),
        })
    }

    /// Returns the task of a `broker:tasksettings` frame that [`parse`](Self::parse) refused. The
    /// runner fails that task, which else would wait for its settings until they time out.
    pub fn task_of_bad_settings(frame: &str) -> Option<String> {
        let head = Head::salvage(frame);
        head.task_id.filter(|_| head.kind.as_deref() == Some("broker:tasksettings"))
    }
}
