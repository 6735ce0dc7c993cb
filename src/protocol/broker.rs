//! What a broker says to a runner.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
    ProtocolError, ReceivedSettings, skim,
    wire::{Envelope, Head},
};

/// A message from the broker; `S` are a task's settings.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum BrokerMessage<S = Box<RawValue>> {
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
        settings: S,
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

impl<'a> BrokerMessage<ReceivedSettings<'a>> {
    /// Reads one frame, in one pass. Fields that its type does not have are ignored. Of large settings, what lies inside of
    /// their fields is not looked at.
    ///
    /// # Errors
    /// The frame is not JSON, has an unknown `type`, or lacks a field.
    pub fn parse(frame: &'a str) -> Result<Self, ProtocolError> {
        if let Some((task_id, settings)) = skim::task_settings(frame) {
            return Ok(Self::TaskSettings { task_id, settings });
        }
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
                data: e.data.map(ToOwned::to_owned),
            },
            "broker:taskdataresponse" => Self::TaskDataResponse {
                task_id: e.task_id()?,
                request_id: e.read("requestId", e.request_id)?,
                data: e.raw("data", e.data)?,
            },
            "broker:nodetypes" => Self::NodeTypes {
                task_id: e.task_id()?,
                request_id: e.read("requestId", e.request_id)?,
                node_types: e.raw("nodeTypes", e.node_types)?,
            },
            _ => return Err(ProtocolError::UnknownType(e.kind)),
        })
    }

    /// The task that a frame brought settings for, where [`parse`](Self::parse) refused it: that task would wait for ever.
    pub fn task_of_bad_settings(frame: &str) -> Option<String> {
        let head = Head::salvage(frame);
        head.task_id.filter(|_| head.kind.as_deref() == Some("broker:tasksettings"))
    }
}
