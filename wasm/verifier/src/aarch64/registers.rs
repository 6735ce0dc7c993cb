//! The registers of aarch64.
//!
//! What is known of vector registers matters for one reason: functions preserve the low halves of
//! v8 to v15.

use super::instruction::SP;
use crate::analysis::state;

/// x0 to x30, the stack pointer, and d8 to d15.
pub(super) const COUNT: usize = 40;
pub(super) type State = state::State<COUNT>;

/// Fuel.
pub(super) const FUEL: usize = 21;
/// The frame pointer.
pub(super) const FRAME: usize = 29;
/// The address that a function returns to.
pub(super) const LINK: usize = 30;
/// The contexts of a function and of its caller, in calls of the module. The others follow.
pub(super) const CONTEXT: usize = 2;
pub(super) const CALLER: usize = 3;
/// The first result of such a call.
pub(super) const RESULT: usize = 2;
/// The context in calls by the host, and in the one for fuel. The others follow.
pub(super) const HOST_CONTEXT: usize = 0;

/// The registers that every function preserves, beside the fuel: those of the Arm's procedure call
/// standard.
pub(super) fn preserved() -> impl Iterator<Item = usize> {
    (19..=FRAME).filter(|register| *register != FUEL).chain(32..COUNT)
}

/// The place of the low half of a vector register, if functions preserve it.
pub(super) fn low_half(vector: usize) -> Option<usize> {
    (8..16).contains(&vector).then(|| SP + 1 + vector - 8)
}
