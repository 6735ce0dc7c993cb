//! What is known of a value: the domain of the abstract interpretation.

/// Numbers from here on are not tracked: sums of tracked numbers cannot wrap.
pub(crate) const LARGEST: u64 = 1 << 48;
/// The largest value of a 32-bit register.
pub(crate) const MAX_32: u64 = u32::MAX as u64;
/// Set in the identity of the low 32 bits of a value.
const LOW: u32 = 1 << 31;
/// Set in the identity of a value that has several makers.
const MERGED: u32 = 1 << 30;
/// Added to the index of an instruction: smaller numbers identify what a function is entered with.
const FIRST: u32 = 1;
/// Functions may have fewer instructions than this, for identities to be distinct.
pub(crate) const MOST_INSTRUCTIONS: usize = (1 << 24) - 2;
/// Numbers of what an instruction makes beside its results in registers: a scaled index, a sum of
/// many terms, what it stores (a second time in the next number), and one of two values.
pub(crate) const SCALED: usize = 59;
pub(crate) const SUMMED: usize = 60;
pub(crate) const STORED: usize = 61;
pub(crate) const CHOSEN: usize = 63;

/// Identifies a value within a function: equal identities mean equal values.
///
/// A value is identified by where it was made. Making it again gives it the same identity, so a
/// state that enters a block forgets all identities that the block makes (`state.rs`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub(crate) struct Id(u32);

impl Id {
    /// No value.
    pub(crate) const NONE: Id = Id(0);

    /// What a register held when the function was entered.
    pub(crate) fn entry(register: usize) -> Id {
        Id(1 + register as u32)
    }

    /// What the instruction of this index left in a register.
    pub(crate) fn made(instruction: usize, register: usize) -> Id {
        Id((instruction as u32 + FIRST) << 6 | register as u32)
    }

    /// What is in a place when a block is entered over different ways; `number` stands for both.
    pub(crate) fn merged(number: u32) -> Id {
        Id(MERGED | number)
    }

    /// The instruction that made the value, or its low half.
    pub(crate) fn maker(self) -> Option<usize> {
        let id = self.0 & !LOW;
        (id & MERGED == 0 && id >> 6 >= FIRST).then(|| ((id >> 6) - FIRST) as usize)
    }

    /// The low 32 bits of the value, as a number.
    pub(crate) fn low(self) -> Id {
        if self == Id::NONE { self } else { Id(self.0 | LOW) }
    }
}

/// The number `a + b + plus`, at most `high`. `a` and `b` are numbers, or [`Id::NONE`] for 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Sum {
    pub(crate) a: Id,
    pub(crate) b: Id,
    pub(crate) plus: u64,
    pub(crate) high: u64,
}

impl Sum {
    /// A constant.
    pub(crate) fn constant(number: u64) -> Sum {
        Sum { plus: number, high: number, ..Sum::default() }
    }

    /// The sum of two sums, if it has two terms at most and is small.
    pub(crate) fn add(self, other: Sum) -> Option<Sum> {
        let high = self.high.checked_add(other.high).filter(|high| *high < LARGEST)?;
        let mut ids = [self.a, self.b, other.a, other.b];
        ids.sort_unstable_by(|x, y| y.cmp(x));
        let [a, b, Id::NONE, Id::NONE] = ids else { return None };
        Some(Sum { a, b, plus: self.plus + other.plus, high })
    }

    /// This sum and a constant, which may be negative if the sum stays positive for sure.
    pub(crate) fn offset(self, by: i64) -> Option<Sum> {
        let plus = self.plus.checked_add_signed(by)?;
        let high = self.high.checked_add_signed(by).filter(|high| *high < LARGEST)?;
        Some(Sum { plus, high, ..self })
    }

    /// Whether the sum is a constant.
    pub(crate) fn is_constant(self) -> bool {
        self.a == Id::NONE
    }
}

