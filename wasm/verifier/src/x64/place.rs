//! Addresses.

use iced_x86::Register;

use super::{allowed, registers::RSP, step::Step};
use crate::analysis::{
    arithmetic,
    place::{Access, Place, Rights},
    value::{Id, Kind, Sum, Value},
};

impl Step<'_> {
    /// What the memory operand points to.
    pub(super) fn place(&self) -> Place {
        let instruction = self.instruction;
        if instruction.memory_base() == Register::RIP {
            return Place::Constant;
        }
        if [instruction.memory_base(), instruction.memory_index()].contains(&Register::R15) {
            return Place::Unproved("the register of fuel is in an address");
        }
        let (kind, offset) = self.address();
        Place::of(kind, offset)
    }

    /// The kind of the operand's base and index together, and its displacement.
    fn address(&self) -> (Kind, i64) {
        let instruction = self.instruction;
        let displacement = instruction.memory_displacement64().cast_signed();
        let value = |register: Register| match allowed::full(register) {
            Some(index) => Some(self.state.registers[index]),
            None if register == Register::None => Some(Value::constant(0)),
            None => None,
        };
        let (Some(base), Some(index)) =
            (value(instruction.memory_base()), value(instruction.memory_index()))
        else {
            return (Kind::Any, displacement);
        };
        let scale = u64::from(instruction.memory_index_scale());
        let kind = if instruction.memory_index() == Register::None {
            base.kind
        } else if instruction.memory_base() == Register::None {
            arithmetic::scaled(index, scale, self.index).map_or(Kind::Any, Kind::Sum)
        } else {
            arithmetic::indexed(base, index, scale, self.index)
        };
        (kind, displacement)
    }

    /// The value that `lea` forms.
    pub(super) fn address_value(&self) -> Kind {
        let instruction = self.instruction;
        if instruction.memory_base() == Register::RIP {
            return Kind::Own(instruction.ip_rel_memory_address() as u32);
        }
        let (kind, offset) = self.address();
        match kind {
            Kind::Memory(sum) => sum.offset(offset).map_or(Kind::Any, Kind::Memory),
            Kind::Number(high) => {
                let id = allowed::full(instruction.memory_base())
                    .map(|base| self.state.registers[base].id);
                let sum = id
                    .map(|a| Sum { a, b: Id::NONE, plus: 0, high })
                    .and_then(|sum| sum.offset(offset));
                sum.map_or(Kind::Any, Kind::Sum)
            }
            Kind::Sum(sum) => sum.offset(offset).map_or(Kind::Any, Kind::Sum),
            Kind::Stack(at) => {
                i32::try_from(i64::from(at).saturating_add(offset)).map_or(Kind::Any, Kind::Stack)
            }
            Kind::Fuel if offset >= 0 => Kind::Fuel,
            Kind::StackLimit(more) => match more.checked_add_signed(offset) {
                Some(more) => Kind::StackLimit(more),
                None => Kind::Any,
            },
            Kind::Element(id) if offset == 0 => Kind::Element(id),
            _ if offset == 0 && instruction.memory_index() == Register::None => kind,
            _ => Kind::Any,
        }
    }

    /// Checks an access and counts it.
    pub(super) fn check_access(&mut self, place: Place, access: Access) {
        let is_formed_before = self.instruction.memory_base() != Register::R14
            && self.instruction.memory_index() != Register::R14;
        let memory = match place {
            _ if is_formed_before => "memory: address formed from base and offset before",
            Place::Memory(sum) if sum.is_constant() => "memory: base + constant",
            _ => "memory: base + 32-bit offset + constant",
        };
        let pops = i64::from(self.pops());
        let rights = Rights {
            flow: self.flow,
            layout: self.layout(),
            role: self.role(),
            top: self.state.registers[RSP].kind,
            frame_end: 0,
            arguments: 8..8 + pops,
        };
        // The frame pointer leads to the caller's return address, which trampolines hand on.
        let is_return_address =
            place == Place::Stack(0) && access == (Access { size: 8, writes: false });
        match rights.check(place, access, memory) {
            Ok(name) => self.count(name),
            Err(_) if is_return_address => self.count("stack: frame, arguments"),
            Err(reason) => self.refuse(reason),
        }
    }

    /// What a load yields.
    pub(super) fn loaded(&self, place: Place, size: u64) -> Kind {
        let base = allowed::full(self.instruction.memory_base());
        let of = base.map_or(Id::NONE, |base| self.state.registers[base].id);
        place.loaded(size, of, self.layout())
    }
}
