//! Why the runner ends, and why one attempt to connect fails.

use std::time::Duration;

use super::endpoint::CONNECT_TIMEOUT;

/// Why the runner ends without being asked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunnerError {
    /// The broker refused the only grant token: a further attempt would fail as well.
    #[error(
        "the broker refused the grant token: it is wrong, expired or used (a grant token \
         is good for one connection, within 30 seconds)"
    )]
    GrantRefused,
    /// The connection is lost, and no token for another one is left.
    #[error(
        "connection to the broker lost: {0}; the grant token is spent, and without \
         N8N_RUNNERS_AUTH_TOKEN there is no other"
    )]
    GrantSpent(String),
    /// Another runner registered under this runner's id.
    #[error(
        "the broker closed the connection: another runner has the id '{0}' \
         (N8N_RUNNERS_ID); give each its own"
    )]
    Replaced(String),
    /// The health endpoint cannot listen on its address.
    #[error("{0}")]
    Health(String),
    /// The broker's address is `https`, and no root certificate is usable.
    #[error("cannot use https: {0}")]
    Tls(String),
}

/// Why one attempt to connect failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    /// The broker is unreachable, or does not speak the protocol.
    #[error("cannot reach the broker: {0}")]
    Unreachable(String),
    /// The broker did not answer within [`CONNECT_TIMEOUT`].
    #[error("the broker did not answer within {CONNECT_TIMEOUT:?}")]
    TimedOut,
    /// The broker answered with an HTTP status that refuses.
    #[error("the broker refused {what}: {}", status_text(*.status))]
    Refused {
        /// The refused thing: the grant token or the connection.
        what: &'static str,
        /// The HTTP status.
        status: u16,
        /// The wait that the `Retry-After` header asks for.
        retry_after: Option<Duration>,
    },
    /// The broker's answer holds no usable grant token.
    #[error("the broker's answer holds no usable grant token")]
    NoGrant,
    /// The given grant token is spent, and no auth token can fetch another.
    #[error("the grant token is spent")]
    GrantSpent,
}

impl ConnectError {
    /// Returns the wait that the broker asked for.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// Explains an HTTP status to an operator.
fn status_text(status: u16) -> String {
    let meaning = match status {
        400 | 401 | 403 => "the token is wrong, expired or used",
        404 => "no task broker answers at this address",
        429 => "too many attempts",
        503 => "it is shutting down or overloaded",
        _ => return format!("status {status}"),
    };
    format!("{meaning} (status {status})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_what_it_means() {
        let error = ConnectError::Refused { what: "a grant token", status: 403, retry_after: None };
        let expected =
            "the broker refused a grant token: the token is wrong, expired or used (status 403)";
        assert_eq!(error.to_string(), expected);
    }
}
