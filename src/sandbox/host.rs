//! What a task may ask of the world: two verbs, behind one trait.

use std::{future::Future, pin::Pin};

use serde_json::value::RawValue;

/// The answer to a host call: a JSON value, or a text that the guest raises as `_host.CallError`.
pub type Answer = Result<Box<RawValue>, String>;

/// An [`Answer`] that is still to come. Dropped when the task ends first.
pub type PendingAnswer = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// Where a task's host calls go. The sandbox has checked them: `name` is 1 to 64 ASCII letters, digits, dots, dashes and
/// underscores, `params` is one JSON value within [`Limits::call_bytes`](super::Limits::call_bytes), and their number is
/// within [`Limits::calls`](super::Limits::calls). Which names exist is for the implementor to decide, but for
/// `sandbox.forget`, which is told to the sandbox itself: the `[number]` of a call in flight that is given up. Its
/// [`PendingAnswer`] is dropped.
pub trait HostCalls: Send + Sync {
    /// Asks, and waits for an answer. While it is pending the task costs memory only.
    fn call(&self, name: &str, params: Box<RawValue>) -> PendingAnswer;

    /// Tells, and does not wait. What is told reaches the implementor in order, and before the task's outcome.
    fn tell(&self, name: &str, params: Box<RawValue>);

    /// As [`tell`](Self::tell), which it does unless an implementor wants to know more: the units of fuel that the task
    /// had burnt when it said this, the same in every run; what the functions that are open just then have still to add (they add
    /// where they branch or return) is not in it. This is what measures Python: the guest marks a place, the host reads the
    /// counter there.
    fn tell_at(&self, name: &str, params: Box<RawValue>, fuel: u64) {
        let _ = fuel;
        self.tell(name, params);
    }
}

/// A world that answers nothing: calls fail with `Method not allowed`, what is told is dropped.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoHost;

impl HostCalls for NoHost {
    fn call(&self, _name: &str, _params: Box<RawValue>) -> PendingAnswer {
        Box::pin(std::future::ready(Err(METHOD_NOT_ALLOWED.into())))
    }

    fn tell(&self, _name: &str, _params: Box<RawValue>) {}
}

/// The error of a call whose name the host does not know; n8n's broker uses the same words (protocol, RPC).
pub const METHOD_NOT_ALLOWED: &str = "Method not allowed";
