//! The host's side of a task's calls: one trait.

use std::{future::Future, pin::Pin, sync::Arc};

use serde_json::value::RawValue;

use super::abi::MAX_NAME;

/// The answer to a host call: a JSON value, or a text that the guest raises as `_host.CallError`.
pub type Answer = Result<Box<RawValue>, String>;

/// A pending [`Answer`]. The sandbox drops it if the task ends first.
pub type PendingAnswer = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// Ends once a host can take another call; see [`HostCalls::capacity`].
pub type PendingCapacity = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Serves the host calls of a task.
///
/// The sandbox has checked every call: `name` is 1 to 64 ASCII letters, digits, dots, dashes and
/// underscores; `params` is one JSON value of at most
/// [`Limits::call_bytes`](super::Limits::call_bytes) bytes and [`MAX_DEPTH`](super::MAX_DEPTH)
/// levels; the number of calls is within
/// [`Limits::calls`](super::Limits::calls). The implementor decides which names exist. The
/// notification `sandbox.forget` never arrives: it cancels a pending call, whose [`PendingAnswer`]
/// the sandbox drops. A call of that name arrives like any other.
///
/// [`HostFunctions`](super::HostFunctions) implements this with one async function for each name.
pub trait HostCalls: Send + Sync {
    /// Answers a call. While the answer is pending, the task costs memory only.
    fn call(&self, name: &str, params: Box<RawValue>) -> PendingAnswer;

    /// Returns `None` if the host can take a call now, or else a future that ends once it can.
    ///
    /// `workers::Pool` asks before it reads a call from a worker process. Until the future
    /// ends, what that worker sends stays in the worker: the memory of this process does not grow
    /// with unsent calls. The default is `None`.
    fn capacity(&self) -> Option<PendingCapacity> {
        None
    }

    /// Takes a notification. It has no answer. Notifications arrive in order, and before the task's
    /// outcome. The default drops it.
    fn notify(&self, name: &str, params: Box<RawValue>) {
        let _ = (name, params);
    }

    /// Takes a notification with the units of fuel that the task had consumed when it sent it. The
    /// default calls [`notify`](Self::notify).
    ///
    /// The number is the same in every deterministic run. Functions that are active in the guest
    /// add their fuel where they branch or return. The number lacks the part since their last
    /// branch. The guest profiler is built on this: the guest marks a place, and the host reads the
    /// counter there.
    fn notify_at(&self, name: &str, params: Box<RawValue>, fuel: u64) {
        let _ = fuel;
        self.notify(name, params);
    }

    /// Takes standard error as the task writes it: complete lines with their ends, in order with
    /// the notifications. A last line without an end comes before the next notification, or with
    /// the end of the task.
    ///
    /// All bytes together are at most [`Limits::stderr`](super::Limits::stderr). They may be no
    /// UTF-8. [`Outcome::stderr`](super::Outcome::stderr) has them once more. The default drops
    /// them.
    fn stderr(&self, bytes: &[u8]) {
        let _ = bytes;
    }
}

impl<T: HostCalls + ?Sized> HostCalls for Arc<T> {
    fn call(&self, name: &str, params: Box<RawValue>) -> PendingAnswer {
        (**self).call(name, params)
    }

    fn capacity(&self) -> Option<PendingCapacity> {
        (**self).capacity()
    }

    fn notify(&self, name: &str, params: Box<RawValue>) {
        (**self).notify(name, params);
    }

    fn notify_at(&self, name: &str, params: Box<RawValue>, fuel: u64) {
        (**self).notify_at(name, params, fuel);
    }

    fn stderr(&self, bytes: &[u8]) {
        (**self).stderr(bytes);
    }
}

/// A host without functions: every call fails with [`METHOD_NOT_ALLOWED`], every notification is
/// dropped.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoHost;

impl HostCalls for NoHost {
    fn call(&self, _name: &str, _params: Box<RawValue>) -> PendingAnswer {
        Box::pin(std::future::ready(Err(METHOD_NOT_ALLOWED.into())))
    }
}

/// The error of a call whose name the host does not know.
pub const METHOD_NOT_ALLOWED: &str = "Method not allowed";

/// Returns whether a host call may have this name: ASCII letters, digits, dots, dashes and
/// underscores.
pub(crate) fn is_call_name(name: &str) -> bool {
    let is_name_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(is_name_byte)
}
