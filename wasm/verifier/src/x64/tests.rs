//! Small functions, each with one access that a rule accepts or refuses.

use iced_x86::code_asm::*;

use super::Instruction;
use crate::{
    analysis::world::World,
    image::{Builtin, Convention, Function, Image, Machine, Role},
    layout::Layout,
};

/// Where the function under test, and the functions that it may call, begin.
const CALLEE: u64 = 0x400;
const OUT_OF_FUEL: u64 = 0x410;
const COPY: u64 = 0x420;
const TRAMPOLINE: u64 = 0x430;
/// The fields of the context for a module that imports nothing.
const TABLE: i32 = 72;
const GLOBAL: i32 = 96;
const LENGTH: i32 = 64;

mod calls;
mod windows;

type Assembled = Result<(), iced_x86::IcedError>;

/// What is not proved of a function of the module with this body.
fn refused(body: impl FnOnce(&mut CodeAssembler) -> Assembled) -> Vec<String> {
    let whole = |a: &mut CodeAssembler| {
        a.push(rbp)?;
        a.mov(rbp, rsp)?;
        body(a)?;
        a.mov(rsp, rbp)?;
        a.pop(rbp)?;
        a.ret()
    };
    refused_whole(Role::Wasm, whole)
}

/// What is not proved of a function that compares the stack with its limit and has this body.
fn refused_checked(body: impl FnOnce(&mut CodeAssembler) -> Assembled) -> Vec<String> {
    let whole = |a: &mut CodeAssembler| {
        let mut overflow = a.create_label();
        a.push(rbp)?;
        a.mov(rbp, rsp)?;
        a.mov(r10, qword_ptr(rdi + 8))?;
        a.mov(r10, qword_ptr(r10 + 24))?;
        a.add(r10, 64)?;
        a.cmp(r10, rsp)?;
        a.ja(overflow)?;
        body(a)?;
        a.mov(rsp, rbp)?;
        a.pop(rbp)?;
        a.ret()?;
        a.set_label(&mut overflow)?;
        a.ud2()
    };
    refused_whole(Role::Wasm, whole)
}

/// What is not proved of a function with this code.
fn refused_whole(role: Role, code: impl FnOnce(&mut CodeAssembler) -> Assembled) -> Vec<String> {
    refused_by(Convention::Unix, role, code)
}

/// What is not proved of a function with this code, by the convention for calls of the host.
fn refused_by(
    convention: Convention,
    role: Role,
    code: impl FnOnce(&mut CodeAssembler) -> Assembled,
) -> Vec<String> {
    let mut assembler = CodeAssembler::new(64).unwrap();
    code(&mut assembler).unwrap();
    let mut text = assembler.assemble(0).unwrap();
    let end = text.len() as u32;
    text.resize(0x440, 0);
    let function = |name: &str, role, start: u64, end: u32| Function {
        name: name.to_owned(),
        role,
        start: start as u32,
        end,
    };
    let mut functions = vec![function("tested", role, 0, end)];
    for (start, role) in [
        (CALLEE, Role::Wasm),
        (OUT_OF_FUEL, Role::Builtin(Builtin::OutOfFuel)),
        (COPY, Role::Builtin(Builtin::Copy)),
        (TRAMPOLINE, Role::Exit),
    ] {
        text[start as usize] = 0xc3;
        functions.push(function("callee", role, start, start as u32 + 1));
    }
    let image = Image {
        machine: Machine::X86_64,
        convention,
        text: &text,
        functions,
        layout: Layout::new(0),
    };
    let (world, _) = World::new::<Instruction>(&image);
    let report = world.examine_changed::<Instruction>(&text, 0);
    report.findings.into_iter().map(|finding| finding.reason).collect()
}

/// The only reason for a refusal.
#[track_caller]
fn assert_refused(refused: &[String], reason: &str) {
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert!(refused[0].contains(reason), "{refused:?}");
}

#[test]
fn a_32_bit_offset_from_the_base_is_accepted() {
    let refused = refused(|a| {
        a.mov(eax, edx)?;
        a.mov(ecx, dword_ptr(r14 + rax + 8))?;
        a.mov(qword_ptr(r14 + 0x100_0000), rcx)
    });
    assert!(refused.is_empty(), "{refused:?}");
}

