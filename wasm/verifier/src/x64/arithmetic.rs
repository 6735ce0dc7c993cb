//! Values of arithmetic instructions.

use iced_x86::{Mnemonic, OpKind};

use super::{
    place::Place,
    step::Step,
    value::{Id, Kind, LARGEST, MAX_32, Sum, Value},
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
                    Mnemonic::Shl => shift(one, other, |high, by| high << by),
                    Mnemonic::Shr => self.shift_right(one, other),
                    _ => self.or(one, other),
                };
                self.wrapped(kind)
            }
            _ => return None,
        };
        Some(self.named(Value::new(Id::NONE, kind)))
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

    /// The result of a 32-bit instruction is only known if it did not wrap.
    fn wrapped(&self, kind: Kind) -> Kind {
        match kind {
            _ if self.size() == 8 => kind,
            Kind::Number(high) | Kind::Sum(Sum { high, .. }) if high <= MAX_32 => kind,
            _ => Kind::Number(MAX_32),
        }
    }

    /// The immediate operand, sign-extended.
    fn immediate(&self) -> Option<i64> {
        let is_immediate =
            !matches!(self.instruction.op1_kind(), OpKind::Register | OpKind::Memory);
        is_immediate.then(|| self.instruction.try_immediate(1).ok())?.map(u64::cast_signed)
    }

    fn add(&self, one: Value, other: Value) -> Kind {
        if self.size() == 8
            && let Some(number) = self.immediate()
        {
            return match one.kind {
                Kind::Memory(sum) => sum.offset(number).map_or(Kind::Any, Kind::Memory),
                Kind::Stack(at) => i32::try_from(i64::from(at).saturating_add(number))
                    .map_or(Kind::Any, Kind::Stack),
                Kind::StackLimit(more) => {
                    more.checked_add_signed(number).map_or(Kind::Any, Kind::StackLimit)
                }
                Kind::Fuel if number >= 0 => Kind::Fuel,
                _ => one.sum().and_then(|sum| sum.offset(number)).map_or(Kind::Any, Kind::Sum),
            };
        }
        match (one.kind, other.kind) {
            (Kind::Own(table), Kind::Offset(of, last)) if table == of => Kind::Target(table, last),
            (Kind::Fuel, _) if other.high().is_some() => Kind::Fuel,
            (_, Kind::Fuel) if one.high().is_some() => Kind::Fuel,
            _ => match (one.kind, one.sum(), other.kind, other.sum()) {
                (Kind::Memory(base), _, _, Some(sum)) | (_, Some(sum), Kind::Memory(base), _) => {
                    self.sum(base, sum).map_or(Kind::Any, Kind::Memory)
                }
                (_, Some(x), _, Some(y)) => self.sum(x, y).map_or(Kind::Any, Kind::Sum),
                _ => Kind::Any,
            },
        }
    }

    fn subtract(&self, one: Value) -> Kind {
        match (one.kind, self.immediate()) {
            (Kind::Stack(at), Some(number)) => {
                i32::try_from(i64::from(at).saturating_sub(number)).map_or(Kind::Any, Kind::Stack)
            }
            (_, Some(number)) => one
                .sum()
                .and_then(|sum| sum.offset(number.checked_neg()?))
                .map_or(Kind::Any, Kind::Sum),
            _ => Kind::Any,
        }
    }

    fn and(&self, one: Value, other: Value) -> Kind {
        if one.kind == Kind::Tagged && self.immediate() == Some(-2) {
            return Kind::FuncRef(None);
        }
        match (one.high(), other.high()) {
            (Some(x), Some(y)) => Kind::Number(x.min(y)),
            (Some(high), None) | (None, Some(high)) => Kind::Number(high),
            _ => Kind::Any,
        }
    }

    fn or(&self, one: Value, other: Value) -> Kind {
        let instruction = self.instruction;
        if instruction.mnemonic() == Mnemonic::Xor
            && instruction.op1_kind() == OpKind::Register
            && instruction.op0_register() == instruction.op1_register()
        {
            return Kind::Sum(Sum::constant(0));
        }
        match (one.high(), other.high()) {
            (Some(x), Some(y)) => {
                Kind::Number((x | y).checked_add(1).map_or(u64::MAX, |n| n.next_power_of_two() - 1))
            }
            _ => Kind::Any,
        }
    }

    fn shift_right(&self, one: Value, other: Value) -> Kind {
        let bits = if self.size() == 8 { 64 } else { 32 };
        let all = if bits == 64 { u64::MAX } else { MAX_32 };
        match (one.high(), other.as_constant()) {
            (high, Some(by)) if by > 0 && by < bits => {
                let high = high.unwrap_or(all) >> by;
                if high < LARGEST { Kind::Number(high) } else { Kind::Any }
            }
            (Some(high), _) => Kind::Number(high),
            _ => Kind::Any,
        }
    }
}

fn shift(one: Value, by: Value, shift: impl Fn(u64, u64) -> u64) -> Kind {
    match (one.high(), by.as_constant()) {
        (Some(high), Some(by)) if by < 16 && shift(high, by) < LARGEST => {
            Kind::Number(shift(high, by))
        }
        _ => Kind::Any,
    }
}
