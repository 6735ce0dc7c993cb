//! Instructions of aarch64, by what they do to general registers and memory.

use crate::analysis::compare::Outcome;

/// The index of the stack pointer. Smaller ones are general registers.
pub(super) const SP: usize = 31;

/// A general register; `None` is the zero register.
pub(super) type Register = Option<usize>;

/// A decoded instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Instruction {
    /// Its address in the code.
    pub(super) at: u32,
    pub(super) word: u32,
    /// Whether it computes with 64 bits. Results of 32 bits clear the upper half of their register.
    pub(super) wide: bool,
    pub(super) operation: Operation,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Operation {
    /// Adds a second number to the first, or subtracts it.
    Add {
        subtracts: bool,
        sets_flags: bool,
        d: Register,
        n: Register,
        by: Operand,
    },
    /// Combines bits.
    Logic {
        logic: Logic,
        sets_flags: bool,
        d: Register,
        n: Register,
        by: Operand,
    },
    /// Sets a register to a constant.
    Constant {
        d: Register,
        number: u64,
    },
    /// Replaces 16 bits of a register.
    Insert {
        d: Register,
        bits: u64,
        shift: u32,
    },
    /// Takes a range of bits out of a register (`ubfm`, `sbfm`), or shifts them up.
    Field {
        signed: bool,
        d: Register,
        n: Register,
        rotate: u32,
        last: u32,
    },
    /// One of two registers by a condition; with `changed`, the second one is incremented, inverted
    /// or negated.
    Choose {
        d: Register,
        yes: Register,
        no: Register,
        condition: Condition,
        changed: bool,
    },
    /// Forms an address relative to itself.
    Address {
        d: Register,
        to: u64,
    },
    /// Loads or stores.
    Memory(Memory),
    /// Computes a number that the rules need not know.
    Other {
        d: Register,
        sets_flags: bool,
    },
    /// Writes a vector register from registers.
    Vector {
        d: usize,
    },
    /// Only compares.
    Flags,
    Jump {
        to: u64,
    },
    /// Jumps by the flags, or with no condition by a register.
    Branch {
        to: u64,
        condition: Option<Condition>,
    },
    Call {
        to: u64,
    },
    CallRegister {
        n: usize,
    },
    JumpRegister {
        n: usize,
    },
    /// Returns to the address in x30.
    Return,
    /// Traps.
    Trap,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Logic {
    And,
    Or,
    Xor,
    /// With the second operand inverted, by any of the three.
    Inverted,
}

/// The second operand of arithmetic.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Operand {
    Number(u64),
    Shifted { m: Register, shift: Shift, by: u32 },
    Extended { m: Register, extension: Extension, by: u32 },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Shift {
    Left,
    Right,
    Other,
}

/// Which bits of a register count, and how they are extended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Extension {
    pub(super) signed: bool,
    /// 8, 16, 32 or 64.
    pub(super) bits: u32,
}

/// A condition on the flags, by its number in the encoding; 14 and 15, which always hold, do not
/// occur.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Condition(pub(super) u32);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Memory {
    pub(super) writes: bool,
    /// Bytes of each register.
    pub(super) size: u64,
    pub(super) form: Form,
    /// What is loaded or stored; the second for pairs.
    pub(super) one: Target,
    pub(super) other: Option<Target>,
    pub(super) address: Address,
}

/// What a load makes of the bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Form {
    /// A number without a sign.
    Plain,
    Signed,
    /// The same number in each element of a vector.
    Replicated,
}

/// A register that is loaded or stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Target {
    General(Register),
    Vector(usize),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Address {
    /// A base, which may be the stack pointer, and an offset.
    Base(usize, i64),
    /// The same, and the base is then set to the address.
    Before(usize, i64),
    /// The base, to which the offset is then added.
    After(usize, i64),
    /// A base and an index: its low 32 bits or all, shifted by so much.
    Indexed { base: usize, index: Register, low: bool, shift: u32 },
    /// In the code.
    Code(u64),
}

impl Address {
    /// The base register.
    pub(super) fn base(self) -> Option<usize> {
        match self {
            Self::Base(base, _) | Self::Before(base, _) | Self::After(base, _) => Some(base),
            Self::Indexed { base, .. } => Some(base),
            Self::Code(_) => None,
        }
    }
}

impl Condition {
    /// `lo`.
    pub(super) const BELOW: Condition = Condition(3);

    /// What the condition says of a comparison if it holds, or does not.
    pub(super) fn outcome(self, holds: bool) -> Outcome {
        // `eq`, `ne`; `hs`, `lo`; `hi`, `ls`: each even one is the opposite of the next.
        match (self.0, holds) {
            (0, true) | (1, false) => Outcome::Equal,
            (2, true) | (3, false) => Outcome::NotBelow,
            (3, true) | (2, false) => Outcome::Below,
            (8, true) | (9, false) => Outcome::Above,
            (9, true) | (8, false) => Outcome::NotAbove,
            _ => Outcome::Other,
        }
    }
}
