//! Values of registers: how they are extended, shifted and written.

use super::{
    instruction::{Extension, Register, SP, Shift},
    registers::{FRAME, FUEL},
    step::Step,
};
use crate::analysis::{
    arithmetic, stack, state,
    value::{Id, Kind, LARGEST, Value},
};

impl Step<'_> {
    /// The low bits of a register, extended to the size of the instruction.
    pub(super) fn extended(&self, m: Register, extension: Extension) -> Value {
        let value = m.map_or(Value::constant(0), |m| self.state.registers[m]);
        let value = match extension.bits {
            64 => return value,
            32 => value.low(),
            bits => {
                let most = (1 << bits) - 1;
                match value.high() {
                    Some(high) if high <= most => value,
                    _ => Value::new(Id::NONE, Kind::Number(most)),
                }
            }
        };
        let positive = 1 << (extension.bits - 1);
        let is_changed = extension.signed && value.high().is_none_or(|high| high >= positive);
        if is_changed { Value::UNKNOWN } else { value }
    }

    /// A value shifted by a constant that is not zero.
    pub(super) fn shifted(&self, value: Value, shift: Shift, by: u32) -> Value {
        let by = Value::constant(u64::from(by));
        let bits = if self.instruction.wide { 64 } else { 32 };
        let kind = match shift {
            Shift::Left => arithmetic::shift_left(value, by),
            Shift::Right => arithmetic::shift_right(value, by, bits),
            Shift::Other => Kind::Any,
        };
        self.computed(kind)
    }

    /// Bits `rotate` to `last` of a register as a number, or, if `last` is below `rotate`, bits 0 to
    /// `last` shifted up by the size of the register less `rotate`.
    pub(super) fn field(&self, signed: bool, n: Register, rotate: u32, last: u32) -> Value {
        let bits = if self.instruction.wide { 64 } else { 32 };
        let value = self.get(n);
        if rotate == 0 && matches!(last, 7 | 15 | 31) {
            return self.extended(n, Extension { signed, bits: last + 1 });
        }
        if signed {
            return Value::UNKNOWN;
        }
        if last + 1 == rotate {
            return self.shifted(value, Shift::Left, bits - rotate);
        }
        if last < rotate {
            return Value::UNKNOWN;
        }
        let shifted = if rotate == 0 { value } else { self.shifted(value, Shift::Right, rotate) };
        let most = (1u64 << (last - rotate)).saturating_mul(2).saturating_sub(1);
        if last + 1 == bits {
            return shifted;
        }
        if most >= LARGEST {
            return Value::UNKNOWN;
        }
        self.computed(arithmetic::and(shifted, Value::new(Id::NONE, Kind::Number(most))))
    }

    /// Puts a value into a whole register.
    pub(super) fn set_whole(&mut self, register: usize, value: Value) {
        match register {
            SP => {
                let kept = stack::move_pointer(self.state, SP, value, self.pops());
                return self.require(kept);
            }
            FRAME => self.check_frame_pointer(value),
            FUEL => self.note(state::write_fuel(self.role(), value, FUEL)),
            _ => {}
        }
        let id = if value.id == Id::NONE { Id::made(self.index, register) } else { value.id };
        self.state.registers[register] = Value::new(id, value.kind);
        if register == FUEL {
            self.state.forget_other_fuel(id);
        }
    }

    /// The runtime follows the frame pointer from frame to frame when it describes a trap.
    fn check_frame_pointer(&mut self, value: Value) {
        let is_own = matches!(value.kind, Kind::Stack(_));
        if !is_own && value.id != Id::entry(FRAME) {
            self.refuse("it sets the frame pointer to an unknown address");
        }
    }
}
