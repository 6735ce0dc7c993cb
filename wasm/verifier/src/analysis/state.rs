//! What is known at a point of a function: registers, stack slots, flags and comparisons.

use std::{collections::HashMap, ops::Range, rc::Rc};

use super::{
    compare::Flags,
    place::Checked,
    value::{Id, Kind, Sum, Value, join},
};
use crate::image::Role;

/// A stack slot of eight bytes, by its distance from the return address.
type Slot = (i32, Value);

/// What is known at a point.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct State<const REGISTERS: usize> {
    pub(crate) registers: [Value; REGISTERS],
    slots: Rc<Vec<Slot>>,
    pub(crate) flags: Flags,
    /// Sums that are at most the length of linear memory, which never shrinks.
    in_memory: Rc<Vec<Sum>>,
    /// The lowest address of the stack that was compared with its limit.
    pub(crate) stack_checked: Option<i64>,
    /// The stack pointer and the frame pointer that the unwinder sets after a trap.
    pub(crate) unwound: [Kind; 2],
}

/// Checks a write to the register of fuel: of fuel, or in an entry of what its caller had there.
pub(crate) fn write_fuel(role: Role, value: Value, register: usize) -> Checked {
    let is_callers = role == Role::Entry && value.id == Id::entry(register);
    if value.kind == Kind::Fuel || is_callers {
        Ok("registers: writes of fuel")
    } else {
        Err("it writes to the register of fuel what is no fuel")
    }
}

impl<const REGISTERS: usize> State<REGISTERS> {
    /// The state at a function's entry.
    pub(crate) fn new(registers: [Value; REGISTERS]) -> Self {
        Self {
            registers,
            slots: Rc::default(),
            flags: Flags::Unknown,
            in_memory: Rc::default(),
            stack_checked: None,
            unwound: [Kind::Any; 2],
        }
    }

    /// What eight bytes of the stack hold, if they were written as a whole.
    pub(crate) fn slot(&self, at: i32) -> Option<Value> {
        let index = self.slots.binary_search_by_key(&at, |slot| slot.0).ok()?;
        Some(self.slots[index].1)
    }

    /// Writes eight bytes of the stack.
    pub(crate) fn set_slot(&mut self, at: i32, value: Value) {
        self.forget_slots(at..at.saturating_add(8));
        let index = self.slots.partition_point(|slot| slot.0 < at);
        Rc::make_mut(&mut self.slots).insert(index, (at, value));
    }

    /// Forgets the slots that these bytes overlap.
    pub(crate) fn forget_slots(&mut self, bytes: Range<i32>) {
        let first = self.slots.partition_point(|slot| slot.0.saturating_add(8) <= bytes.start);
        let end = self.slots.partition_point(|slot| slot.0 < bytes.end);
        if first < end {
            Rc::make_mut(&mut self.slots).drain(first..end);
        }
    }

    /// Notes that a sum is at most the length of linear memory.
    pub(crate) fn note_in_memory(&mut self, sum: Sum) {
        if !self.is_in_memory(sum) {
            Rc::make_mut(&mut self.in_memory).push(sum);
        }
    }

    /// Whether a sum is known to be at most the length of linear memory.
    pub(crate) fn is_in_memory(&self, sum: Sum) -> bool {
        self.in_memory
            .iter()
            .any(|known| (known.a, known.b) == (sum.a, sum.b) && sum.plus <= known.plus)
    }

    /// Changes all places that hold a value of this identity.
    pub(crate) fn refine(&mut self, id: Id, change: impl Fn(Kind) -> Kind) {
        for value in self.registers.iter_mut().filter(|value| value.id == id) {
            value.kind = change(value.kind);
        }
        if self.slots.iter().any(|slot| slot.1.id == id) {
            for slot in Rc::make_mut(&mut self.slots).iter_mut().filter(|slot| slot.1.id == id) {
                slot.1.kind = change(slot.1.kind);
            }
        }
    }

    /// Forgets fuel of another identity than the one that was put into its register: that would be
    /// less than what the register holds.
    pub(crate) fn forget_other_fuel(&mut self, id: Id) {
        let is_old = |value: &Value| value.kind == Kind::Fuel && value.id != id;
        for value in self.registers.iter_mut().filter(|value| is_old(value)) {
            value.kind = Kind::Any;
        }
        if self.slots.iter().any(|slot| is_old(&slot.1)) {
            for slot in Rc::make_mut(&mut self.slots).iter_mut().filter(|slot| is_old(&slot.1)) {
                slot.1.kind = Kind::Any;
            }
        }
    }

    /// What is known after a trap: no registers but the stack pointer and the frame pointer, which
    /// have these indices.
    pub(crate) fn after_unwinding(&self, pointers: [usize; 2], id: impl Fn(usize) -> Id) -> Self {
        let mut state = self.clone();
        for (register, value) in state.registers.iter_mut().enumerate() {
            *value = Value::new(id(register), Kind::Any);
        }
        for (register, kind) in pointers.into_iter().zip(self.unwound) {
            state.registers[register].kind = kind;
        }
        state.flags = Flags::Unknown;
        state
    }
}

/// Gives an identity to each place of each block where values of several makers meet.
#[derive(Default)]
pub(crate) struct Merges {
    numbers: HashMap<(usize, i32), u32>,
}

impl Merges {
    fn id(&mut self, block: usize, place: i32) -> Id {
        let next = self.numbers.len() as u32;
        Id::merged(*self.numbers.entry((block, place)).or_insert(next))
    }
}

/// The entry of a block, for states that come to it.
pub(crate) struct Arrival<'a> {
    pub(crate) block: usize,
    /// The block's instructions.
    pub(crate) makes: Range<usize>,
    pub(crate) merges: &'a mut Merges,
}

