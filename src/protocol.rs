//! The wire vocabulary of n8n's task broker: one enum per direction, and the settings of a task.
//!
//! Every frame is one JSON object with a `type`. Payloads that the host does not interpret
//! (`settings`, `result`, parameters and answers of calls) stay raw JSON text. This module does no
//! I/O.
//!
//! The vocabulary follows n8n's `@n8n/task-runner` package (`message-types.ts`).

mod broker;
mod error;
mod id;
mod policy;
mod received;
mod request;
mod runner;
mod settings;
mod wire;

pub use broker::{BrokerMessage, RpcStatus};
pub use error::ProtocolError;
pub(crate) use id::random_id;
pub use policy::{Addition, HostSettings, Policy};
pub use received::{ReceivedSettings, TaskLabel};
pub use request::{AllNodes, Chunk, DataOfNodes, DataRequest, InputRequest, NodeType};
pub use runner::{RunnerMessage, TaskData, TaskFailure};
pub use settings::{NodeMode, SettingsError, TaskSettings};
