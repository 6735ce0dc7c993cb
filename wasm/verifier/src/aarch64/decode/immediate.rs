//! Data processing with a constant.

use super::{bits, or_stack, or_zero};
use crate::aarch64::instruction::{Logic, Operand, Operation};

pub(super) fn decode(word: u32) -> Option<Operation> {
    let wide = word >> 31 == 1;
    match bits(word, 23, 3) {
        0b010 => Some(add(word)),
        0b100 => logic(word, wide),
        0b101 => constant(word, wide),
        0b110 => field(word, wide),
        0b111 => extract(word, wide),
        _ => None,
    }
}

fn add(word: u32) -> Operation {
    let number = u64::from(bits(word, 10, 12)) << (12 * bits(word, 22, 1));
    let sets_flags = bits(word, 29, 1) == 1;
    Operation::Add {
        subtracts: bits(word, 30, 1) == 1,
        sets_flags,
        d: if sets_flags { or_zero(word, 0) } else { or_stack(word, 0) },
        n: or_stack(word, 5),
        by: Operand::Number(number),
    }
}

fn logic(word: u32, wide: bool) -> Option<Operation> {
    let (logic, sets_flags) = match bits(word, 29, 2) {
        0b00 => (Logic::And, false),
        0b01 => (Logic::Or, false),
        0b10 => (Logic::Xor, false),
        _ => (Logic::And, true),
    };
    let number = mask(bits(word, 22, 1), bits(word, 10, 6), bits(word, 16, 6), wide)?;
    Some(Operation::Logic {
        logic,
        sets_flags,
        d: if sets_flags { or_zero(word, 0) } else { or_stack(word, 0) },
        n: or_zero(word, 5),
        by: Operand::Number(number),
    })
}

/// The constant of a logical instruction: a run of ones, rotated, and repeated in elements of 2 to
/// 64 bits (`DecodeBitMasks`).
fn mask(n: u32, imms: u32, immr: u32, wide: bool) -> Option<u64> {
    if n == 1 && !wide {
        return None;
    }
    let width = n << 6 | (!imms & 0x3f);
    let size = 1 << width.checked_ilog2().filter(|log| *log > 0)?;
    let ones = imms & (size - 1);
    if ones == size - 1 {
        return None;
    }
    let run = (1u64 << (ones + 1)) - 1;
    let by = immr & (size - 1);
    let rotated = if by == 0 { run } else { run >> by | run << (size - by) };
    let element = if size == 64 { rotated } else { rotated & ((1 << size) - 1) };
    let repeated = (0..64).step_by(size as usize).fold(0, |all, at| all | element << at);
    Some(if wide { repeated } else { repeated & u64::from(u32::MAX) })
}

/// `movn`, `movz` and `movk`.
fn constant(word: u32, wide: bool) -> Option<Operation> {
    let shift = 16 * bits(word, 21, 2);
    if !wide && shift > 16 {
        return None;
    }
    let d = or_zero(word, 0);
    let number = u64::from(bits(word, 5, 16)) << shift;
    let all = if wide { u64::MAX } else { u64::from(u32::MAX) };
    match bits(word, 29, 2) {
        0b00 => Some(Operation::Constant { d, number: !number & all }),
        0b10 => Some(Operation::Constant { d, number }),
        0b11 => Some(Operation::Insert { d, bits: number, shift }),
        _ => None,
    }
}

/// `sbfm` and `ubfm`.
fn field(word: u32, wide: bool) -> Option<Operation> {
    let (rotate, last) = (bits(word, 16, 6), bits(word, 10, 6));
    if (bits(word, 22, 1) == 1) != wide || (!wide && rotate.max(last) > 31) {
        return None;
    }
    let signed = match bits(word, 29, 2) {
        0b00 => true,
        0b10 => false,
        _ => return None,
    };
    Some(Operation::Field { signed, d: or_zero(word, 0), n: or_zero(word, 5), rotate, last })
}

/// `extr`, whose result the rules need not know.
fn extract(word: u32, wide: bool) -> Option<Operation> {
    let is_known = bits(word, 29, 2) == 0
        && bits(word, 21, 1) == 0
        && (bits(word, 22, 1) == 1) == wide
        && (wide || bits(word, 10, 6) < 32);
    is_known.then(|| Operation::Other { d: or_zero(word, 0), sets_flags: false })
}
