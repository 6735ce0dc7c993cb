//! The registers of x86-64.

use iced_x86::Register;

use crate::{analysis::state, image::Convention};

/// The general registers, and the low and the high halves of xmm6 to xmm15, which functions of
/// Windows preserve.
pub(super) const COUNT: usize = 36;
/// The first index that is no general register.
const HALVES: usize = 16;
pub(super) type State = state::State<COUNT>;

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

/// How functions of the host are called, and this image's entries by the host.
pub(super) struct Host {
    /// The first four arguments.
    pub(super) arguments: [usize; 4],
    /// Bytes at the top of the stack that the callee may write to.
    pub(super) shadow: i32,
    convention: Convention,
}

impl Host {
    pub(super) fn new(convention: Convention) -> Self {
        match convention {
            Convention::Unix => Self { arguments: [RDI, RSI, RDX, RCX], shadow: 0, convention },
            Convention::Windows => Self { arguments: [RCX, RDX, 8, 9], shadow: 32, convention },
        }
    }

    /// Whether functions preserve a register.
    pub(super) fn preserves(&self, register: usize) -> bool {
        let is_general = matches!(register, RBX | RBP | R12 | R13 | BASE | FUEL);
        let is_more = matches!(register, RSI | RDI | HALVES..);
        is_general || (is_more && self.convention == Convention::Windows)
    }
}

/// The indices of the halves of a vector register, if functions of Windows preserve it.
pub(super) fn halves(register: Register) -> Option<[usize; 2]> {
    let number = register.number().checked_sub(6).filter(|_| register.is_xmm())?;
    Some([HALVES + number, HALVES + 10 + number])
}
