//! What calls need.

use super::{
    place::Checked,
    state::State,
    value::{Kind, Sum, Value},
};
use crate::image::Role;

/// Checks a call of a function of the module or the runtime: its context must be the module's.
pub(crate) fn direct(caller: Role, callee: Role, context: Kind) -> Checked {
    if context != Kind::Context {
        return Err("the callee's context is not this module's");
    }
    match callee {
        Role::Wasm => Ok("calls: direct"),
        Role::Builtin(_) if caller == Role::Wasm => Ok("calls: functions of the runtime"),
        _ => Err("it calls a trampoline"),
    }
}

/// Checks a call through a pointer: its target, and the contexts of the callee and of the caller.
pub(crate) fn indirect(callee: Kind, role: Role, context: Kind, caller: Kind) -> Checked {
    const OTHERS: &str = "the callee's context is another function's";
    match (callee, role) {
        (Kind::Code(of, Some(_)), Role::Wasm) => {
            if context != Kind::CodeContext(of) || caller != Kind::Context {
                return Err(OTHERS);
            }
            Ok("calls: indirect, signature compared")
        }
        (Kind::Code(_, None), Role::Wasm) => Err("the signature of the callee was not compared"),
        (Kind::ImportCode(import), Role::Wasm) => {
            if context != Kind::ImportContext(import) || caller != Kind::Context {
                return Err(OTHERS);
            }
            Ok("calls: imported functions")
        }
        (Kind::HostFunction, Role::Exit | Role::Builtin(_)) => {
            Ok("calls: the host, by trampolines")
        }
        _ => Err("it calls an unknown address"),
    }
}

/// Checks a range that the host copies or fills without a check of its own.
pub(crate) fn copy<const N: usize>(state: &State<N>, pointer: Value, length: Value) -> Checked {
    if pointer.kind == Kind::RuntimeData {
        return Ok("copies: from data of the runtime (length not proved)");
    }
    // The length as a sum, or as the term that an addition adds if it is a sum of two.
    let is_end_in_memory = |length: Option<Sum>| match (pointer.kind, length) {
        (Kind::Memory(start), Some(length)) => {
            start.add(length).is_some_and(|end| state.is_in_memory(end))
        }
        _ => false,
    };
    if is_end_in_memory(length.sum()) || is_end_in_memory(length.term()) {
        Ok("copies: ranges compared with the length of memory")
    } else {
        Err("the range that it copies or fills was not compared with the length of memory")
    }
}
