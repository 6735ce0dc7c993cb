//! Calls, and copies by the runtime: most need comparisons before them.

use iced_x86::code_asm::*;

use super::{
    Assembled, CALLEE, COPY, LENGTH, OUT_OF_FUEL, TABLE, TRAMPOLINE, assert_refused, refused,
    refused_checked,
};

#[test]
fn a_call_into_the_middle_of_a_function_is_refused() {
    let accepted = refused_checked(|a| a.call(CALLEE));
    assert!(accepted.is_empty(), "{accepted:?}");
    assert_refused(&refused_checked(|a| a.call(CALLEE + 1)), "the middle of a function");
    assert_refused(&refused_checked(|a| a.call(TRAMPOLINE)), "calls a trampoline");
}

#[test]
fn a_call_needs_the_context_of_the_module() {
    let refused = refused_checked(|a| {
        a.mov(rdi, rdx)?;
        a.call(CALLEE)
    });
    assert_refused(&refused, "context is not this module's");
}

#[test]
fn a_call_changes_what_it_does_not_preserve() {
    let code = |callee: u64| {
        move |a: &mut CodeAssembler| {
            a.mov(eax, edx)?;
            a.call(callee)?;
            a.mov(ecx, dword_ptr(r14 + rax))
        }
    };
    assert_refused(&refused_checked(code(CALLEE)), "unknown base");
    assert!(refused_checked(code(OUT_OF_FUEL)).is_empty());
}

#[test]
fn a_call_needs_a_comparison_of_the_stack_with_its_limit() {
    assert_refused(&refused(|a| a.call(CALLEE)), "compared the stack with its limit");
}

/// An indirect call by the table, from which a test can leave out a part.
fn indirect(a: &mut CodeAssembler, bound: bool, signature: bool, context: bool) -> Assembled {
    let mut trap = a.create_label();
    let mut end = a.create_label();
    a.mov(rax, qword_ptr(rdi + TABLE))?;
    a.mov(ecx, edx)?;
    a.lea(rax, qword_ptr(rax + rcx * 8))?;
    a.xor(esi, esi)?;
    a.cmp(edx, 4506)?;
    if bound {
        a.cmovae(rax, rsi)?;
    }
    a.mov(rax, qword_ptr(rax))?;
    a.and(rax, -2)?;
    a.mov(ecx, dword_ptr(rax + 16))?;
    a.mov(rdx, qword_ptr(rdi + 40))?;
    a.cmp(ecx, dword_ptr(rdx + 12))?;
    if signature {
        a.jne(trap)?;
    }
    a.mov(rsi, rdi)?;
    if context {
        a.mov(rdi, qword_ptr(rax + 24))?;
    }
    a.mov(rax, qword_ptr(rax + 8))?;
    a.call(rax)?;
    a.jmp(end)?;
    if signature {
        a.set_label(&mut trap)?;
        a.ud2()?;
    }
    a.set_label(&mut end)?;
    a.zero_bytes()
}

#[test]
fn an_indirect_call_with_all_comparisons_is_accepted() {
    let refused = refused_checked(|a| indirect(a, true, true, true));
    assert!(refused.is_empty(), "{refused:?}");
}

#[test]
fn an_indirect_call_needs_its_comparisons() {
    let unbound = refused_checked(|a| indirect(a, false, true, true));
    assert!(unbound[0].contains("the table's length"), "{unbound:?}");
    assert_refused(&refused_checked(|a| indirect(a, true, false, true)), "signature of the callee");
    assert_refused(&refused_checked(|a| indirect(a, true, true, false)), "another function's");
}

/// A copy in memory, from which a test can leave out a comparison.
fn copy(a: &mut CodeAssembler, target: bool, source: bool) -> Assembled {
    copy_of_length(a, target, source, |a| a.mov(ecx, ecx), |_| Ok(()))
}

/// A copy with a length of the test's, which the test can change after the comparisons.
fn copy_of_length(
    a: &mut CodeAssembler,
    target: bool,
    source: bool,
    length: impl FnOnce(&mut CodeAssembler) -> Assembled,
    change: impl FnOnce(&mut CodeAssembler) -> Assembled,
) -> Assembled {
    let mut trap = a.create_label();
    let mut end = a.create_label();
    a.mov(eax, edx)?;
    a.mov(edx, r8d)?;
    length(a)?;
    for (is_compared, start) in [(target, rax), (source, rdx)] {
        a.lea(r10, qword_ptr(start + rcx))?;
        a.cmp(r10, qword_ptr(rdi + LENGTH))?;
        if is_compared {
            a.ja(trap)?;
        }
    }
    change(a)?;
    a.lea(rsi, qword_ptr(r14 + rax))?;
    a.add(rdx, r14)?;
    a.call(COPY)?;
    a.jmp(end)?;
    if target || source {
        a.set_label(&mut trap)?;
        a.ud2()?;
    }
    a.set_label(&mut end)?;
    a.zero_bytes()
}

#[test]
fn a_copy_needs_both_comparisons() {
    let accepted = refused(|a| copy(a, true, true));
    assert!(accepted.is_empty(), "{accepted:?}");
    assert_refused(&refused(|a| copy(a, false, true)), "copies or fills");
    assert_refused(&refused(|a| copy(a, true, false)), "copies or fills");
}

#[test]
fn a_copy_with_the_sum_of_two_numbers_is_known() {
    let length = |a: &mut CodeAssembler| {
        a.movzx(r8d, word_ptr(r14 + rax))?;
        a.movzx(r9d, word_ptr(r14 + rdx))?;
        a.lea(ecx, dword_ptr(r8 + r9 * 2))
    };
    let accepted = refused(|a| copy_of_length(a, true, true, length, |_| Ok(())));
    assert!(accepted.is_empty(), "{accepted:?}");
    assert_refused(
        &refused(|a| copy_of_length(a, false, true, length, |_| Ok(()))),
        "copies or fills",
    );
    let grown = |a: &mut CodeAssembler| a.lea(ecx, dword_ptr(r8 + r9 * 4));
    assert_eq!(refused(|a| copy_of_length(a, true, true, length, grown)).len(), 2);
}
