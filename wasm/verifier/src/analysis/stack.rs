//! The stack pointer, and what is handed to the runtime through memory.

use super::{
    flow::{Flow, Instruction},
    place::Place,
    state::State,
    value::{Kind, Value},
};
use crate::{image::Role, layout};

/// The deepest that a function may use the stack without comparing it with its limit, in bytes. The
/// host has 512 KiB below the limit (`async_stack_size` in src/sandbox/codegen.rs).
const UNCHECKED_STACK: i64 = 1024;

/// Whether a rule is kept, or why not.
pub(crate) type Kept = Result<(), &'static str>;

/// Functions that call each other compare the stack with its limit, so that no recursion passes it.
pub(crate) fn limit_recursion<const N: usize>(state: &State<N>, caller: Role) -> Kept {
    if caller == Role::Wasm && state.stack_checked.is_none() {
        return Err("it calls and has not compared the stack with its limit");
    }
    Ok(())
}

/// Moves the stack pointer, which has this index, up to a distance from where it was at the entry.
pub(crate) fn move_pointer<const N: usize>(
    state: &mut State<N>,
    pointer: usize,
    value: Value,
    most: i32,
) -> Kept {
    let kept = match value.kind {
        Kind::Stack(at) if at <= most => {
            let at = i64::from(at);
            if state.stack_checked.map_or(at < -UNCHECKED_STACK, |lowest| at < lowest) {
                Err("it uses more stack than was compared with the limit")
            } else {
                Ok(())
            }
        }
        _ => Err("it sets the stack pointer to an unknown address"),
    };
    if let (Kind::Stack(old), Kind::Stack(new)) = (state.registers[pointer].kind, value.kind)
        && new > old
    {
        // A signal may overwrite what is below the stack pointer.
        state.forget_slots(i32::MIN..new);
    }
    state.registers[pointer] = value;
    kept
}

/// Notes what code hands to the runtime's unwinder: where it goes on after a trap.
pub(crate) fn note_handler<const N: usize, I: Instruction>(
    state: &mut State<N>,
    flow: &Flow<I>,
    place: Place,
    kind: Kind,
) -> Kept {
    let Place::Runtime(Kind::Store, field) = place else { return Ok(()) };
    match (field, kind) {
        (layout::STORE_STACK_POINTER, kind) => state.unwound[0] = kind,
        (layout::STORE_FRAME_POINTER, kind) => state.unwound[1] = kind,
        (layout::STORE_HANDLER, Kind::Own(at)) if flow.is_handler(at) => {}
        (layout::STORE_HANDLER, _) => return Err("traps would lead to an unknown address"),
        _ => {}
    }
    Ok(())
}

/// Forgets the array of values that the host may write to during a call.
pub(crate) fn forget_values<const N: usize>(
    state: &mut State<N>,
    top: i32,
    array: Value,
    count: Value,
) -> Kept {
    match (array.kind, count.as_constant()) {
        (Kind::Stack(at), Some(count)) if at >= top && count < 64 => {
            let end = i64::from(at) + layout::VALUE * count.cast_signed();
            state.forget_slots(at..i32::try_from(end).unwrap_or(i32::MAX));
            if end > 0 {
                Err("the host's array of values reaches out of the frame")
            } else {
                Ok(())
            }
        }
        // The call that raises a trap has no array, and does not return.
        _ => {
            state.forget_slots(i32::MIN..i32::MAX);
            Ok(())
        }
    }
}
