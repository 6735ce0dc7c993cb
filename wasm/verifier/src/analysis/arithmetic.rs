//! Values that arithmetic leaves.
//!
//! `index` is that of the instruction, which names what it makes.

use super::value::{Id, Kind, LARGEST, MAX_32, SCALED, SUMMED, Sum, Value};

/// A value and a constant.
pub(crate) fn add_constant(one: Value, number: i64) -> Kind {
    match one.kind {
        Kind::Memory(sum) => sum.offset(number).map_or(Kind::Any, Kind::Memory),
        Kind::Stack(at) => {
            i32::try_from(i64::from(at).saturating_add(number)).map_or(Kind::Any, Kind::Stack)
        }
        Kind::StackLimit(more) => {
            more.checked_add_signed(number).map_or(Kind::Any, Kind::StackLimit)
        }
        Kind::Fuel if number >= 0 => Kind::Fuel,
        _ => one.sum().and_then(|sum| sum.offset(number)).map_or(Kind::Any, Kind::Sum),
    }
}

/// Two values.
pub(crate) fn add(one: Value, other: Value, index: usize) -> Kind {
    match (one.kind, other.kind) {
        (Kind::Own(table), Kind::Offset(of, last)) if table == of => Kind::Target(table, last),
        (Kind::Fuel, _) if other.high().is_some() => Kind::Fuel,
        (_, Kind::Fuel) if one.high().is_some() => Kind::Fuel,
        _ => match (one.kind, one.sum(), other.kind, other.sum()) {
            (Kind::Memory(base), _, _, Some(sum)) | (_, Some(sum), Kind::Memory(base), _) => {
                add_sums(base, sum, index).map_or(Kind::Any, Kind::Memory)
            }
            // Three terms: one of the sums stays a term, so that the sum is known again in a copy.
            (_, Some(x), _, Some(y)) => x
                .add(y)
                .or_else(|| x.add(other.term()?))
                .or_else(|| one.term()?.add(y))
                .or_else(|| add_sums(x, y, index))
                .map_or(Kind::Any, Kind::Sum),
            _ => Kind::Any,
        },
    }
}

/// A base and a scaled index.
pub(crate) fn indexed(base: Value, by: Value, scale: u64, index: usize) -> Kind {
    match (base.kind, by.high(), scale) {
        (Kind::TableBase, Some(high), 8) if high <= MAX_32 => return Kind::Element(by.id),
        (Kind::Own(at), Some(high), 4) => return Kind::Offset(at, high),
        _ => {}
    }
    if let (Some(base), Kind::Memory(by), 1) = (base.sum(), by.kind, scale) {
        return add_sums(by, base, index).map_or(Kind::Any, Kind::Memory);
    }
    if by.kind == Kind::Fuel && scale == 1 && base.high().is_some() {
        return Kind::Fuel;
    }
    let term = if scale == 1 { by.term() } else { None };
    let Some(by) = scaled(by, scale, index) else { return Kind::Any };
    match base.kind {
        Kind::Memory(base) => add_sums(base, by, index).map_or(Kind::Any, Kind::Memory),
        Kind::Fuel if by.is_constant() || scale == 1 => Kind::Fuel,
        _ => match base.sum() {
            // Three terms: the index stays a term, so that the sum is known again in a copy.
            Some(base) => base
                .add(by)
                .or_else(|| base.add(term?))
                .or_else(|| add_sums(base, by, index))
                .map_or(Kind::Any, Kind::Sum),
            None => Kind::Any,
        },
    }
}

/// A number times a scale.
pub(crate) fn scaled(by: Value, scale: u64, index: usize) -> Option<Sum> {
    let sum = by.sum()?;
    if scale == 1 {
        return Some(sum);
    }
    let high = sum.high.checked_mul(scale)?;
    let a = if sum.is_constant() { Id::NONE } else { Id::made(index, SCALED) };
    Some(Sum { a, b: Id::NONE, plus: if sum.is_constant() { high } else { 0 }, high })
}

/// The sum of two sums; if it has too many terms, a new term stands for it.
pub(crate) fn add_sums(one: Sum, other: Sum, index: usize) -> Option<Sum> {
    one.add(other).or_else(|| {
        let high = one.high.checked_add(other.high).filter(|high| *high < LARGEST)?;
        Some(Sum { a: Id::made(index, SUMMED), b: Id::NONE, plus: 0, high })
    })
}

/// The bits that two values have both.
pub(crate) fn and(one: Value, other: Value) -> Kind {
    match (one.high(), other.high()) {
        (Some(x), Some(y)) => Kind::Number(x.min(y)),
        (Some(high), None) | (None, Some(high)) => Kind::Number(high),
        _ => Kind::Any,
    }
}

/// The bits that one of two values has, or that one of them has and the other has not.
pub(crate) fn or(one: Value, other: Value) -> Kind {
    match (one.high(), other.high()) {
        (Some(x), Some(y)) => {
            Kind::Number((x | y).checked_add(1).map_or(u64::MAX, |n| n.next_power_of_two() - 1))
        }
        _ => Kind::Any,
    }
}

pub(crate) fn shift_left(one: Value, by: Value) -> Kind {
    match (one.high(), by.as_constant()) {
        (Some(high), Some(by)) if by < 16 && high < LARGEST && high << by < LARGEST => {
            Kind::Number(high << by)
        }
        _ => Kind::Any,
    }
}

/// The result of a logical shift to the right, of a value of 32 or 64 `bits`.
pub(crate) fn shift_right(one: Value, by: Value, bits: u64) -> Kind {
    let all = if bits == 64 { u64::MAX } else { MAX_32 };
    match (one.high(), by.as_constant()) {
        (high, Some(by)) if by > 0 && by < bits => {
            let high = high.unwrap_or(all) >> by;
            if high < LARGEST { Kind::Number(high) } else { Kind::Any }
        }
        (Some(high), _) => Kind::Number(high),
        _ => Kind::Any,
    }
}

/// The result of a 32-bit instruction, which is only known if it did not wrap.
pub(crate) fn wrapped(kind: Kind) -> Kind {
    match kind {
        Kind::Number(high) | Kind::Sum(Sum { high, .. }) if high <= MAX_32 => kind,
        _ => Kind::Number(MAX_32),
    }
}

/// Gives a sum of one term that term's identity: they are equal.
pub(crate) fn named(value: Value) -> Value {
    match value.kind {
        Kind::Sum(Sum { a, b: Id::NONE, plus: 0, high }) if a != Id::NONE => {
            Value::new(a, Kind::Number(high))
        }
        _ => value,
    }
}
