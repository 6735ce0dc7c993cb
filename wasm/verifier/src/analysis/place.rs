//! Places that code addresses, which accesses are allowed there, and what loads yield.

use std::ops::Range;

use super::{
    flow::{Flow, Instruction},
    value::{Id, Kind, MAX_32, Sum},
};
use crate::{
    image::Role,
    layout::{self, Field, Layout},
};

/// What an address points to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// Linear memory: its base and this.
    Memory(Sum),
    /// The stack, by the distance from where the stack pointer was at the entry.
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
pub(crate) struct Access {
    pub(crate) size: u64,
    pub(crate) writes: bool,
}

/// The name of what an access reaches, for the counts; or why it is not allowed.
pub(crate) type Checked = Result<&'static str, &'static str>;

impl Place {
    /// What a value and an offset point to.
    pub(crate) fn of(kind: Kind, offset: i64) -> Self {
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
            Kind::Any | Kind::Number(_) | Kind::Low(_) | Kind::Sum(_) => {
                Place::Unproved("its address has an unknown base")
            }
            Kind::Element(_) => {
                Place::Unproved("no comparison with the table's length precedes it")
            }
            other => Place::Runtime(other, offset),
        }
    }

    /// The place that is `by` bytes behind this one.
    pub(crate) fn moved(self, by: u64) -> Self {
        let by = by.cast_signed();
        match self {
            Place::Memory(sum) => Place::of(Kind::Memory(sum), by),
            Place::Stack(at) => Place::of(Kind::Stack(at), by),
            Place::Runtime(kind, offset) => Place::Runtime(kind, offset.saturating_add(by)),
            Place::Table(..) if by != 0 => Place::Unproved("it reads a jump table in pairs"),
            other => other,
        }
    }

    /// What a load yields. `of` identifies the pointer that it goes through.
    pub(crate) fn loaded(self, size: u64, of: Id, layout: Layout) -> Kind {
        let number = match size {
            1 => Kind::Number(0xff),
            2 => Kind::Number(0xffff),
            4 => Kind::Number(MAX_32),
            _ => Kind::Any,
        };
        match self {
            Place::Runtime(Kind::Context, offset) if size == 8 => match layout.field(offset) {
                Field::Store => Kind::Store,
                Field::Builtins => Kind::Builtins,
                Field::TypeIds => Kind::TypeIds,
                Field::MemoryBase => Kind::Memory(Sum::default()),
                Field::MemoryLength => Kind::MemoryLength,
                Field::ImportCode(index) => Kind::ImportCode(index),
                Field::ImportContext(index) => Kind::ImportContext(index),
                Field::TableBase => Kind::TableBase,
                Field::Data if !layout.is_global(offset) => Kind::RuntimeData,
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
            Place::Runtime(Kind::FuncRef(signature), offset) => match (offset, size) {
                (layout::REF_CODE, 8) => Kind::Code(of, signature),
                (layout::REF_SIGNATURE, 4) => Kind::Signature(of),
                (layout::REF_CONTEXT, 8) => Kind::CodeContext(of),
                _ => number,
            },
            _ => number,
        }
    }
}

/// What decides which places a function may access.
pub(crate) struct Rights<'a, I: Instruction> {
    pub(crate) flow: &'a Flow<I>,
    pub(crate) layout: Layout,
    pub(crate) role: Role,
    /// What the stack pointer holds.
    pub(crate) top: Kind,
    /// The end of the frame, and the arguments on the stack.
    pub(crate) frame_end: i64,
    pub(crate) arguments: Range<i64>,
}

impl<I: Instruction> Rights<'_, I> {
    /// Checks an access. `memory` is the name for linear memory.
    pub(crate) fn check(&self, place: Place, access: Access, memory: &'static str) -> Checked {
        match place {
            Place::Memory(sum) if sum.high + access.size > layout::RESERVED => {
                Err("it may be behind the guard region of memory")
            }
            Place::Memory(_) => Ok(memory),
            Place::Stack(at) => self.check_stack(i64::from(at), access),
            Place::Runtime(kind, offset) => self.check_runtime(kind, offset, access),
            Place::Table(at, last) if !access.writes && self.flow.has_entry(at, last) => {
                Ok("code: reads of jump tables")
            }
            Place::Table(..) => Err("its index may be behind the jump table"),
            Place::Constant if access.writes => Err("it writes to code"),
            Place::Constant => Ok("code: reads of constants"),
            Place::Unproved(reason) => Err(reason),
        }
    }

    fn check_stack(&self, at: i64, access: Access) -> Checked {
        let Kind::Stack(top) = self.top else { return Err("the stack pointer is unknown") };
        let end = at + access.size.cast_signed();
        let is_in_frame = at >= i64::from(top) && end <= self.frame_end;
        let is_argument = at >= self.arguments.start && end <= self.arguments.end;
        if is_in_frame || is_argument {
            Ok("stack: frame, arguments")
        } else {
            Err("it is outside of the function's frame and arguments")
        }
    }

    fn check_runtime(&self, kind: Kind, offset: i64, access: Access) -> Checked {
        let Access { size, writes } = access;
        let reads = !writes;
        let within = |end: i64| offset >= 0 && offset.saturating_add(size.cast_signed()) <= end;
        let (is_allowed, name) = match kind {
            Kind::Context => return self.check_context(offset, access),
            Kind::Store if reads => (within(256), "runtime: reads of the store"),
            Kind::Store => {
                let is_written = layout::STORE_WRITTEN.contains(&offset) && size == 8;
                (
                    is_written && self.role != Role::Wasm,
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
        if is_allowed { Ok(name) } else { Err("the runtime's structure has no such field") }
    }

    fn check_context(&self, offset: i64, access: Access) -> Checked {
        let field = self.layout.field(offset);
        let is_allowed = match (field, access.writes) {
            (Field::Unknown, _) => false,
            (Field::Data, true) => self.layout.is_global(offset) && access.size <= 8,
            (Field::Data, false) => access.size <= 8,
            (_, writes) => !writes && access.size == 8,
        };
        if !is_allowed {
            Err("the context of the module has no such field, or none to write")
        } else if field == Field::Data {
            Ok("runtime: globals and data of the context")
        } else {
            Ok("runtime: pointers of the context")
        }
    }
}
