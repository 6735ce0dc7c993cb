//! Comparisons: what they say on the ways out of a branch, and in a choice of two values.

use super::{
    arithmetic,
    state::State,
    value::{CHOSEN, Id, Kind, Sum, Value, join},
};

/// What the flags compare.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Flags {
    Unknown,
    /// A value with a constant, as unsigned numbers.
    Number(Id, u64),
    /// The signature of a `VMFuncRef` with the one of an index.
    Signature(Id, u32),
    /// A sum with the length of linear memory; `true`: the length comes first.
    Length(Sum, bool),
    /// The lowest address that wasm may use plus this, with an address of the stack; `true`: the
    /// stack comes first.
    StackLimit(u64, i32, bool),
}

/// How the first of two compared numbers relates to the second, both without a sign.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    Equal,
    Below,
    NotBelow,
    Above,
    NotAbove,
    Other,
}

/// What the comparison of two values means. The values must be whole, or their low 32 bits.
pub(crate) fn compared(one: Value, other: Value) -> Flags {
    match (one.kind, other.kind) {
        (Kind::Signature(of), Kind::Expected(index))
        | (Kind::Expected(index), Kind::Signature(of)) => Flags::Signature(of, index),
        (Kind::StackLimit(more), Kind::Stack(at)) => Flags::StackLimit(more, at, false),
        (Kind::Stack(at), Kind::StackLimit(more)) => Flags::StackLimit(more, at, true),
        (Kind::MemoryLength, _) => {
            other.sum().map_or(Flags::Unknown, |sum| Flags::Length(sum, true))
        }
        (_, Kind::MemoryLength) => {
            one.sum().map_or(Flags::Unknown, |sum| Flags::Length(sum, false))
        }
        _ => match other.as_constant() {
            Some(constant) if one.id != Id::NONE => Flags::Number(one.id, constant),
            _ => Flags::Unknown,
        },
    }
}

/// What is known once the last comparison has had an outcome.
pub(crate) fn refine<const N: usize>(state: &mut State<N>, outcome: Outcome) {
    use Outcome::{Above, Below, Equal, NotAbove, NotBelow};
    match (state.flags, outcome) {
        (Flags::Signature(of, index), Equal) => {
            state.refine(of, |kind| match kind {
                Kind::FuncRef(_) => Kind::FuncRef(Some(index)),
                other => other,
            });
        }
        (Flags::Length(sum, false), Below | NotAbove)
        | (Flags::Length(sum, true), Above | NotBelow) => state.note_in_memory(sum),
        (Flags::StackLimit(more, at, false), Below | NotAbove)
        | (Flags::StackLimit(more, at, true), Above | NotBelow) => {
            state.stack_checked = Some(i64::from(at) - more.cast_signed());
        }
        _ => {}
    }
}

/// One of two values: `yes` if the comparison has the outcome.
///
/// Returns the length as well, if the choice is between an element of the table and null.
pub(crate) fn choose(
    flags: Flags,
    outcome: Outcome,
    yes: Value,
    no: Value,
    index: usize,
) -> (Value, Option<u64>) {
    let (mut one, mut other) = (yes, no);
    if let (Flags::Number(id, bound), Outcome::Below | Outcome::NotBelow) = (flags, outcome) {
        if outcome == Outcome::NotBelow {
            (one, other) = (no, yes);
        }
        if one.kind == Kind::Element(id) && other.as_constant() == Some(0) {
            return (Value::new(Id::NONE, Kind::Slot), Some(bound));
        }
        let below = bound.saturating_sub(1);
        if bound == 0 {
            // Nothing is below zero.
        } else if one.id == id {
            one.kind = Kind::Number(one.high().map_or(below, |high| high.min(below)));
        } else if one.id.low() == id {
            one.kind = Kind::Low(below);
        }
    }
    let kind = match (one.high(), other.high()) {
        (Some(x), Some(y)) if one.kind != other.kind => Kind::Number(x.max(y)),
        _ => match (one.kind, other.as_constant()) {
            (Kind::Low(x), Some(y)) => Kind::Low(x.max(y)),
            _ => join(one.kind, other.kind, Id::made(index, CHOSEN)),
        },
    };
    let id = if one.id == other.id { one.id } else { Id::NONE };
    (arithmetic::named(Value::new(id, kind)), None)
}
