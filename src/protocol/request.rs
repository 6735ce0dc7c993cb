//! Requests of a task for data of its workflow.

use serde::{Deserialize, Serialize};

/// The requested parts of the workflow's data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DataRequest {
    /// Request the output data of these nodes.
    pub data_of_nodes: DataOfNodes,
    /// Request the name of the previous node.
    pub prev_node: bool,
    /// Request the input items.
    pub input: InputRequest,
    /// Request n8n's environment variables.
    pub env: bool,
}

/// The requested input items.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputRequest {
    /// Whether any items are requested.
    pub include: bool,
    /// The requested range. Absent: all items.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chunk: Option<Chunk>,
}

/// A selection of nodes: a list of names, or the text `all`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum DataOfNodes {
    /// The nodes of these names.
    Named(Vec<String>),
    /// All nodes.
    All(AllNodes),
}

/// The text `all`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AllNodes {
    /// The text itself.
    All,
}

/// A range of input items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Chunk {
    /// Index of the first item, from 0.
    pub start_index: u64,
    /// Number of items.
    pub count: u64,
}

/// A node type and its version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeType {
    /// Its name, for example `n8n-nodes-base.code`.
    pub name: String,
    /// Its version.
    pub version: f64,
}