#[test]
fn an_offset_without_zero_extension_is_refused() {
    assert_refused(&refused(|a| a.mov(ecx, dword_ptr(r14 + rdx))), "an unknown base");
    let signed = refused(|a| {
        a.movsxd(rax, edx)?;
        a.mov(ecx, dword_ptr(r14 + rax))
    });
    assert_refused(&signed, "an unknown base");
}

#[test]
fn a_negative_displacement_is_refused() {
    let below = refused(|a| {
        a.mov(eax, edx)?;
        a.mov(ecx, dword_ptr(r14 + rax - 4))
    });
    assert_refused(&below, "below the base");
    assert_refused(&refused(|a| a.mov(ecx, dword_ptr(r14 - 4))), "below the base");
}

#[test]
fn the_end_of_the_guard_region_is_obeyed() {
    let refused = refused(|a| {
        a.mov(eax, edx)?;
        a.mov(rcx, qword_ptr(r14 + rax + 0x1ff_fff9))
    });
    assert!(refused.is_empty(), "{refused:?}");
}

#[test]
fn the_end_of_the_guard_region_is_violated() {
    let refused = refused(|a| {
        a.mov(eax, edx)?;
        a.mov(rcx, qword_ptr(r14 + rax + 0x1ff_fffa))
    });
    assert_refused(&refused, "behind the guard region");
}

#[test]
fn an_address_formed_before_is_accepted_and_moves_are_followed() {
    let refused = refused(|a| {
        a.sub(rsp, 16)?;
        a.mov(eax, edx)?;
        a.lea(rax, qword_ptr(r14 + rax + 16))?;
        a.mov(qword_ptr(rsp + 8), rax)?;
        a.mov(rcx, qword_ptr(rsp + 8))?;
        a.mov(dword_ptr(rcx + 4), edx)
    });
    assert!(refused.is_empty(), "{refused:?}");
}

#[test]
fn a_stack_slot_that_is_half_overwritten_is_forgotten() {
    let refused = refused(|a| {
        a.sub(rsp, 16)?;
        a.mov(eax, edx)?;
        a.mov(qword_ptr(rsp + 8), rax)?;
        a.mov(dword_ptr(rsp + 12), edx)?;
        a.mov(rcx, qword_ptr(rsp + 8))?;
        a.mov(ecx, dword_ptr(r14 + rcx))
    });
    assert_refused(&refused, "an unknown base");
}

#[test]
fn a_way_that_brings_no_offset_is_found() {
    let refused = refused(|a| {
        let mut join = a.create_label();
        a.mov(rax, rdx)?;
        a.test(ecx, ecx)?;
        a.je(join)?;
        a.mov(eax, edx)?;
        a.set_label(&mut join)?;
        a.mov(ecx, dword_ptr(r14 + rax))
    });
    assert_refused(&refused, "an unknown base");
}

#[test]
fn a_loop_that_grows_an_offset_is_found() {
    let refused = refused(|a| {
        let mut again = a.create_label();
        a.xor(eax, eax)?;
        a.set_label(&mut again)?;
        a.mov(ecx, dword_ptr(r14 + rax))?;
        a.add(rax, 8)?;
        a.test(ecx, ecx)?;
        a.jne(again)
    });
    assert_refused(&refused, "unknown base");
}

#[test]
fn writing_the_base_register_is_refused() {
    for refused in [refused(|a| a.mov(r14, rdx)), refused(|a| a.add(r14d, 1))] {
        assert!(refused[0].contains("the register of the base"), "{refused:?}");
        assert!(refused[1].contains("must preserve"), "{refused:?}");
    }
}

#[test]
fn fuel_may_grow_only() {
    let grown = refused(|a| {
        a.add(r15, 7)?;
        a.mov(rax, r15)?;
        a.mov(ecx, edx)?;
        a.add(rax, rcx)?;
        a.mov(r15, rax)
    });
    assert!(grown.is_empty(), "{grown:?}");
    let put_aside = refused(|a| {
        a.mov(rax, r15)?;
        a.add(r15, 7)?;
        a.mov(r15, rax)
    });
    assert_refused(&put_aside, "what is no fuel");
    assert_refused(&refused(|a| a.add(r15, -1)), "what is no fuel");
    assert_refused(&refused(|a| a.mov(r15, rdx)), "what is no fuel");
}

