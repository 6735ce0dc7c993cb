//! Loads and stores.

use super::{bits, or_zero, relative, signed};
use crate::aarch64::instruction::{Address, Form, Memory, Operation, SP, Target};

/// The operation, and whether a loaded general register has 64 bits.
pub(super) fn decode(word: u32, at: u32) -> Option<(bool, Operation)> {
    let (wide, memory) = match bits(word, 27, 3) {
        0b001 => replicated(word)?,
        0b011 => constant(word, at)?,
        0b101 => pair(word)?,
        0b111 => one(word)?,
        _ => return None,
    };
    Some((wide, Operation::Memory(memory)))
}

/// `ld1r`.
fn replicated(word: u32) -> Option<(bool, Memory)> {
    let memory = Memory {
        writes: false,
        size: 1 << bits(word, 10, 2),
        form: Form::Replicated,
        one: Target::Vector(bits(word, 0, 5) as usize),
        other: None,
        address: Address::Base(bits(word, 5, 5) as usize, 0),
    };
    (word & 0xbfff_f000 == 0x0d40_c000).then_some((true, memory))
}

/// Constants in the code are vectors; a general register is made by `movz`.
fn constant(word: u32, at: u32) -> Option<(bool, Memory)> {
    let opc = bits(word, 30, 2);
    if word & 0x3f00_0000 != 0x1c00_0000 || opc == 3 {
        return None;
    }
    let memory = Memory {
        writes: false,
        size: 4 << opc,
        form: Form::Plain,
        one: target(word, 0),
        other: None,
        address: Address::Code(relative(at, signed(word, 5, 19) * 4)?),
    };
    Some((true, memory))
}

fn pair(word: u32) -> Option<(bool, Memory)> {
    let (opc, is_vector) = (bits(word, 30, 2), bits(word, 26, 1) == 1);
    let size = match (is_vector, opc) {
        (false, 0b00) | (true, 0b00) => 4,
        (false, 0b10) | (true, 0b01) => 8,
        (true, 0b10) => 16,
        _ => return None,
    };
    let (one, other) = (target(word, 0), target(word, 10));
    let writes = bits(word, 22, 1) == 0;
    let base = bits(word, 5, 5) as usize;
    let offset = signed(word, 15, 7) * size;
    let address = match bits(word, 23, 3) {
        0b001 => Address::After(base, offset),
        0b010 => Address::Base(base, offset),
        0b011 => Address::Before(base, offset),
        _ => return None,
    };
    if !writes && one == other {
        return None;
    }
    let memory = Memory {
        writes,
        size: size.cast_unsigned(),
        form: Form::Plain,
        one,
        other: Some(other),
        address: predictable(address, &[one, other])?,
    };
    Some((size == 8, memory))
}

fn one(word: u32) -> Option<(bool, Memory)> {
    let (size, opc, is_vector) = (bits(word, 30, 2), bits(word, 22, 2), bits(word, 26, 1) == 1);
    let (bytes, signed_to) = match (is_vector, opc, size) {
        (false, 0b00 | 0b01, _) | (true, 0b00 | 0b01, _) => (1 << size, None),
        (true, 0b10 | 0b11, 0) => (16, None),
        (false, 0b10, 0..=2) => (1 << size, Some(true)),
        (false, 0b11, 0..=1) => (1 << size, Some(false)),
        _ => return None,
    };
    let writes = if is_vector { opc & 1 == 0 } else { opc == 0 };
    let target = target(word, 0);
    let base = bits(word, 5, 5) as usize;
    let address = if word & 0x3b00_0000 == 0x3900_0000 {
        Address::Base(base, i64::from(bits(word, 10, 12)) * bytes)
    } else if word & 0x3b20_0000 == 0x3800_0000 {
        let offset = signed(word, 12, 9);
        match bits(word, 10, 2) {
            0b00 => Address::Base(base, offset),
            0b01 => Address::After(base, offset),
            0b11 => Address::Before(base, offset),
            _ => return None,
        }
    } else if word & 0x3b20_0c00 == 0x3820_0800 {
        let low = match bits(word, 13, 3) {
            0b010 => true,
            0b011 => false,
            _ => return None,
        };
        let shift = bits(word, 12, 1) * bytes.ilog2();
        Address::Indexed { base, index: or_zero(word, 16), low, shift }
    } else {
        return None;
    };
    let memory = Memory {
        writes,
        size: bytes.cast_unsigned(),
        form: if signed_to.is_some() { Form::Signed } else { Form::Plain },
        one: target,
        other: None,
        address: predictable(address, &[target])?,
    };
    Some((signed_to.unwrap_or(bytes == 8), memory))
}

/// Refuses to write the base of an address twice: processors differ in what they do.
fn predictable(address: Address, targets: &[Target]) -> Option<Address> {
    let changed = match address {
        Address::Before(base, _) | Address::After(base, _) if base != SP => Some(base),
        _ => None,
    };
    let is_loaded = changed.is_some() && targets.contains(&Target::General(changed));
    (!is_loaded).then_some(address)
}

fn target(word: u32, low: u32) -> Target {
    if bits(word, 26, 1) == 1 {
        Target::Vector(bits(word, low, 5) as usize)
    } else {
        Target::General(or_zero(word, low))
    }
}
