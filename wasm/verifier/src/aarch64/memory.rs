//! Loads and stores: the place that each addresses, and what it yields.

use super::{
    instruction::{Address, Form, Memory, SP, Target},
    registers::{FUEL, low_half},
    step::Step,
};
use crate::analysis::{
    arithmetic,
    place::{Access, Place, Rights},
    stack,
    value::{Id, Kind, STORED, Sum, Value},
};

impl Step<'_> {
    /// Checks a load or store, and applies it.
    pub(super) fn access(&mut self, memory: Memory) {
        let place = self.place(memory.address);
        let sizes = if memory.other.is_some() { 2 * memory.size } else { memory.size };
        if let Address::Before(base, offset) = memory.address {
            self.move_base(base, offset);
        }
        let of = memory.address.base().map_or(Id::NONE, |base| self.state.registers[base].id);
        self.check_access(memory, place, sizes);
        let second = place.moved(memory.size);
        if memory.writes {
            self.store(place, memory.size, memory.one, STORED);
            if let Some(other) = memory.other {
                self.store(second, memory.size, other, STORED + 1);
            }
        } else {
            // Both are read before the first register is written.
            let values =
                [place, second].map(|place| self.read(place, memory.size, memory.form, of));
            self.load(memory.one, values[0]);
            if let Some(other) = memory.other {
                self.load(other, values[1]);
            }
        }
        if let Address::After(base, offset) = memory.address {
            self.move_base(base, offset);
        }
    }

    /// What an address points to.
    fn place(&self, address: Address) -> Place {
        let registers = &self.state.registers;
        let (base, kind, offset) = match address {
            Address::Code(_) => return Place::Constant,
            Address::Base(base, offset) | Address::Before(base, offset) => {
                (base, registers[base].kind, offset)
            }
            Address::After(base, _) => (base, registers[base].kind, 0),
            Address::Indexed { base, index, low, shift } => {
                if index == Some(FUEL) {
                    return Place::Unproved("the register of fuel is in an address");
                }
                let index = index.map_or(Value::constant(0), |index| registers[index]);
                let index = if low { index.low() } else { index };
                match index.as_constant().and_then(|number| i64::try_from(number << shift).ok()) {
                    Some(number) => (base, registers[base].kind, number),
                    None => {
                        let kind =
                            arithmetic::indexed(registers[base], index, 1 << shift, self.index);
                        (base, kind, 0)
                    }
                }
            }
        };
        if base == FUEL {
            return Place::Unproved("the register of fuel is in an address");
        }
        Place::of(kind, offset)
    }

    /// Adds to the base of an address.
    fn move_base(&mut self, base: usize, offset: i64) {
        let kind = arithmetic::add_constant(self.state.registers[base], offset);
        self.set_whole(base, arithmetic::named(Value::new(Id::NONE, kind)));
    }

    fn check_access(&mut self, memory: Memory, place: Place, size: u64) {
        let name = match (memory.address, place) {
            (Address::Indexed { base, .. }, _)
                if self.state.registers[base].kind == Kind::Memory(Sum::default()) =>
            {
                "memory: base + 32-bit offset + constant"
            }
            (_, Place::Memory(sum)) if sum.is_constant() => "memory: base + constant",
            _ => "memory: address formed from base and offset before",
        };
        let rights = Rights {
            flow: self.flow,
            layout: self.layout(),
            role: self.role(),
            top: self.state.registers[SP].kind,
            frame_end: 0,
            arguments: 0..i64::from(self.pops()),
        };
        // Fields of the runtime are accessed one by one.
        let parts = match place {
            Place::Runtime(..) => size / memory.size,
            _ => 1,
        };
        for part in 0..parts {
            let access = Access { size: size / parts, writes: memory.writes };
            let checked = rights.check(place.moved(part * memory.size), access, name);
            if let Some(record) = &mut self.record {
                match checked {
                    Ok(name) => record.report.count(name),
                    Err(reason) => self.instruction.refuse(record, self.function, reason),
                }
            }
        }
    }

    /// What memory holds.
    fn read(&self, place: Place, size: u64, form: Form, of: Id) -> Value {
        match (form, place, size) {
            (Form::Plain, ..) => {}
            (Form::Signed, Place::Table(at, last), 4) => {
                return Value::new(Id::NONE, Kind::Offset(at, last));
            }
            _ => return Value::UNKNOWN,
        }
        let value = match place {
            Place::Stack(at) if size >= 4 => self.state.slot(at).unwrap_or(Value::UNKNOWN),
            _ => Value::UNKNOWN,
        };
        match (value.kind, size) {
            _ if value != Value::UNKNOWN && size == 4 => value.low(),
            _ if value != Value::UNKNOWN => value,
            _ => Value::new(Id::NONE, place.loaded(size, of, self.layout())),
        }
    }

    fn load(&mut self, target: Target, value: Value) {
        match target {
            Target::General(register) => self.set(register, value),
            Target::Vector(vector) => self.set_vector(vector, value),
        }
    }

    fn store(&mut self, place: Place, size: u64, target: Target, number: usize) {
        let value = match target {
            Target::General(None) => Value::constant(0),
            Target::General(Some(register)) => self.state.registers[register],
            Target::Vector(vector) => {
                low_half(vector).map_or(Value::UNKNOWN, |place| self.state.registers[place])
            }
        };
        let kept = stack::note_handler(self.state, self.flow, place, value.kind);
        self.require(kept);
        let Place::Stack(at) = place else { return };
        let end = at.saturating_add(size as i32);
        self.state.forget_slots(at..end);
        if size >= 8 {
            let id = if value.id == Id::NONE { Id::made(self.index, number) } else { value.id };
            self.state.set_slot(at, Value::new(id, value.kind));
        }
    }
}
