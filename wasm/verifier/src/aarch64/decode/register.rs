//! Data processing with registers.

use super::{bits, condition, or_stack, or_zero};
use crate::aarch64::instruction::{Extension, Logic, Operand, Operation, Shift};

pub(super) fn decode(word: u32) -> Option<Operation> {
    let wide = word >> 31 == 1;
    let (d, n) = (or_zero(word, 0), or_zero(word, 5));
    if word & 0x1f00_0000 == 0x0a00_0000 {
        logic(word, wide)
    } else if word & 0x1f20_0000 == 0x0b00_0000 {
        Some(Operation::Add {
            subtracts: bits(word, 30, 1) == 1,
            sets_flags: bits(word, 29, 1) == 1,
            d,
            n,
            by: shifted(word, wide).filter(|_| bits(word, 22, 2) != 3)?,
        })
    } else if word & 0x1fe0_0000 == 0x0b20_0000 {
        add_extended(word, wide)
    } else if word & 0x1fe0_fc00 == 0x1a00_0000 {
        // `adc` and `sbc`.
        Some(Operation::Other { d, sets_flags: bits(word, 29, 1) == 1 })
    } else if word & 0x3fe0_0410 == 0x3a40_0000 {
        // `ccmn` and `ccmp`.
        condition(bits(word, 12, 4)).map(|_| Operation::Flags)
    } else if word & 0x3fe0_0800 == 0x1a80_0000 {
        Some(Operation::Choose {
            d,
            yes: n,
            no: or_zero(word, 16),
            condition: condition(bits(word, 12, 4))?,
            changed: bits(word, 30, 1) == 1 || bits(word, 10, 1) == 1,
        })
    } else {
        is_other(word, wide).then_some(Operation::Other { d, sets_flags: false })
    }
}

fn logic(word: u32, wide: bool) -> Option<Operation> {
    let logic = match (bits(word, 21, 1), bits(word, 29, 2)) {
        (1, _) => Logic::Inverted,
        (_, 0b01) => Logic::Or,
        (_, 0b10) => Logic::Xor,
        _ => Logic::And,
    };
    Some(Operation::Logic {
        logic,
        sets_flags: bits(word, 29, 2) == 3,
        d: or_zero(word, 0),
        n: or_zero(word, 5),
        by: shifted(word, wide)?,
    })
}

/// A shifted register.
fn shifted(word: u32, wide: bool) -> Option<Operand> {
    let by = bits(word, 10, 6);
    let shift = match bits(word, 22, 2) {
        0b00 => Shift::Left,
        0b01 => Shift::Right,
        _ => Shift::Other,
    };
    (wide || by < 32).then(|| Operand::Shifted { m: or_zero(word, 16), shift, by })
}

fn add_extended(word: u32, wide: bool) -> Option<Operation> {
    let (option, by) = (bits(word, 13, 3), bits(word, 10, 3));
    let sets_flags = bits(word, 29, 1) == 1;
    let extension = Extension { signed: option & 4 != 0, bits: 8 << (option & 3) };
    (by <= 4).then(|| Operation::Add {
        subtracts: bits(word, 30, 1) == 1,
        sets_flags,
        d: if sets_flags { or_zero(word, 0) } else { or_stack(word, 0) },
        n: or_stack(word, 5),
        by: Operand::Extended {
            m: or_zero(word, 16),
            // 64 bits of a 32-bit register are 32.
            extension: if wide {
                extension
            } else {
                Extension { bits: extension.bits.min(32), ..extension }
            },
            by,
        },
    })
}

/// Whether it computes a number in register `d` from other registers, and does nothing else.
fn is_other(word: u32, wide: bool) -> bool {
    let opcode = bits(word, 10, 6);
    if word & 0x7fe0_0000 == 0x1ac0_0000 {
        // `udiv`, `sdiv`, shifts by a register.
        return matches!(opcode, 0b00_0010 | 0b00_0011 | 0b00_1000..=0b00_1011);
    }
    if word & 0x7fff_0000 == 0x5ac0_0000 {
        // `rbit`, `rev16`, `rev`, `clz`, `cls`.
        return matches!(opcode, 0..=2 | 4 | 5) || (wide && opcode == 3);
    }
    if word & 0x7f00_0000 == 0x1b00_0000 {
        // `madd`, `msub`; their long forms; `smulh`, `umulh`.
        return match (bits(word, 21, 3), bits(word, 15, 1)) {
            (0b000, _) => true,
            (0b001 | 0b101, _) | (0b010 | 0b110, 0) => wide,
            _ => false,
        };
    }
    false
}
