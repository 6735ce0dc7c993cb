//! Addresses: what they point to, which accesses are allowed there, and what loads yield.

use iced_x86::Register;

use super::{
    allowed,
    state::RSP,
    step::Step,
    value::{Id, Kind, MAX_32, Sum, Value},
};
use crate::{
    image::Role,
    layout::{self, Field},
};

/// What an instruction's memory operand points to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// Linear memory: its base and this.
    Memory(Sum),
    /// The stack, by the distance from the return address.
    Stack(i32),
    /// A pointer of the runtime, and an offset.
    Runtime(Kind, i64),
    /// The entries of a jump table at an address, up to an index.
    Table(u32, u64),
    /// A constant in the code.
    Constant,
    /// Not known; with the reason.
    Unproved(&'static str),
}

/// How an access is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Access {
    pub(super) size: u64,
    pub(super) writes: bool,
}

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
        match kind {
            Kind::Memory(sum) => match sum.offset(offset) {
                Some(sum) => Place::Memory(sum),
                None => Place::Unproved("it may be below the base of memory"),
            },
            Kind::Stack(at) => match i64::from(at).checked_add(offset).map(i32::try_from) {
                Some(Ok(at)) => Place::Stack(at),
                _ => Place::Unproved("it is far from the stack"),
            },
            Kind::Offset(at, last) if offset == 0 => Place::Table(at, last),
            Kind::Any | Kind::Number(_) | Kind::Sum(_) => {
                Place::Unproved("its address has an unknown base")
            }
            Kind::Element(_) => {
                Place::Unproved("no comparison with the table's length precedes it")
            }
            other => Place::Runtime(other, offset),
        }
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
            self.scaled(index, scale).map_or(Kind::Any, Kind::Sum)
        } else {
            self.indexed(base, index, scale)
        };
        (kind, displacement)
    }

    /// The kind of a base and a scaled index.
    fn indexed(&self, base: Value, index: Value, scale: u64) -> Kind {
        match (base.kind, index.high(), scale) {
            (Kind::TableBase, Some(high), 8) if high <= MAX_32 => return Kind::Element(index.id),
            (Kind::Own(at), Some(high), 4) => return Kind::Offset(at, high),
            _ => {}
        }
        if let (Some(base), Kind::Memory(index), 1) = (base.sum(), index.kind, scale) {
            return self.sum(index, base).map_or(Kind::Any, Kind::Memory);
        }
        if index.kind == Kind::Fuel && scale == 1 && base.high().is_some() {
            return Kind::Fuel;
        }
        let term = if scale == 1 { index.term() } else { None };
        let Some(index) = self.scaled(index, scale) else { return Kind::Any };
        match base.kind {
            Kind::Memory(base) => self.sum(base, index).map_or(Kind::Any, Kind::Memory),
            Kind::Fuel if index.is_constant() || scale == 1 => Kind::Fuel,
            _ => match base.sum() {
                // Three terms: the index stays a term, so that the sum is known again in a copy.
                Some(base) => base
                    .add(index)
                    .or_else(|| base.add(term?))
                    .or_else(|| self.sum(base, index))
                    .map_or(Kind::Any, Kind::Sum),
                None => Kind::Any,
            },
        }
    }

    /// A number times a scale.
    fn scaled(&self, index: Value, scale: u64) -> Option<Sum> {
        let sum = index.sum()?;
        if scale == 1 {
            return Some(sum);
        }
        let high = sum.high.checked_mul(scale)?;
        let a = if sum.is_constant() { Id::NONE } else { Id::made(self.index, 16) };
        Some(Sum { a, b: Id::NONE, plus: if sum.is_constant() { high } else { 0 }, high })
    }

    /// The sum of two sums; if it has too many terms, a new term stands for it.
    pub(super) fn sum(&self, one: Sum, other: Sum) -> Option<Sum> {
        one.add(other).or_else(|| {
            let high =
                one.high.checked_add(other.high).filter(|high| *high < super::value::LARGEST)?;
            Some(Sum { a: Id::made(self.index, 17), b: Id::NONE, plus: 0, high })
        })
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
        let Access { size, writes } = access;
        match place {
            Place::Memory(sum) => {
                if sum.high + size > layout::RESERVED {
                    self.refuse("it may be behind the guard region of memory");
                } else if self.instruction.memory_base() != Register::R14
                    && self.instruction.memory_index() != Register::R14
                {
                    self.count("memory: address formed from base and offset before");
                } else if sum.is_constant() {
                    self.count("memory: base + constant");
                } else {
                    self.count("memory: base + 32-bit offset + constant");
                }
            }
            Place::Stack(at) => self.check_stack(at, access),
            Place::Runtime(kind, offset) => self.check_runtime(kind, offset, access),
            Place::Table(at, last) => {
                let last_byte = u64::from(at) + 4 * last + 4;
                let known = self.flow.tables.values().any(|table| {
                    table.at == at
                        && last_byte <= u64::from(table.at) + 4 * table.targets.len() as u64
                });
                if writes || !known {
                    self.refuse("its index may be behind the jump table");
                } else {
                    self.count("code: reads of jump tables");
                }
            }
            Place::Constant if writes => self.refuse("it writes to code"),
            Place::Constant => self.count("code: reads of constants"),
            Place::Unproved(reason) => self.refuse(reason),
        }
    }

    fn check_stack(&mut self, at: i32, access: Access) {
        let Kind::Stack(top) = self.state.registers[RSP].kind else {
            return self.refuse("the stack pointer is unknown");
        };
        let end = i64::from(at) + access.size as i64;
        let is_in_frame = at >= top && end <= 0;
        let is_argument = at >= 8 && end <= 8 + i64::from(self.pops());
        // The frame pointer leads to the caller's return address, which trampolines hand on.
        let is_return_address = at == 0 && access.size == 8 && !access.writes;
        if is_in_frame || is_argument || is_return_address {
            self.count("stack: frame, arguments");
        } else {
            self.refuse("it is outside of the function's frame and arguments");
        }
    }

    fn check_runtime(&mut self, kind: Kind, offset: i64, access: Access) {
        let Access { size, writes } = access;
        let reads = !writes;
        let within = |end: i64| offset >= 0 && offset + (size as i64) <= end;
        let (is_allowed, name) = match kind {
            Kind::Context => return self.check_context(offset, access),
            Kind::Store if reads => (within(256), "runtime: reads of the store"),
            Kind::Store => {
                let is_written = layout::STORE_WRITTEN.contains(&offset) && size == 8;
                (
                    is_written && self.role() != Role::Wasm,
                    "runtime: writes of trampolines to the store",
                )
            }
            Kind::Builtins => {
                (reads && size == 8 && within(1024), "runtime: reads of its functions")
            }
            Kind::TypeIds => {
                (reads && size == 4 && within(4 << 16), "runtime: reads of signatures")
            }
            Kind::HostContext => (
                reads && size == 8 && offset == layout::HOST_FUNCTION,
                "runtime: reads of host functions",
            ),
            Kind::Values => (within(64 * layout::VALUE), "runtime: values of trampolines"),
            Kind::Slot => (reads && size == 8 && offset == 0, "table: elements, index compared"),
            Kind::FuncRef(_) => (
                reads
                    && matches!(
                        (offset, size),
                        (layout::REF_SIGNATURE, 4) | (layout::REF_CODE | layout::REF_CONTEXT, 8)
                    ),
                "table: reads of functions",
            ),
            _ => (false, ""),
        };
        if is_allowed {
            self.count(name);
        } else {
            self.refuse("the runtime's structure has no such field");
        }
    }

    fn check_context(&mut self, offset: i64, access: Access) {
        let layout = self.layout();
        let field = layout.field(offset);
        let is_allowed = match (field, access.writes) {
            (Field::Unknown, _) => false,
            (Field::Data, true) => layout.is_global(offset) && access.size <= 8,
            (Field::Data, false) => access.size <= 8,
            (_, writes) => !writes && access.size == 8,
        };
        if !is_allowed {
            self.refuse("the context of the module has no such field, or none to write");
        } else if field == Field::Data {
            self.count("runtime: globals and data of the context");
        } else {
            self.count("runtime: pointers of the context");
        }
    }

    /// What a load yields.
    pub(super) fn loaded(&self, place: Place, size: u64) -> Kind {
        let number = match size {
            1 => Kind::Number(0xff),
            2 => Kind::Number(0xffff),
            4 => Kind::Number(MAX_32),
            _ => Kind::Any,
        };
        match place {
            Place::Runtime(Kind::Context, offset) if size == 8 => match self.layout().field(offset)
            {
                Field::Store => Kind::Store,
                Field::Builtins => Kind::Builtins,
                Field::TypeIds => Kind::TypeIds,
                Field::MemoryBase => Kind::Memory(Sum::default()),
                Field::MemoryLength => Kind::MemoryLength,
                Field::ImportCode(index) => Kind::ImportCode(index),
                Field::ImportContext(index) => Kind::ImportContext(index),
                Field::TableBase => Kind::TableBase,
                Field::Data if !self.layout().is_global(offset) => Kind::RuntimeData,
                Field::Data | Field::Unknown => Kind::Any,
            },
            Place::Runtime(Kind::Store, layout::STORE_FUEL) if size == 8 => Kind::Fuel,
            Place::Runtime(Kind::Store, layout::STORE_STACK_LIMIT) if size == 8 => {
                Kind::StackLimit(0)
            }
            Place::Runtime(Kind::Builtins, _) if size == 8 => Kind::HostFunction,
            Place::Runtime(Kind::HostContext, layout::HOST_FUNCTION) if size == 8 => {
                Kind::HostFunction
            }
            Place::Runtime(Kind::TypeIds, offset) if size == 4 && offset % 4 == 0 => {
                u32::try_from(offset / 4).map_or(number, Kind::Expected)
            }
            Place::Runtime(Kind::Slot, 0) if size == 8 => Kind::Tagged,
            Place::Runtime(Kind::FuncRef(signature), offset) => {
                let of = self.pointer().id;
                match (offset, size) {
                    (layout::REF_CODE, 8) => Kind::Code(of, signature),
                    (layout::REF_SIGNATURE, 4) => Kind::Signature(of),
                    (layout::REF_CONTEXT, 8) => Kind::CodeContext(of),
                    _ => number,
                }
            }
            _ => number,
        }
    }

    /// The value of the operand's base register.
    fn pointer(&self) -> Value {
        let base = allowed::full(self.instruction.memory_base());
        base.map_or(Value::new(Id::NONE, Kind::Any), |base| self.state.registers[base])
    }
}
