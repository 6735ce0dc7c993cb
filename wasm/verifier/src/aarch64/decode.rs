//! Decodes exactly the forms of instructions that the code generator makes.
//!
//! Whatever is not listed is no instruction, and its function is not verified. Encodings are those of
//! the [Arm Architecture Reference Manual](https://developer.arm.com/documentation/ddi0487/), C4.1.

mod immediate;
mod memory;
mod register;
mod vector;

use super::instruction::{Condition, Instruction, Operation, Register, SP};

/// Decodes the word at an address.
pub(super) fn decode(word: u32, at: u32) -> Option<Instruction> {
    let (wide, operation) = operation(word, at)?;
    Some(Instruction { at, word, wide, operation })
}

fn operation(word: u32, at: u32) -> Option<(bool, Operation)> {
    let wide = word >> 31 == 1;
    // The groups of C4.1, by bits 28 to 25.
    match bits(word, 25, 4) {
        0b0000 if word >> 16 == 0 => Some((true, Operation::Trap)),
        0b1000 | 0b1001 if word & 0x9f00_0000 == 0x1000_0000 => {
            // `adr`; `adrp` does not occur.
            let offset = signed(word, 5, 19) * 4 + i64::from(bits(word, 29, 2));
            let to = relative(at, offset)?;
            Some((true, Operation::Address { d: or_zero(word, 0), to }))
        }
        0b1000 | 0b1001 => Some((wide, immediate::decode(word)?)),
        0b1010 | 0b1011 => branch(word, at),
        0b0100 | 0b0110 | 0b1100 | 0b1110 => memory::decode(word, at),
        0b0101 | 0b1101 => Some((wide, register::decode(word)?)),
        0b0111 | 0b1111 => vector::decode(word),
        _ => None,
    }
}

/// Branches, calls and returns.
fn branch(word: u32, at: u32) -> Option<(bool, Operation)> {
    let wide = word >> 31 == 1;
    let to = |low: u32, width: u32| relative(at, signed(word, low, width) * 4);
    let n = bits(word, 5, 5) as usize;
    Some(if word & 0xfc00_0000 == 0x1400_0000 {
        (true, Operation::Jump { to: to(0, 26)? })
    } else if word & 0xfc00_0000 == 0x9400_0000 {
        (true, Operation::Call { to: to(0, 26)? })
    } else if word & 0x7e00_0000 == 0x3400_0000 {
        (wide, Operation::Branch { to: to(5, 19)?, condition: None })
    } else if word & 0x7e00_0000 == 0x3600_0000 {
        (true, Operation::Branch { to: to(5, 14)?, condition: None })
    } else if word & 0xff00_0010 == 0x5400_0000 {
        let condition = condition(bits(word, 0, 4))?;
        (true, Operation::Branch { to: to(5, 19)?, condition: Some(condition) })
    } else if word == 0xd65f_03c0 {
        (true, Operation::Return)
    } else if n == SP {
        return None;
    } else if word & 0xffff_fc1f == 0xd63f_0000 {
        (true, Operation::CallRegister { n })
    } else if word & 0xffff_fc1f == 0xd61f_0000 {
        (true, Operation::JumpRegister { n })
    } else {
        return None;
    })
}

/// `width` bits of a word from bit `low` on.
fn bits(word: u32, low: u32, width: u32) -> u32 {
    word >> low & ((1 << width) - 1)
}

/// The same, as a number with a sign.
fn signed(word: u32, low: u32, width: u32) -> i64 {
    let up = 32 - width;
    i64::from((bits(word, low, width) << up).cast_signed() >> up)
}

/// An address in the code.
fn relative(at: u32, offset: i64) -> Option<u64> {
    u64::from(at).checked_add_signed(offset)
}

/// A register in a field where 31 is the zero register.
fn or_zero(word: u32, low: u32) -> Register {
    Some(bits(word, low, 5) as usize).filter(|register| *register != SP)
}

/// A register in a field where 31 is the stack pointer.
fn or_stack(word: u32, low: u32) -> Register {
    Some(bits(word, low, 5) as usize)
}

fn condition(number: u32) -> Option<Condition> {
    (number < 14).then_some(Condition(number))
}
