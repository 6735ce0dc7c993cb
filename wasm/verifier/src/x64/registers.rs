//! The registers of x86-64.

use crate::analysis::state;

pub(super) type State = state::State<16>;

/// Indices of registers with a purpose.
pub(super) const RAX: usize = 0;
pub(super) const RCX: usize = 1;
pub(super) const RDX: usize = 2;
pub(super) const RBX: usize = 3;
pub(super) const RSP: usize = 4;
pub(super) const RBP: usize = 5;
pub(super) const RSI: usize = 6;
pub(super) const RDI: usize = 7;
pub(super) const R12: usize = 12;
pub(super) const R13: usize = 13;
/// The base of linear memory.
pub(super) const BASE: usize = 14;
/// Fuel.
pub(super) const FUEL: usize = 15;
