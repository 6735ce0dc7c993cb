//! Why a frame is not a message.

/// Why a frame was not understood.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// The frame is not a JSON object with a `type`.
    #[error("not a message: {0}")]
    Json(#[from] serde_json::Error),
    /// This side of the protocol receives no message of this `type`.
    #[error("unknown message type '{0}'")]
    UnknownType(String),
    /// A field that this type requires is absent or null.
    #[error("message '{message}' lacks the field '{field}'")]
    MissingField {
        /// The message's `type`.
        message: String,
        /// The field's name on the wire.
        field: &'static str,
    },
    /// A field that this type requires has the wrong type.
    #[error("message '{message}' has a bad field '{field}': {error}")]
    WrongType {
        /// The message's `type`.
        message: String,
        /// The field's name on the wire.
        field: &'static str,
        /// The reader's error.
        error: serde_json::Error,
    },
}
