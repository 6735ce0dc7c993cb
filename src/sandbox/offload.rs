//! Reads large texts on a blocking thread, so that they do not delay the guests and the messages of
//! the current one.

use serde_json::value::RawValue;

use super::depth::{MAX_DEPTH, is_deeper_than};

/// Bytes up to which a text is read in place. That takes at most 0.3 ms for n8n's items, and 4 ms
/// for nested brackets alone, which serde_json reads slowest.
pub(crate) const LARGE: usize = 256 << 10;

/// Applies `read` to the bytes, on another thread if there are many. `None` where it panicked, or
/// where the runtime is shutting down.
pub(crate) async fn parse<T: Send + 'static>(
    bytes: Vec<u8>,
    read: impl FnOnce(Vec<u8>) -> T + Send + 'static,
) -> Option<T> {
    if bytes.len() <= LARGE {
        Some(read(bytes))
    } else {
        tokio::task::spawn_blocking(move || read(bytes)).await.ok()
    }
}

/// The parameters of a host call are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadParams {
    /// They are no JSON text, or several.
    #[error("the parameters of a host call are one JSON value")]
    NotJson,
    /// They exceed [`MAX_DEPTH`].
    #[error("The parameters of a host call are nested deeper than {MAX_DEPTH} levels")]
    Deep,
}

/// Reads the parameters of a host call: one JSON value of at most [`MAX_DEPTH`] levels.
pub(crate) fn call_params(bytes: Vec<u8>) -> Result<Box<RawValue>, BadParams> {
    let text = String::from_utf8(bytes).map_err(|_| BadParams::NotJson)?;
    let params = RawValue::from_string(text).map_err(|_| BadParams::NotJson)?;
    if is_deeper_than(params.get().as_bytes(), MAX_DEPTH) {
        return Err(BadParams::Deep);
    }
    Ok(params)
}
