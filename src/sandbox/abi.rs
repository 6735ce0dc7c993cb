//! Constants of the boundary between host and guest, equal on both sides (wasm/ABI.md).

/// Module name of the imports that reach the host's functions.
pub(crate) const HOST_MODULE: &str = "host";

/// Functions that the image imports from [`HOST_MODULE`].
#[cfg(test)]
pub(crate) const HOST_IMPORTS: [&str; 5] = ["call", "notify", "start", "take", "wait"];

/// Module name of the imports from WASI preview 1.
pub(crate) const WASI_MODULE: &str = "wasi_snapshot_preview1";

/// Functions that the image imports from [`WASI_MODULE`].
#[cfg(test)]
pub(crate) const WASI_IMPORTS: [&str; 6] =
    ["clock_time_get", "fd_read", "fd_write", "poll_oneoff", "proc_exit", "random_get"];

/// Exported function that runs the instance's one task. It returns 0 once the reply is on standard
/// output.
pub(crate) const ENTRY_EXPORT: &str = "run_task";

/// Exported linear memory.
pub(crate) const MEMORY_EXPORT: &str = "memory";

/// Notification to the sandbox itself: `[number]` of a pending call whose answer the guest no
/// longer wants.
pub(crate) const FORGET: &str = "sandbox.forget";

/// Notification of text that a plain program prints; its parameters are one JSON string.
pub(crate) const STDOUT: &str = "stdout";

/// Bytes of the longest name of a host call or notification.
pub(crate) const MAX_NAME: usize = 64;

/// Result of `host.wait` if no call is pending and the wait has no time limit.
pub(crate) const WAIT_IS_ENDLESS: i32 = -1;

/// Keys of a program's settings, beside those of n8n's task settings.
#[cfg(test)]
pub(crate) const SETTINGS_KEYS: [&str; 2] = ["code", "input"];

/// Keys of a reply that carries a result. All but the first may be absent.
#[cfg(test)]
pub(crate) const RESULT_KEYS: [&str; 3] = ["result", "effects", "files"];

/// Keys of the host's setting `files`.
#[cfg(test)]
pub(crate) const FILES_KEYS: [&str; 2] = ["in", "out"];

/// Keys of one file, in settings and reply.
#[cfg(test)]
pub(crate) const FILE_KEYS: [&str; 2] = ["path", "data"];

/// Key of a reply that carries a failure.
#[cfg(test)]
pub(crate) const ERROR_KEY: &str = "error";

/// Keys of the object at [`ERROR_KEY`]. All but the first may be absent.
#[cfg(test)]
pub(crate) const EXCEPTION_KEYS: [&str; 5] =
    ["message", "description", "lineNumber", "context", "limit"];

/// Bytes kept of an exception's message and of its description. The guest cuts at 16,000
/// characters, so only a hostile guest reaches this.
pub(crate) const MAX_EXCEPTION_TEXT: usize = 64 << 10;

/// Bytes of an exception's context. A larger one breaks the task: the context is a few numbers that
/// locate a failure.
pub(crate) const MAX_EXCEPTION_CONTEXT: usize = 4 << 10;
