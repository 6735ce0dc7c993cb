//! Padding.

use crate::analysis::padding::Unused;

/// Zeros align data, and zeros or traps align functions.
pub(super) fn classify(bytes: &[u8], at: u32) -> Unused {
    match bytes {
        [0 | 0xcc, ..] => Unused::Padding(1),
        [0xe9, a, b, c, d, ..] => (at + 5)
            .checked_add_signed(i32::from_le_bytes([*a, *b, *c, *d]))
            .map_or(Unused::Other, |to| Unused::Jump(5, to)),
        _ => Unused::Other,
    }
}