/// The kind of a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// Anything.
    Any,
    /// A number of 64 bits, at most this.
    Number(u64),
    /// Anything whose low 32 bits are a number, at most this.
    Low(u64),
    /// A sum of numbers.
    Sum(Sum),
    /// An address in linear memory: its base and a sum.
    Memory(Sum),
    /// The address of the return address on the stack, and this.
    Stack(i32),
    /// The module's `VMContext`.
    Context,
    /// The `VMStoreContext`.
    Store,
    /// The array of the runtime's functions.
    Builtins,
    /// The array of the module's signatures, as the runtime numbers them.
    TypeIds,
    /// The length of linear memory.
    MemoryLength,
    /// The code and the context of an imported function.
    ImportCode(u32),
    ImportContext(u32),
    /// The elements of the table.
    TableBase,
    /// The element with the index `0`, which no one has compared yet.
    Element(Id),
    /// An element that the table has, or null.
    Slot,
    /// What an element holds: a `VMFuncRef` with a mark in its lowest bit, or 0.
    Tagged,
    /// A `VMFuncRef` or null, with the index of its signature once that is compared.
    FuncRef(Option<u32>),
    /// The signature of the `VMFuncRef` with this identity, as the runtime numbers it.
    Signature(Id),
    /// The signature with this index, as the runtime numbers it.
    Expected(u32),
    /// The code and the context of the `VMFuncRef` with this identity.
    Code(Id, Option<u32>),
    CodeContext(Id),
    /// The address of a segment of data that the runtime keeps.
    RuntimeData,
    /// A function of the host.
    HostFunction,
    /// The context of a trampoline to the host.
    HostContext,
    /// The host's array of arguments and results.
    Values,
    /// Fuel, never less than it was.
    Fuel,
    /// The lowest address of the stack that wasm may use, and this.
    StackLimit(u64),
    /// An address in the function itself.
    Own(u32),
    /// The offset that an entry of a jump table holds, and the last index that it can have.
    Offset(u32, u64),
    /// An address from a jump table.
    Target(u32, u64),
}

/// A value: its kind and its identity.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Value {
    pub(crate) id: Id,
    pub(crate) kind: Kind,
}

impl Value {
    /// A value of which nothing is known.
    pub(crate) const UNKNOWN: Value = Value { id: Id::NONE, kind: Kind::Any };

    pub(crate) fn new(id: Id, kind: Kind) -> Self {
        Self { id, kind }
    }

    /// A constant. Negative ones are large numbers, which are not tracked.
    pub(crate) fn constant(number: u64) -> Self {
        let kind = if number < LARGEST { Kind::Sum(Sum::constant(number)) } else { Kind::Any };
        Self { id: Id::NONE, kind }
    }

    /// The value as a sum, if it is a number.
    pub(crate) fn sum(self) -> Option<Sum> {
        match self.kind {
            Kind::Number(high) if self.id != Id::NONE => {
                Some(Sum { a: self.id, b: Id::NONE, plus: 0, high })
            }
            Kind::Sum(sum) => Some(sum),
            _ => None,
        }
    }

    /// The value as a sum of one term, which stands for a sum of two.
    pub(crate) fn term(self) -> Option<Sum> {
        match self.kind {
            Kind::Sum(sum) if sum.b != Id::NONE && self.id != Id::NONE => {
                Some(Sum { a: self.id, b: Id::NONE, plus: 0, high: sum.high })
            }
            _ => None,
        }
    }

    /// The largest number that it can be.
    pub(crate) fn high(self) -> Option<u64> {
        match self.kind {
            Kind::Number(high) | Kind::Sum(Sum { high, .. }) => Some(high),
            Kind::Signature(_) | Kind::Expected(_) => Some(MAX_32),
            Kind::MemoryLength => Some(1 << 32),
            _ => None,
        }
    }

    /// The value as a constant.
    pub(crate) fn as_constant(self) -> Option<u64> {
        match self.kind {
            Kind::Sum(sum) if sum.is_constant() => Some(sum.plus),
            _ => None,
        }
    }

    /// The low 32 bits, extended with zeros.
    pub(crate) fn low(self) -> Value {
        match (self.high(), self.kind) {
            (Some(high), _) if high <= MAX_32 => self,
            (_, Kind::Low(high)) => Value::new(self.id.low(), Kind::Number(high)),
            _ => Value::new(self.id.low(), Kind::Number(MAX_32)),
        }
    }
}

/// The least bound of a short list that is not below a number: bounds that grow in a loop end soon.
fn widened(high: u64) -> Option<u64> {
    const BOUNDS: &[u64] = &[0xff, 0xffff, i32::MAX as u64, MAX_32, 1 << 33, 1 << 36, 1 << 40];
    BOUNDS.iter().copied().find(|bound| high <= *bound)
}

/// The kind of a value that has one of two kinds, and then the identity `id`.
pub(crate) fn join(one: Kind, other: Kind, id: Id) -> Kind {
    match (one, other) {
        _ if one == other => one,
        (Kind::Memory(x), Kind::Memory(y)) => match widened(x.high.max(y.high)) {
            Some(high) => Kind::Memory(Sum { a: id, high, ..Sum::default() }),
            None => Kind::Any,
        },
        (Kind::FuncRef(_), Kind::FuncRef(_)) => Kind::FuncRef(None),
        _ => match (Value::new(id, one).high(), Value::new(id, other).high()) {
            (Some(x), Some(y)) => widened(x.max(y)).map_or(Kind::Any, Kind::Number),
            _ => Kind::Any,
        },
    }
}
