//! Values of arithmetic instructions.

use iced_x86::{Mnemonic, OpKind};

use super::step::Step;
use crate::analysis::{
    arithmetic,
    place::Place,
    value::{Id, Kind, Sum, Value},
};

impl Step<'_> {
    /// What an arithmetic instruction leaves in its first operand; `None` if nothing is known.
    ///
    /// A 32-bit instruction leaves a 32-bit number; the caller cuts the value.
    pub(super) fn computed(&self, place: Option<Place>) -> Option<Value> {
        let instruction = self.instruction;
        let kind = match instruction.mnemonic() {
            Mnemonic::Movzx => match self.source_size() {
                1 => Kind::Number(0xff),
                _ => Kind::Number(0xffff),
            },
            mnemonic @ (Mnemonic::Add
            | Mnemonic::Sub
            | Mnemonic::And
            | Mnemonic::Or
            | Mnemonic::Xor
            | Mnemonic::Shl
            | Mnemonic::Shr) => {
                if instruction.op_count() != 2 || self.size() < 4 {
                    return None;
                }
                let (one, other) = (self.operand(0, place), self.operand(1, place));
                let kind = match mnemonic {
                    Mnemonic::Add => self.add(one, other),
                    Mnemonic::Sub => self.subtract(one),
                    Mnemonic::And => self.and(one, other),
                    Mnemonic::Shl => arithmetic::shift_left(one, other),
                    Mnemonic::Shr => arithmetic::shift_right(one, other, self.size() as u64 * 8),
                    _ => self.or(one, other),
                };
                if self.size() == 8 { kind } else { arithmetic::wrapped(kind) }
            }
            _ => return None,
        };
        Some(arithmetic::named(Value::new(Id::NONE, kind)))
    }

    /// The size of the first operand in bytes.
    fn size(&self) -> usize {
        match self.instruction.op0_kind() {
            OpKind::Register => self.instruction.op0_register().size(),
            _ => self.instruction.memory_size().size(),
        }
    }

    fn source_size(&self) -> usize {
        match self.instruction.op1_kind() {
            OpKind::Register => self.instruction.op1_register().size(),
            _ => self.instruction.memory_size().size(),
        }
    }

    /// The immediate operand, sign-extended.
    fn immediate(&self) -> Option<i64> {
        let is_immediate =
            !matches!(self.instruction.op1_kind(), OpKind::Register | OpKind::Memory);
        is_immediate.then(|| self.instruction.try_immediate(1).ok())?.map(u64::cast_signed)
    }

    fn add(&self, one: Value, other: Value) -> Kind {
        match self.immediate() {
            Some(number) if self.size() == 8 => arithmetic::add_constant(one, number),
            _ => arithmetic::add(one, other, self.index),
        }
    }

    fn subtract(&self, one: Value) -> Kind {
        let number = self.immediate().and_then(i64::checked_neg);
        number.map_or(Kind::Any, |number| arithmetic::add_constant(one, number))
    }

    fn and(&self, one: Value, other: Value) -> Kind {
        if one.kind == Kind::Tagged && self.immediate() == Some(-2) {
            return Kind::FuncRef(None);
        }
        arithmetic::and(one, other)
    }

    fn or(&self, one: Value, other: Value) -> Kind {
        let instruction = self.instruction;
        if instruction.mnemonic() == Mnemonic::Xor
            && instruction.op1_kind() == OpKind::Register
            && instruction.op0_register() == instruction.op1_register()
        {
            return Kind::Sum(Sum::constant(0));
        }
        arithmetic::or(one, other)
    }
}
