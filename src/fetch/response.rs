//! The response, read within its limits.

use base64::{Engine, prelude::BASE64_STANDARD};
use hyper::ext::ReasonPhrase;
use reqwest::Response;
use serde::Serialize;

use super::error::FetchError;

/// Header fields that describe the connection or the form of its bytes. `reqwest` has removed the
/// chunks, so these would mislead the guest.
const DROPPED: [&str; 4] = ["connection", "keep-alive", "trailer", "transfer-encoding"];

/// The answer of the call.
#[derive(Debug, Serialize)]
pub(crate) struct FetchedResponse {
    status: u16,
    reason: String,
    /// Names and values in their order, with one character for each byte.
    headers: Vec<(String, String)>,
    /// Base64, as the server sent it: packed if the header says so.
    body: String,
}

/// Reads a response of at most `limit` bytes.
///
/// # Errors
/// The connection breaks, or the body is too large. An endless body ends here too.
pub(crate) async fn read(
    mut response: Response,
    limit: usize,
) -> Result<FetchedResponse, FetchError> {
    let too_large = FetchError::TooLarge { what: "response", limit };
    let has_body = response.headers().get("content-length").is_some();
    if has_body && response.content_length().is_some_and(|length| length > limit as u64) {
        return Err(too_large);
    }
    let mut body = Vec::new();
    while let Some(chunk) =
        response.chunk().await.map_err(|error| FetchError::Broken(cause(&error)))?
    {
        if chunk.len() > limit - body.len() {
            return Err(too_large);
        }
        body.extend_from_slice(&chunk);
    }
    let status = response.status();
    let reason = match response.extensions().get::<ReasonPhrase>() {
        Some(phrase) => latin_1(phrase.as_bytes()),
        None => status.canonical_reason().unwrap_or_default().to_owned(),
    };
    let headers = response.headers().iter();
    let headers = headers
        .filter(|(name, _)| !DROPPED.contains(&name.as_str()))
        .map(|(name, value)| (name.as_str().to_owned(), latin_1(value.as_bytes())))
        .collect();
    let body = BASE64_STANDARD.encode(body);
    Ok(FetchedResponse { status: status.as_u16(), reason, headers, body })
}

/// Decodes bytes, each to the character of its number.
fn latin_1(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}

/// Returns the innermost cause of an error, which says what happened.
pub(crate) fn cause(error: &dyn std::error::Error) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}
