//! Parses large texts on a blocking thread, so that they do not delay the guests of the current
//! one.

/// Bytes up to which a text is parsed in place: that takes 1 ms at most, less than a guest's own
/// time slice.
const LARGE: usize = 1 << 20;

/// Applies `read` to the bytes. `None` where it panicked, or where the runtime is shutting down.
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