impl Arrival<'_> {
    /// Prepares the first state that comes to the block.
    pub(crate) fn first<const N: usize>(&mut self, mut state: State<N>) -> State<N> {
        for register in 0..N {
            state.registers[register] =
                self.forget(state.registers[register], register_place(register));
        }
        if state.slots.iter().any(|slot| self.is_made(slot.1)) {
            let slots = state.slots.iter().map(|slot| (slot.0, self.forget(slot.1, slot.0)));
            state.slots = Rc::new(slots.collect());
        }
        if state.in_memory.iter().any(|sum| self.makes(sum.a) || self.makes(sum.b)) {
            let mut sums = (*state.in_memory).clone();
            sums.retain(|sum| !self.makes(sum.a) && !self.makes(sum.b));
            state.in_memory = Rc::new(sums);
        }
        state.flags = match state.flags {
            Flags::Number(id, _) | Flags::Signature(id, _) if self.makes(id) => Flags::Unknown,
            Flags::Length(sum, _) if self.makes(sum.a) || self.makes(sum.b) => Flags::Unknown,
            other => other,
        };
        state
    }

    /// Merges another state into the one of the block.
    pub(crate) fn merge<const N: usize>(&mut self, into: &mut State<N>, from: State<N>) {
        let from = self.first(from);
        let before = into.clone();
        for register in 0..N {
            let (one, other) = (before.registers[register], from.registers[register]);
            let joined = self.join(one, other, register_place(register));
            into.registers[register] = self.related(joined, [one, other], [&before, &from]);
        }
        if !Rc::ptr_eq(&into.slots, &from.slots) && into.slots != from.slots {
            let mut slots = Vec::with_capacity(into.slots.len());
            for slot in into.slots.iter() {
                if let Some(other) = from.slot(slot.0) {
                    let joined = self.join(slot.1, other, slot.0);
                    let joined = self.related(joined, [slot.1, other], [&before, &from]);
                    slots.push((slot.0, joined));
                }
            }
            into.slots = Rc::new(slots);
        }
        if !into.in_memory.iter().all(|sum| from.is_in_memory(*sum)) {
            Rc::make_mut(&mut into.in_memory).retain(|sum| from.is_in_memory(*sum));
        }
        if into.flags != from.flags {
            into.flags = Flags::Unknown;
        }
        if into.stack_checked != from.stack_checked {
            into.stack_checked = None;
        }
        for (one, other) in into.unwound.iter_mut().zip(from.unwound) {
            if *one != other {
                *one = Kind::Any;
            }
        }
    }

    /// A value that two ways bring to a place.
    fn join(&mut self, one: Value, other: Value, place: i32) -> Value {
        if one == other {
            return one;
        }
        let id = if one.id == other.id { one.id } else { self.merges.id(self.block, place) };
        Value::new(id, join(one.kind, other.kind, id))
    }

    /// An address that is, on both ways, the base of memory and the number in one same place, or in
    /// the low half of it: it is that still.
    fn related<const N: usize>(
        &mut self,
        joined: Value,
        values: [Value; 2],
        states: [&State<N>; 2],
    ) -> Value {
        let [Kind::Memory(one), Kind::Memory(other)] = values.map(|value| value.kind) else {
            return joined;
        };
        let Kind::Memory(sum) = joined.kind else { return joined };
        let is_one_term =
            [one, other].iter().all(|sum| sum.b == Id::NONE && sum.plus == 0 && sum.a != Id::NONE);
        if one.a == other.a || !is_one_term {
            return joined;
        }
        // Whether the terms are these values (then `false`), or the low halves of larger ones.
        let is_half = |values: [Value; 2]| {
            let terms = [one.a, other.a];
            let is_whole = values.map(|value| value.id) == terms;
            (is_whole || values.map(|value| value.low().id) == terms).then_some(!is_whole)
        };
        let in_register = |register: usize| {
            let half = is_half([0, 1].map(|way| states[way].registers[register]))?;
            Some((register_place(register), half))
        };
        let in_slot = |slot: &Slot| Some((slot.0, is_half([slot.1, states[1].slot(slot.0)?])?));
        let place =
            (0..N).find_map(in_register).or_else(|| states[0].slots.iter().find_map(in_slot));
        let Some((place, half)) = place else { return joined };
        let id = self.merges.id(self.block, place);
        let a = if half { id.low() } else { id };
        Value::new(joined.id, Kind::Memory(Sum { a, ..sum }))
    }

    /// Whether the block makes the value of this identity anew.
    fn makes(&self, id: Id) -> bool {
        id.maker().is_some_and(|maker| self.makes.contains(&maker))
    }

    fn is_made(&self, value: Value) -> bool {
        self.makes(value.id)
            || match value.kind {
                Kind::Sum(sum) | Kind::Memory(sum) => self.makes(sum.a) || self.makes(sum.b),
                Kind::Element(id)
                | Kind::Signature(id)
                | Kind::Code(id, _)
                | Kind::CodeContext(id) => self.makes(id),
                _ => false,
            }
    }

    /// Forgets identities that the block makes anew.
    fn forget(&mut self, value: Value, place: i32) -> Value {
        if !self.is_made(value) {
            return value;
        }
        let id = self.merges.id(self.block, place);
        let kind = match value.kind {
            Kind::Sum(sum) => Kind::Number(sum.high),
            Kind::Memory(sum) => Kind::Memory(Sum { a: id, high: sum.high, ..Sum::default() }),
            Kind::Element(_) | Kind::Code(..) | Kind::CodeContext(_) => Kind::Any,
            Kind::Signature(_) => Kind::Number(super::value::MAX_32),
            other => other,
        };
        Value::new(id, kind)
    }
}

/// A place of a register, which no slot has.
fn register_place(register: usize) -> i32 {
    i32::MIN + register as i32
}
