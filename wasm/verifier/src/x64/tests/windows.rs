//! Trampolines between the module and the host, by the convention of Windows.

use iced_x86::code_asm::*;

use super::{Assembled, CALLEE, assert_refused, refused_by};
use crate::image::{Convention, Role};

/// An entry by the host, which saves what it changes; the test adds a part in the middle.
fn entry(body: impl FnOnce(&mut CodeAssembler) -> Assembled) -> Vec<String> {
    refused_by(Convention::Windows, Role::Entry, |a| {
        a.push(rbp)?;
        a.mov(rbp, rsp)?;
        a.sub(rsp, 80)?;
        a.mov(qword_ptr(rsp), rdi)?;
        a.mov(qword_ptr(rsp + 8), rsi)?;
        a.movdqu(xmmword_ptr(rsp + 16), xmm6)?;
        body(a)?;
        a.movdqu(xmm6, xmmword_ptr(rsp + 16))?;
        a.mov(rsi, qword_ptr(rsp + 8))?;
        a.mov(rdi, qword_ptr(rsp))?;
        a.mov(rsp, rbp)?;
        a.pop(rbp)?;
        a.ret()
    })
}

#[test]
fn an_entry_on_windows_has_its_own_arguments() {
    let read = |context: AsmRegister64| entry(|a| a.mov(rax, qword_ptr(context + 8)));
    assert!(read(rcx).is_empty());
    assert_refused(&read(rdi), "unknown base");
    let values = entry(|a| a.mov(dword_ptr(r8 + 16), eax));
    assert!(values.is_empty(), "{values:?}");
}

#[test]
fn an_entry_on_windows_preserves_more_registers() {
    let saved = entry(|a| {
        a.xor(esi, esi)?;
        a.xor(edi, edi)?;
        a.movapd(xmm6, xmm0)
    });
    assert!(saved.is_empty(), "{saved:?}");
    assert_refused(&entry(|a| a.movapd(xmm7, xmm0)), "must preserve");
    assert_refused(&entry(|a| a.cvtsi2sd(xmm15, eax)), "must preserve");
    assert_refused(&entry(|a| a.mov(dword_ptr(rsp + 28), eax)), "must preserve");
    assert_refused(&entry(|a| a.movdqu(xmmword_ptr(rsp + 16), xmm7)), "must preserve");
}

#[test]
fn a_call_of_the_module_changes_registers_of_windows() {
    let called = entry(|a| {
        a.mov(rax, qword_ptr(rcx + 8))?;
        a.mov(r15, qword_ptr(rax))?;
        a.mov(r14, qword_ptr(rcx + 56))?;
        a.mov(rdi, rcx)?;
        a.call(CALLEE)
    });
    // The registers that its caller has for the base and for fuel, xmm7 and the others behind it.
    assert_refused(&called, "must preserve");
}

/// A trampoline that reserves `frame` bytes of the stack, keeps a register at `rbp + kept_at`, and
/// calls the host.
fn host_call(frame: i32, kept_at: i32) -> Vec<String> {
    refused_by(Convention::Windows, Role::Exit, |a| {
        a.push(rbp)?;
        a.mov(rbp, rsp)?;
        a.sub(rsp, frame)?;
        a.mov(qword_ptr(rbp + kept_at), rbx)?;
        a.mov(rax, qword_ptr(rdi + 8))?;
        a.lea(r8, qword_ptr(rsp + 32))?;
        a.mov(r9d, 1)?;
        a.mov(rcx, rdi)?;
        a.mov(rdx, rsi)?;
        a.call(rax)?;
        a.mov(rbx, qword_ptr(rbp + kept_at))?;
        // The host preserves `rsi`.
        a.mov(rax, qword_ptr(rsi + 8))?;
        a.mov(rsp, rbp)?;
        a.pop(rbp)?;
        a.ret()
    })
}

#[test]
fn the_host_on_windows_may_write_below_its_arguments() {
    let kept = host_call(64, -8);
    assert!(kept.is_empty(), "{kept:?}");
    // In the 32 bytes at the top of the stack, and in the array of values.
    assert_refused(&host_call(64, -64), "must preserve");
    assert_refused(&host_call(64, -24), "must preserve");
    assert!(!host_call(16, -8).is_empty());
}
