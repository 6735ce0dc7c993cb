//! Why a request has no response.

use std::time::Duration;

use bytesize::ByteSize;
use serde_json::json;

/// A request has no response. The guest raises it as an `OSError` of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// No entry names the host and its port.
    #[error("the host {0} is not allowed")]
    NotAllowed(String),
    /// The host's name is allowed, but none of its addresses is.
    #[error("the address {address} of {host} is not public, and not allowed")]
    NotPublic {
        /// The name.
        host: String,
        /// The first of its addresses, with the port.
        address: String,
    },
    /// The request is none that the host makes.
    #[error("invalid request: {0}")]
    Invalid(String),
    /// The task has made too many requests.
    #[error("too many requests: the limit is {0}")]
    TooMany(u32),
    /// The body of the request or of the response is too large.
    #[error("the body of the {what} is larger than {}", ByteSize::b(*limit as u64).display().iec())]
    TooLarge {
        /// "request" or "response".
        what: &'static str,
        /// The limit in bytes.
        limit: usize,
    },
    /// The response did not arrive in time.
    #[error("timed out after {0:?}")]
    Late(Duration),
    /// The name has no address.
    #[error("the name {host} cannot be resolved: {reason}")]
    Unresolved {
        /// The name.
        host: String,
        /// What the system's resolver says.
        reason: String,
    },
    /// No connection can be made, or TLS has failed.
    #[error("cannot connect to {host}: {reason}")]
    Connect {
        /// The host with its port.
        host: String,
        /// The cause.
        reason: String,
    },
    /// The connection broke, or the peer does not speak HTTP.
    #[error("the request failed: {0}")]
    Broken(String),
}

impl FetchError {
    /// Returns the kind, by which the guest chooses an exception.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::NotAllowed(_) | Self::NotPublic { .. } => "refused",
            Self::Invalid(_) => "invalid",
            Self::TooMany(_) | Self::TooLarge { .. } => "limit",
            Self::Late(_) => "timeout",
            Self::Unresolved { .. } => "resolve",
            Self::Connect { .. } => "connect",
            Self::Broken(_) => "broken",
        }
    }

    /// Returns the text that the guest gets: JSON with the kind, the message, and the entry that
    /// would allow the host.
    pub(crate) fn to_answer(&self) -> String {
        let entry = match self {
            Self::NotAllowed(host) => Some(host),
            Self::NotPublic { address, .. } => Some(address),
            _ => None,
        };
        json!({"kind": self.kind(), "message": self.to_string(), "entry": entry}).to_string()
    }
}
