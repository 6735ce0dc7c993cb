//! Operands: what registers, immediates and the stack hold, and how they are written.

use iced_x86::{Mnemonic, OpKind, Register};

use super::{
    allowed,
    registers::{BASE, FUEL, RSP},
    step::Step,
};
use crate::{
    analysis::{
        place::Place,
        stack, state,
        value::{Id, Kind, MAX_32, STORED, Sum, Value},
    },
    image::Role,
};

impl Step<'_> {
    /// The value of an operand, extended with zeros to 64 bits.
    pub(super) fn operand(&self, operand: u32, place: Option<Place>) -> Value {
        let instruction = self.instruction;
        match instruction.op_kind(operand) {
            OpKind::Register => {
                let register = instruction.op_register(operand);
                let Some(index) = allowed::any_size(register) else {
                    return Value::new(Id::NONE, Kind::Any);
                };
                let value = self.state.registers[index];
                match register.size() {
                    8 => value,
                    4 => value.low(),
                    2 => Value::new(Id::NONE, Kind::Number(0xffff)),
                    _ => Value::new(Id::NONE, Kind::Number(0xff)),
                }
            }
            OpKind::Memory => match place {
                Some(place) => self.read(place, instruction.memory_size().size() as u64),
                None => Value::new(Id::NONE, Kind::Any),
            },
            _ => {
                let number = instruction.try_immediate(operand).unwrap_or(u64::MAX);
                let is_32 = matches!(instruction.op_kind(operand), OpKind::Immediate32);
                Value::constant(if is_32 { number & MAX_32 } else { number })
            }
        }
    }

    /// What memory holds.
    pub(super) fn read(&self, place: Place, size: u64) -> Value {
        if let (Place::Stack(at), 4 | 8) = (place, size)
            && let Some(value) = self.state.slot(at)
        {
            return if size == 8 { value } else { value.low() };
        }
        Value::new(Id::NONE, self.loaded(place, size))
    }

    /// Puts a value into a 64-bit register.
    pub(super) fn set(&mut self, register: usize, value: Value) {
        match register {
            RSP => return self.set_stack_pointer(value),
            BASE => {
                let is_base =
                    value.kind == Kind::Memory(Sum::default()) || value.id == Id::entry(BASE);
                if self.role() != Role::Entry || !is_base {
                    self.refuse("it writes the register of the base of memory");
                } else {
                    self.count("registers: writes of the base, entry only");
                }
            }
            FUEL => self.note(state::write_fuel(self.role(), value, FUEL)),
            _ => {}
        }
        let id = if value.id == Id::NONE { Id::made(self.index, register) } else { value.id };
        self.state.registers[register] = Value::new(id, value.kind);
        if register == FUEL {
            self.state.forget_other_fuel(id);
        }
    }

    pub(super) fn set_stack_pointer(&mut self, value: Value) {
        let kept = stack::move_pointer(self.state, RSP, value, 0);
        self.require(kept);
    }

    /// Writes to a general register of any size what `kind` says of its new content.
    pub(super) fn set_sized(&mut self, register: Register, value: Value) {
        let Some(index) = allowed::any_size(register) else { return };
        match register.size() {
            8 => self.set(index, value),
            4 => self.set(index, value.low()),
            _ => {
                let is_small =
                    self.state.registers[index].high().is_some_and(|high| high <= MAX_32);
                let kind = if is_small { Kind::Number(MAX_32) } else { Kind::Any };
                self.set(index, Value::new(Id::NONE, kind));
            }
        }
    }

    /// Writes to memory.
    pub(super) fn write(&mut self, place: Place, size: u64, value: Value) {
        let kept = stack::note_handler(self.state, self.flow, place, value.kind);
        self.require(kept);
        if let Place::Stack(at) = place {
            if size == 8 {
                let id = if value.id == Id::NONE { Id::made(self.index, STORED) } else { value.id };
                self.state.set_slot(at, Value::new(id, value.kind));
            } else {
                self.state.forget_slots(at..at.saturating_add(size as i32));
            }
        }
    }

    /// A register that the instruction writes, in the size in which it does: `iced-x86` names the
    /// 64-bit register for 32-bit writes, which clear the upper half.
    pub(super) fn written_as(&self, register: Register) -> Register {
        let instruction = self.instruction;
        let explicit = (0..instruction.op_count())
            .filter(|operand| instruction.op_kind(*operand) == OpKind::Register)
            .map(|operand| instruction.op_register(operand))
            .find(|operand| operand.full_register() == register);
        let has_32_bits = match (explicit, instruction.mnemonic()) {
            (Some(explicit), _) => return explicit,
            (None, Mnemonic::Cdq) => true,
            (None, Mnemonic::Mul | Mnemonic::Imul | Mnemonic::Div | Mnemonic::Idiv) => {
                match instruction.op0_kind() {
                    OpKind::Register => instruction.op0_register().size() == 4,
                    _ => instruction.memory_size().size() == 4,
                }
            }
            _ => false,
        };
        if has_32_bits { register.full_register32() } else { register }
    }

    pub(super) fn push(&mut self, value: Value) {
        let Kind::Stack(top) = self.state.registers[RSP].kind else {
            return self.refuse("the stack pointer is unknown");
        };
        let top = top.saturating_sub(8);
        self.set_stack_pointer(Value::new(Id::NONE, Kind::Stack(top)));
        self.write(Place::Stack(top), 8, value);
        self.count("stack: frame, arguments");
    }

    pub(super) fn pop(&mut self) {
        let Kind::Stack(top) = self.state.registers[RSP].kind else {
            return self.refuse("the stack pointer is unknown");
        };
        if top > -8 {
            self.refuse("it takes more off the stack than is there");
        }
        let value = self.read(Place::Stack(top), 8);
        self.set_stack_pointer(Value::new(Id::NONE, Kind::Stack(top.saturating_add(8))));
        self.set_sized(self.instruction.op0_register(), value);
        self.count("stack: frame, arguments");
    }
}
