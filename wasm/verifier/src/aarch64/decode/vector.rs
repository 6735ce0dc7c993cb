//! Scalar floating point and vectors. They access no memory.

use super::{bits, condition, or_zero};
use crate::aarch64::instruction::Operation;

/// What an instruction writes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Writes {
    Vector,
    General32,
    General64,
    Flags,
}

pub(super) fn decode(word: u32) -> Option<(bool, Operation)> {
    match writes(word)? {
        Writes::Vector => Some((true, Operation::Vector { d: bits(word, 0, 5) as usize })),
        Writes::Flags => Some((true, Operation::Flags)),
        general => {
            let operation = Operation::Other { d: or_zero(word, 0), sets_flags: false };
            Some((general == Writes::General64, operation))
        }
    }
}

fn writes(word: u32) -> Option<Writes> {
    let is_listed = |(mask, values): &(u32, &[u32])| values.contains(&(word & mask));
    if VECTOR.iter().any(is_listed) {
        return Some(Writes::Vector);
    }
    let is_wide = word >> 31 == 1;
    let is_double = bits(word, 22, 2) == 1;
    if bits(word, 23, 1) == 0 && word & 0x7f20_fc00 == 0x1e20_0000 {
        // Between scalars and general registers. Moves have equal sizes.
        return match bits(word, 16, 5) {
            0b0_0010 | 0b0_0011 => Some(Writes::Vector),
            0b0_0111 if is_wide == is_double => Some(Writes::Vector),
            0b0_0110 if is_wide != is_double => None,
            0b0_0110 | 0b1_1000 | 0b1_1001 => {
                Some(if is_wide { Writes::General64 } else { Writes::General32 })
            }
            _ => None,
        };
    }
    if word & 0xbfe0_fc00 == 0x0e00_3c00 {
        // `umov`, with an element of 64 bits into 64 bits, or of less into 32 bits.
        let is_wide = bits(word, 30, 1) == 1;
        let element = bits(word, 16, 5).trailing_zeros();
        let is_known = if is_wide { element == 3 } else { element < 3 };
        let writes = if is_wide { Writes::General64 } else { Writes::General32 };
        return is_known.then_some(writes);
    }
    if word & 0xffa0_0c00 == 0x1e20_0c00 {
        return condition(bits(word, 12, 4)).map(|_| Writes::Vector);
    }
    // `fcmp` of registers, of single or double precision.
    (word & 0xffa0_fc1f == 0x1e20_2000).then_some(Writes::Flags)
}

/// Instructions that write a vector register: the bits that decide, and their values. The other bits
/// are registers, sizes and constants; a few sizes do not exist, and trap.
#[rustfmt::skip]
const VECTOR: &[(u32, &[u32])] = &[
    // Vectors of a constant: `movi`, `mvni`.
    (0x9ff8_0c00, &[0x0f00_0400]),
    // Shifts by a constant: `sshr`, `shl`, `sshll`, `ushr`, `sli`, `ushll`; of one element, `ushr`,
    // `sli`. Without an element size these are vectors of a constant.
    (0xbf80_fc00, &[
        0x0f00_0400, 0x0f00_5400, 0x0f00_a400, 0x2f00_0400, 0x2f00_5400, 0x2f00_a400,
    ]),
    (0xffc0_fc00, &[0x7f40_0400, 0x7f40_5400]),
    // Copies of elements: `dup`, `ins`; of one element, `dup`.
    (0xbfe0_fc00, &[0x0e00_0400, 0x0e00_0c00]),
    (0xffe0_fc00, &[0x4e00_1c00, 0x5e00_0400]),
    (0xffe0_8400, &[0x6e00_0400]),
    // Permutations: `tbl`; `uzp1`, `trn1`, `zip1`, `uzp2`, `trn2`, `zip2`; `ext`.
    (0xbfe0_fc00, &[0x0e00_0000, 0x0e00_2000]),
    (0xbf20_fc00, &[
        0x0e00_1800, 0x0e00_2800, 0x0e00_3800, 0x0e00_5800, 0x0e00_6800, 0x0e00_7800,
    ]),
    (0xbfe0_8400, &[0x2e00_0000]),
    // Of one vector: `rev64`, `rev16`, `cnt`, `cmeq`, `abs`, `fabs`, `xtn`, `rev32`, `mvn`, `neg`,
    // `fneg`, `sqxtun`, `shll`; `fcvtl`, `fcvtzs`, `scvtf`, `fcvtzu`, `ucvtf`, `fsqrt`; `addv`,
    // `uminv`.
    (0xbf3f_fc00, &[
        0x0e20_0800, 0x0e20_1800, 0x0e20_5800, 0x0e20_9800, 0x0e20_b800, 0x0e20_f800, 0x0e21_2800,
        0x2e20_0800, 0x2e20_5800, 0x2e20_b800, 0x2e20_f800, 0x2e21_2800, 0x2e21_3800, 0x0e21_7800,
        0x0e21_b800, 0x0e21_d800, 0x2e21_b800, 0x2e21_d800, 0x2e21_f800, 0x0e31_b800, 0x2e31_a800,
    ]),
    // Of two vectors: logic, `cmgt`, `sshl`, `smax`, `smin`, `add`, `mul`, `addp`, `fadd`, `fcmeq`;
    // logic, `cmhi`, `cmhs`, `ushl`, `umax`, `umin`, `sub`, `cmeq`, `umaxp`, `fmul`, `fcmgt`, `fdiv`;
    // `umlal`.
    (0xbf20_fc00, &[
        0x0e20_1c00, 0x0e20_3400, 0x0e20_4400, 0x0e20_6400, 0x0e20_6c00, 0x0e20_8400, 0x0e20_9c00,
        0x0e20_bc00, 0x0e20_d400, 0x0e20_e400, 0x2e20_1c00, 0x2e20_3400, 0x2e20_3c00, 0x2e20_4400,
        0x2e20_6400, 0x2e20_6c00, 0x2e20_8400, 0x2e20_8c00, 0x2e20_a400, 0x2e20_dc00, 0x2e20_e400,
        0x2e20_fc00, 0x2e20_8000,
    ]),
    // Scalars, of single or double precision: `fmov` of a constant; `fmov`, `fabs`, `fneg`,
    // `fsqrt`, `fcvt`, `frintn`, `frintp`, `frintm`, `frintz`; `fmul`, `fdiv`, `fadd`, `fsub`,
    // `fmax`, `fmin`.
    (0xffa0_1fe0, &[0x1e20_1000]),
    (0xffbf_fc00, &[
        0x1e20_4000, 0x1e20_c000, 0x1e21_4000, 0x1e21_c000, 0x1e22_4000, 0x1e22_c000, 0x1e24_4000,
        0x1e24_c000, 0x1e25_4000, 0x1e25_c000,
    ]),
    (0xffa0_fc00, &[
        0x1e20_0800, 0x1e20_1800, 0x1e20_2800, 0x1e20_3800, 0x1e20_4800, 0x1e20_5800,
    ]),
];
