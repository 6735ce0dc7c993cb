//! The settings of a Python task: sent by the broker, read by the guest on standard input.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::policy::HostSettings;

/// The settings of a Code-node task that the host knows. The guest receives the broker's text
/// unchanged, with further fields.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskSettings {
    /// Python code: the body of a function.
    pub code: String,
    /// Whether the code runs once, or once per item.
    pub node_mode: NodeMode,
    /// The input items: a JSON list of `{json, binary?, pairedItem?, …}`.
    pub items: Box<RawValue>,
    /// Whether a failure becomes a result that carries its message.
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
    /// The input of an AI tool: a text or an object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<Box<RawValue>>,
    /// `text` sends printed text unchanged and unlimited, under the name `stdout`. `node`, the
    /// default, sends n8n's log lines. An extension: n8n does not send this field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub print_mode: Option<String>,
    /// Import policy and environment. An extension: n8n does not send this field.
    #[serde(default, skip_deserializing, skip_serializing_if = "Option::is_none")]
    pub serpentarium: Option<HostSettings>,
}

pub(crate) fn unknown() -> String {
    "Unknown".into()
}

/// How often the code runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum NodeMode {
    /// Once for all items, with `_items`.
    #[serde(rename = "runOnceForAllItems")]
    AllItems,
    /// Once per item, with `_item`.
    #[serde(rename = "runOnceForEachItem")]
    EachItem,
}

/// Why settings are unusable. The texts equal those of n8n's own runner.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// A required field is absent or null.
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
    /// Creates settings with defaults for all other fields.
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

    /// Serialises the settings as the input of a [`Job`](crate::sandbox::Job).
    ///
    /// # Errors
    /// Never in practice: every field serialises.
    pub fn to_input(&self) -> Result<Bytes, serde_json::Error> {
        serde_json::to_vec(self).map(Bytes::from)
    }
}
