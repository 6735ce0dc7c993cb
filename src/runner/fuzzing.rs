//! Doors for fuzz/: sessions, and the message that ends a task.

pub use super::session::fuzzing::FuzzSession;
use super::{answer, effects::CheckedOutcome, message_queue::MessageQueue};
use crate::sandbox::{Exit, Limits, RawOutcome, Usage};

/// Returns the frame that a guest's output leads to.
pub async fn answer(stdout: Vec<u8>, stderr: String, continue_on_fail: bool) -> Option<String> {
    let raw = RawOutcome { exit: Exit::Output, stdout, usage: Usage::default(), stderr };
    let CheckedOutcome { result, stderr, .. } =
        CheckedOutcome::new(raw.parse(&Limits::default(), Vec::new()).await).await;
    let (queue, mut sent) = MessageQueue::new(1 << 20);
    answer::send(&queue, "t1", answer::reply(result, stderr), continue_on_fail);
    sent.try_recv().ok().and_then(super::message_queue::text_of)
}