#[test]
fn fuel_in_an_address_is_refused() {
    assert_refused(&refused(|a| a.mov(eax, dword_ptr(r14 + r15))), "register of fuel");
}

#[test]
fn instructions_that_no_code_generator_makes_are_refused() {
    let reason = "not one of those that the code generator makes";
    assert_refused(&refused(|a| a.wrfsbase(rax)), reason);
    assert_refused(&refused(|a| a.rdtsc()), reason);
    let segment = refused(|a| {
        a.mov(eax, edx)?;
        a.mov(ecx, dword_ptr(r14 + rax).fs())
    });
    assert_refused(&segment, "segment prefix");
}

#[test]
fn system_calls_and_interrupts_are_refused() {
    assert_refused(&refused(|a| a.syscall()), "not one of those");
    assert_refused(&refused(|a| a.int(0x80)), "forbidden instruction");
}

#[test]
fn the_stack_below_and_above_the_frame_is_refused() {
    let reason = "outside of the function's frame";
    assert_refused(&refused(|a| a.mov(qword_ptr(rsp - 8), rax)), reason);
    assert_refused(&refused(|a| a.mov(qword_ptr(rbp + 8), rax)), reason);
    assert_refused(&refused(|a| a.mov(rax, qword_ptr(rbp + 16))), reason);
}

#[test]
fn a_register_that_is_not_restored_is_refused() {
    assert_refused(&refused(|a| a.mov(rbx, rdx)), "must preserve");
    let moved = refused_whole(Role::Wasm, |a| {
        a.push(rdx)?;
        a.ret()
    });
    assert_refused(&moved, "another stack pointer");
}

#[test]
fn a_deep_frame_needs_a_comparison_with_the_limit() {
    assert_refused(&refused(|a| a.sub(rsp, 4096)), "more stack");
    let checked = refused(|a| {
        let mut enough = a.create_label();
        a.mov(r10, qword_ptr(rdi + 8))?;
        a.mov(r10, qword_ptr(r10 + 24))?;
        a.add(r10, 4096)?;
        a.cmp(r10, rsp)?;
        let mut overflow = a.create_label();
        a.ja(overflow)?;
        a.jmp(enough)?;
        a.set_label(&mut overflow)?;
        a.ud2()?;
        a.set_label(&mut enough)?;
        a.sub(rsp, 4096)
    });
    assert!(checked.is_empty(), "{checked:?}");
}

#[test]
fn only_globals_of_the_context_are_written() {
    let global = refused(|a| a.mov(dword_ptr(rdi + GLOBAL), eax));
    assert!(global.is_empty(), "{global:?}");
    for field in [8, 16, 56, TABLE, GLOBAL + 32] {
        assert_refused(&refused(|a| a.mov(qword_ptr(rdi + field), rax)), "none to write");
    }
}

#[test]
fn a_pointer_from_memory_is_not_followed() {
    let refused = refused(|a| {
        a.mov(rax, qword_ptr(r14 + 64))?;
        a.mov(eax, dword_ptr(rax))
    });
    assert_refused(&refused, "unknown base");
}

#[test]
fn an_indirect_call_or_jump_to_a_number_is_refused() {
    assert_refused(&refused(|a| a.call(rdx)), "unknown address");
    assert_refused(&refused(|a| a.jmp(rdx)), "without a jump table");
}

#[test]
fn a_jump_into_an_instruction_is_refused() {
    let refused = refused_whole(Role::Wasm, |a| {
        let mut target = a.create_label();
        a.test(eax, eax)?;
        a.je(target)?;
        // The jump leads to the immediate, `0xc3` (ret).
        a.db(&[0xb8])?;
        a.set_label(&mut target)?;
        a.db(&[0xc3, 0, 0, 0])?;
        a.ret()
    });
    assert_refused(&refused, "middle of an instruction");
}

#[test]
fn code_that_no_way_leads_to_is_refused() {
    let refused = refused_whole(Role::Wasm, |a| {
        a.ret()?;
        a.syscall()
    });
    assert_refused(&refused, "no padding");
}
