//! One instruction: which rules it must keep, and how it changes what is known.

use iced_x86::{
    ConditionCode, Instruction, InstructionInfoFactory, Mnemonic, OpAccess, OpKind, Register,
};

use super::{
    allowed,
    flow::Flow,
    registers::{State, halves},
};
use crate::{
    analysis::{
        arithmetic,
        compare::{self, Flags, Outcome},
        place::{Access, Checked, Place},
        record::Record,
        stack::Kept,
        value::{Id, Kind, Value},
        world::{Code as _, World},
    },
    image::{Function, Role},
    layout::Layout,
};

/// An instruction, and what is known before it; afterwards, what is known behind it.
pub(super) struct Step<'a> {
    pub(super) world: &'a World<'a>,
    pub(super) function: &'a Function,
    pub(super) flow: &'a Flow,
    pub(super) state: &'a mut State,
    pub(super) instruction: &'a Instruction,
    /// The instruction's index in the function.
    pub(super) index: usize,
    /// Where findings and counts go, once the state is final.
    pub(super) record: Option<&'a mut Record>,
    pub(super) info: &'a mut InstructionInfoFactory,
}

impl Step<'_> {
    /// Checks the instruction, and applies it to the state.
    pub(super) fn run(&mut self) {
        let place = self.memory_operand();
        let flags = self.flags(place);
        self.apply(place);
        if let Some(flags) = flags {
            self.state.flags = flags;
        } else if self.instruction.rflags_modified() != 0 || self.instruction.is_call_near() {
            self.state.flags = Flags::Unknown;
        }
    }

    pub(super) fn role(&self) -> Role {
        self.function.role
    }

    pub(super) fn layout(&self) -> Layout {
        self.world.image.layout
    }

    /// Bytes of arguments on the stack, which this function takes off.
    pub(super) fn pops(&self) -> u16 {
        self.world.popped_by(self.function)
    }

    /// Reports a rule that is not proved.
    pub(super) fn refuse(&mut self, reason: &str) {
        if let Some(record) = &mut self.record {
            let instruction = self.instruction;
            record.refuse(self.function, instruction.ip32(), instruction.words(), reason);
        }
    }

    /// Counts what is proved, or reports what is not.
    pub(super) fn note(&mut self, checked: Checked) {
        match checked {
            Ok(name) => self.count(name),
            Err(reason) => self.refuse(reason),
        }
    }

    /// Reports a rule that is not kept.
    pub(super) fn require(&mut self, kept: Kept) {
        if let Err(reason) = kept {
            self.refuse(reason);
        }
    }

    /// Counts something that is proved.
    pub(super) fn count(&mut self, name: &'static str) {
        if let Some(record) = &mut self.record {
            record.report.count(name);
        }
    }

    /// Checks the memory operand, if there is one.
    fn memory_operand(&mut self) -> Option<Place> {
        let instruction = self.instruction;
        let operand =
            (0..instruction.op_count()).find(|n| instruction.op_kind(*n) == OpKind::Memory)?;
        if matches!(instruction.mnemonic(), Mnemonic::Lea | Mnemonic::Nop) {
            return None;
        }
        let place = self.place();
        if self.record.is_some() {
            let access = match operand {
                0 => self.info.info(instruction).op0_access(),
                1 => self.info.info(instruction).op1_access(),
                _ => OpAccess::Read,
            };
            let writes = !matches!(access, OpAccess::Read | OpAccess::CondRead);
            let size = instruction.memory_size().size() as u64;
            self.check_access(place, Access { size, writes });
        }
        Some(place)
    }

    /// What the flags say afterwards, if the instruction compares.
    fn flags(&self, place: Option<Place>) -> Option<Flags> {
        if self.instruction.mnemonic() != Mnemonic::Cmp {
            return None;
        }
        let size = match self.instruction.op_kind(0) {
            OpKind::Register => self.instruction.op0_register().size(),
            _ => self.instruction.memory_size().size(),
        };
        if size < 4 {
            return Some(Flags::Unknown);
        }
        Some(compare::compared(self.operand(0, place), self.operand(1, place)))
    }

    /// Applies the instruction to registers and stack.
    fn apply(&mut self, place: Option<Place>) {
        let instruction = self.instruction;
        match instruction.mnemonic() {
            Mnemonic::Mov => self.assign(place, self.operand(1, place)),
            Mnemonic::Lea => {
                let value = Value::new(Id::NONE, self.address_value());
                self.set_sized(instruction.op0_register(), arithmetic::named(value));
            }
            Mnemonic::Push => self.push(self.operand(0, place)),
            Mnemonic::Pop => self.pop(),
            Mnemonic::Call => self.call(place),
            Mnemonic::Ret => self.ret(),
            Mnemonic::Jmp if !instruction.is_jmp_short_or_near() => self.jump(place),
            Mnemonic::Movsxd => {
                let value = self.sign_extended(place);
                self.set_sized(instruction.op0_register(), value);
            }
            Mnemonic::Xchg | Mnemonic::Xadd | Mnemonic::Cmpxchg => self.other(place),
            _ if instruction.condition_code() != ConditionCode::None
                && instruction.op_count() == 2
                && allowed::is_conditional_move(instruction.mnemonic()) =>
            {
                let value = self.conditional(place);
                self.set_sized(instruction.op0_register(), value);
            }
            Mnemonic::Movdqu | Mnemonic::Movups => {
                self.other(place);
                self.move_vector(place);
            }
            _ => match self.computed(place) {
                Some(value) => self.assign(place, value),
                None => self.other(place),
            },
        }
    }

    /// Writes a value to the first operand.
    fn assign(&mut self, place: Option<Place>, value: Value) {
        if self.instruction.op0_kind() == OpKind::Register {
            self.set_sized(self.instruction.op0_register(), value);
        } else if let Some(place) = place {
            let size = self.instruction.memory_size().size() as u64;
            let value = if size == 4 { value.low() } else { value };
            self.write(place, size, value);
        }
    }

    /// Any other instruction: what it writes is unknown.
    fn other(&mut self, place: Option<Place>) {
        for used in self.info.info(self.instruction).used_registers() {
            let is_read = matches!(used.access(), OpAccess::Read | OpAccess::CondRead);
            for half in halves(used.register()).into_iter().flatten().filter(|_| !is_read) {
                self.state.registers[half] = Value::new(Id::made(self.index, half), Kind::Any);
            }
        }
        let mut registers = [Register::None; 8];
        let mut count = 0;
        for used in self.info.info(self.instruction).used_registers() {
            let is_read =
                matches!(used.access(), OpAccess::Read | OpAccess::CondRead | OpAccess::None);
            if !is_read && allowed::any_size(used.register()).is_some() {
                registers[count.min(7)] = used.register();
                count += 1;
            }
        }
        if count > registers.len() {
            self.refuse("it writes more registers than are looked at");
        }
        for register in registers.into_iter().take(count) {
            let register = self.written_as(register);
            self.set_sized(register, Value::new(Id::NONE, Kind::Any));
        }
        if let Some(Place::Stack(at)) = place {
            let size = self.instruction.memory_size().size() as i32;
            let operand_0_is_read = self.info.info(self.instruction).op0_access() == OpAccess::Read;
            if self.instruction.op0_kind() == OpKind::Memory && !operand_0_is_read {
                self.state.forget_slots(at..at.saturating_add(size));
            }
        }
    }

    /// Moves both halves of a vector register to the stack, or back.
    fn move_vector(&mut self, place: Option<Place>) {
        let instruction = self.instruction;
        let Some(Place::Stack(at)) = place else { return };
        let is_load = instruction.op1_kind() == OpKind::Memory;
        let register =
            if is_load { instruction.op0_register() } else { instruction.op1_register() };
        for (half, at) in halves(register).into_iter().flatten().zip([at, at.saturating_add(8)]) {
            match self.state.slot(at) {
                Some(value) if is_load => self.state.registers[half] = value,
                None if is_load => {}
                _ => self.state.set_slot(at, self.state.registers[half]),
            }
        }
    }

    /// The value that `movsxd` yields.
    fn sign_extended(&self, place: Option<Place>) -> Value {
        if let Some(Place::Table(at, last)) = place {
            return Value::new(Id::NONE, Kind::Offset(at, last));
        }
        let value = self.operand(1, place);
        match value.high() {
            Some(high) if high <= i32::MAX as u64 => value,
            _ => Value::new(Id::NONE, Kind::Any),
        }
    }

    /// The value that a conditional move leaves.
    fn conditional(&mut self, place: Option<Place>) -> Value {
        let (old, new) = (self.operand(0, place), self.operand(1, place));
        let outcome = outcome(self.instruction.condition_code(), true);
        let (value, length) = compare::choose(self.state.flags, outcome, new, old, self.index);
        if let Some(length) = length {
            if let Some(record) = &mut self.record {
                record.table_lengths.insert(length);
            }
            self.count("table: indices compared with the length");
        }
        value
    }
}

/// What a condition says of a comparison if it holds, or does not.
pub(super) fn outcome(condition: ConditionCode, holds: bool) -> Outcome {
    use ConditionCode::{a, ae, b, be, e, ne};
    match (condition, holds) {
        (e, true) | (ne, false) => Outcome::Equal,
        (b, true) | (ae, false) => Outcome::Below,
        (ae, true) | (b, false) => Outcome::NotBelow,
        (a, true) | (be, false) => Outcome::Above,
        (be, true) | (a, false) => Outcome::NotAbove,
        _ => Outcome::Other,
    }
}
