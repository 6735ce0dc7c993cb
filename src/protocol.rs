//! The wire vocabulary of n8n's task broker: one enum for each direction, and the settings of a task.
//!
//! Every frame is one JSON object with a `type`. Payloads that nobody on the host reads (`settings`, `result`, RPC
//! parameters and answers) stay raw JSON text. Nothing here does I/O.

mod broker;
mod id;
mod policy;
mod received;
mod runner;
mod settings;
mod skim;
mod wire;

pub use broker::{BrokerMessage, RpcStatus};
pub(crate) use id::random_id;
pub use policy::{Addition, HostSettings, Policy};
pub use received::{ReceivedSettings, TaskLabel};
pub use runner::{
    AllNodes, Chunk, DataOfNodes, DataRequest, InputRequest, NodeType, RunnerMessage, TaskData,
    TaskFailure,
};
pub use settings::{NodeMode, SettingsError, TaskSettings};

/// Why a frame was not understood.
#[derive(Debug, thiserror::Error)]
pub enum ProtocolError {
    /// The frame is not a JSON object with a `type`.
    #[error("not a message: {0}")]
    Json(#[from] serde_json::Error),
    /// The `type` is none that this side receives.
    #[error("unknown message type '{0}'")]
    UnknownType(String),
    /// A field that this type needs is not there.
    #[error("message '{message}' lacks the field '{field}'")]
    MissingField {
        /// The message's `type`.
        message: String,
        /// The field's name on the wire.
        field: &'static str,
    },
    /// A field that this type needs has the wrong type.
    #[error("message '{message}' has a bad field '{field}': {error}")]
    WrongType {
        /// The message's `type`.
        message: String,
        /// The field's name on the wire.
        field: &'static str,
        /// What is wrong with it.
        error: serde_json::Error,
    },
}
