//! One instruction: which rules it must keep, and how it changes what is known.

use super::{
    flow::Flow,
    instruction::{Instruction, Logic, Operand, Operation, Register, Shift},
    registers::{State, low_half},
};
use crate::{
    analysis::{
        arithmetic,
        compare::{self, Flags},
        place::Checked,
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
}

impl Step<'_> {
    /// Checks the instruction, and applies it to the state.
    pub(super) fn run(&mut self) {
        match self.instruction.operation {
            Operation::Add { subtracts, sets_flags, d, n, by } => {
                self.add(subtracts, sets_flags, d, n, by);
            }
            Operation::Logic { logic, sets_flags, d, n, by } => {
                let value = self.logic(logic, n, by);
                self.set(d, value);
                if sets_flags {
                    self.state.flags = Flags::Unknown;
                }
            }
            Operation::Constant { d, number } => self.set(d, Value::constant(number)),
            Operation::Insert { d, bits, shift } => {
                let old = self.get(d).as_constant();
                let value = old.map(|old| Value::constant(old & !(0xffff << shift) | bits));
                self.set(d, value.unwrap_or(Value::UNKNOWN));
            }
            Operation::Field { signed, d, n, rotate, last } => {
                let value = self.field(signed, n, rotate, last);
                self.set(d, value);
            }
            Operation::Choose { .. } => self.choose(),
            Operation::Address { d, to } => {
                let kind = u32::try_from(to).map_or(Kind::Any, Kind::Own);
                self.set(d, Value::new(Id::NONE, kind));
            }
            Operation::Memory(memory) => self.access(memory),
            Operation::Other { d, sets_flags } => {
                self.set(d, Value::UNKNOWN);
                if sets_flags {
                    self.state.flags = Flags::Unknown;
                }
            }
            Operation::Vector { d } => self.set_vector(d, Value::UNKNOWN),
            Operation::Flags => self.state.flags = Flags::Unknown,
            Operation::Jump { .. } | Operation::Branch { .. } | Operation::Trap => {}
            Operation::Call { to } => self.call(Some(to), None),
            Operation::CallRegister { n } => self.call(None, Some(n)),
            Operation::JumpRegister { n } => self.jump(n),
            Operation::Return => self.ret(),
        }
    }

    pub(super) fn role(&self) -> Role {
        self.function.role
    }

    pub(super) fn layout(&self) -> Layout {
        self.world.image.layout
    }

    /// Bytes of arguments on the stack, which this function takes off.
    pub(super) fn pops(&self) -> i32 {
        i32::from(self.world.popped_by(self.function))
    }

    /// Reports a rule that is not proved.
    pub(super) fn refuse(&mut self, reason: &str) {
        if let Some(record) = &mut self.record {
            let instruction = self.instruction;
            record.refuse(self.function, instruction.at, instruction.words(), reason);
        }
    }

    /// Counts something that is proved.
    pub(super) fn count(&mut self, name: &'static str) {
        if let Some(record) = &mut self.record {
            record.report.count(name);
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

    /// What a register holds; with 32 bits, the number in its low half.
    pub(super) fn get(&self, register: Register) -> Value {
        let value = register.map_or(Value::constant(0), |register| self.state.registers[register]);
        if self.instruction.wide { value } else { value.low() }
    }

    /// The second operand of arithmetic.
    fn operand(&self, by: Operand) -> Value {
        match by {
            Operand::Number(number) => Value::constant(number),
            Operand::Shifted { m, by: 0, .. } => self.get(m),
            Operand::Shifted { m, shift, by } => self.shifted(self.get(m), shift, by),
            Operand::Extended { m, extension, by } => {
                let value = self.extended(m, extension);
                if by == 0 { value } else { self.shifted(value, Shift::Left, by) }
            }
        }
    }

    fn add(&mut self, subtracts: bool, sets_flags: bool, d: Register, n: Register, by: Operand) {
        let (one, other) = (self.get(n), self.operand(by));
        let kind = match (subtracts, other.as_constant().and_then(|n| i64::try_from(n).ok())) {
            (true, Some(number)) => arithmetic::add_constant(one, -number),
            (true, None) => Kind::Any,
            (false, Some(number)) => arithmetic::add_constant(one, number),
            (false, None) => self.sum(one, by, other),
        };
        if sets_flags {
            self.state.flags =
                if subtracts { compare::compared(one, other) } else { Flags::Unknown };
        }
        self.set(d, self.computed(kind));
    }

    /// A sum; the second operand may be an index that is scaled.
    fn sum(&self, one: Value, by: Operand, other: Value) -> Kind {
        let (index, scale) = match by {
            Operand::Shifted { m, shift: Shift::Left, by: by @ 1..=4 } => (self.get(m), by),
            Operand::Extended { m, extension, by } => (self.extended(m, extension), by),
            _ => (other, 0),
        };
        if scale == 0 {
            let kind = arithmetic::add(one, index, self.index);
            if kind != Kind::Any {
                return kind;
            }
        }
        arithmetic::indexed(one, index, 1 << scale, self.index)
    }

    /// The result of arithmetic, by its kind.
    pub(super) fn computed(&self, kind: Kind) -> Value {
        let kind = if self.instruction.wide { kind } else { arithmetic::wrapped(kind) };
        arithmetic::named(Value::new(Id::NONE, kind))
    }

    fn logic(&self, logic: Logic, n: Register, by: Operand) -> Value {
        let (one, other) = (self.get(n), self.operand(by));
        let kind = match logic {
            // A move.
            Logic::Or if n.is_none() => return other,
            Logic::And if one.kind == Kind::Tagged && by == Operand::Number(!1) => {
                Kind::FuncRef(None)
            }
            Logic::And => arithmetic::and(one, other),
            Logic::Or | Logic::Xor => arithmetic::or(one, other),
            Logic::Inverted => Kind::Any,
        };
        self.computed(kind)
    }

    fn choose(&mut self) {
        let Operation::Choose { d, yes, no, condition, changed } = self.instruction.operation
        else {
            return;
        };
        if changed {
            // `cset` is the usual one: 0 or 1.
            let is_set = yes.is_none() && no.is_none() && self.instruction.word >> 30 & 1 == 0;
            let kind = if is_set { Kind::Number(1) } else { Kind::Any };
            return self.set(d, self.computed(kind));
        }
        let (yes, no) = (self.get(yes), self.get(no));
        let outcome = condition.outcome(true);
        let (value, length) = compare::choose(self.state.flags, outcome, yes, no, self.index);
        if let Some(length) = length {
            if let Some(record) = &mut self.record {
                record.table_lengths.insert(length);
            }
            self.count("table: indices compared with the length");
        }
        self.set(d, value);
    }

    /// Writes to a register; with 32 bits, the number in the low half of the value.
    pub(super) fn set(&mut self, register: Register, value: Value) {
        let Some(register) = register else { return };
        let value = if self.instruction.wide { value } else { value.low() };
        self.set_whole(register, value);
    }

    /// Writes to a vector register. The value is of its low half.
    pub(super) fn set_vector(&mut self, vector: usize, value: Value) {
        if let Some(place) = low_half(vector) {
            let id = if value.id == Id::NONE { Id::made(self.index, place) } else { value.id };
            self.state.registers[place] = Value::new(id, value.kind);
        }
    }
}
