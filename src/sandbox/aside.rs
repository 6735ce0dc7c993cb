//! Large texts are parsed beside the thread that runs guests, so that they hold up nobody.

/// Bytes up to which a text is parsed at once: it takes a millisecond at most.
const LARGE: usize = 1 << 20;

/// What `read` makes of the bytes. `None` where it panicked, or the runtime is shutting down.
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
