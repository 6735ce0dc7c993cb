//! The settings of a Python task: what a broker sends, and what the guest reads on standard input.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::HostSettings;

/// The settings of a Code-node task, as far as the host reads them. The guest is handed the broker's text unchanged, with
/// the fields that are not listed here.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskSettings {
    /// Python: the body of a function.
    pub code: String,
    /// Whether the code runs once, or once for each item.
    pub node_mode: NodeMode,
    /// The input items: a JSON list of `{json, binary?, pairedItem?, …}`.
    pub items: Box<RawValue>,
    /// Turn a failure into a result that carries its message.
    #[serde(default)]
    pub continue_on_fail: bool,
    /// The workflow's name, for the log.
    #[serde(default = "unknown")]
    pub workflow_name: String,
    /// The workflow's id, for the log.
    #[serde(default = "unknown")]
    pub workflow_id: String,
    /// The node's name, for the log.
    #[serde(default = "unknown")]
    pub node_name: String,
    /// The node's id, for the log.
    #[serde(default = "unknown")]
    pub node_id: String,
    /// The input of an AI tool: text or an object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<Box<RawValue>>,
    /// `text` sends what `print` writes as plain text, without a cap, by the name `stdout`; absent or `node` sends it as
    /// n8n's log lines. Serpentarium's own field: n8n does not send it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub print_mode: Option<String>,
    /// What the code may import and what it finds in its environment. Serpentarium's own field.
    #[serde(default, skip_deserializing, skip_serializing_if = "Option::is_none")]
    pub serpentarium: Option<HostSettings>,
}

pub(crate) fn unknown() -> String {
    "Unknown".into()
}

/// How often the code runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum NodeMode {
    /// Once, with `_items`.
    #[serde(rename = "runOnceForAllItems")]
    AllItems,
    /// Once for each item, with `_item`.
    #[serde(rename = "runOnceForEachItem")]
    EachItem,
}

/// Why settings cannot be run. The texts are the ones that n8n's own runner gives.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// A required field is not there.
    #[error("Missing field in task settings message: '{0}'")]
    MissingField(&'static str),
    /// The mode is neither of the two.
    #[error("Unknown nodeMode: {0}")]
    UnknownMode(String),
    /// A field has the wrong type.
    #[error("Invalid task settings: {0}")]
    Invalid(String),
}

impl TaskSettings {
    /// Settings for a piece of code and its items, everything else as default.
    pub fn new(code: impl Into<String>, node_mode: NodeMode, items: Box<RawValue>) -> Self {
        Self {
            code: code.into(),
            node_mode,
            items,
            continue_on_fail: false,
            workflow_name: unknown(),
            workflow_id: unknown(),
            node_name: unknown(),
            node_id: unknown(),
            query: None,
            print_mode: None,
            serpentarium: None,
        }
    }

    /// The JSON text that the guest reads, as the input of a [`Job`](crate::sandbox::Job).
    ///
    /// # Errors
    /// None in practice: every field serialises.
    pub fn to_input(&self) -> Result<Bytes, serde_json::Error> {
        serde_json::to_vec(self).map(Bytes::from)
    }
}
