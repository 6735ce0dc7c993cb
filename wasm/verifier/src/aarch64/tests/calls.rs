//! Calls, and copies by the runtime: most need comparisons before them.

use super::{
    CALLEE, CHECK, COPY, OUT_OF_FUEL, PUSH, TRAMPOLINE, assert_accepted, assert_refused, call,
    refused, refused_checked,
};

/// The instructions before the body of a function that compares the stack with its limit.
const BEFORE: usize = PUSH.len() + CHECK.len();

#[test]
fn a_call_into_the_middle_of_a_function_is_refused() {
    assert_accepted(&refused_checked(&[call(CALLEE, BEFORE, 0)]));
    assert_refused(&refused_checked(&[call(CALLEE + 4, BEFORE, 0)]), "the middle of a function");
    assert_refused(&refused_checked(&[call(TRAMPOLINE, BEFORE, 0)]), "calls a trampoline");
}

#[test]
fn a_call_needs_the_context_of_the_module() {
    let refused = refused_checked(&[
        0xaa04_03e2, // mov x2, x4
        call(CALLEE, BEFORE, 1),
    ]);
    assert_refused(&refused, "context is not this module's");
}

#[test]
fn a_call_needs_a_comparison_of_the_stack_with_its_limit() {
    let refused = refused(&[call(CALLEE, PUSH.len(), 0)]);
    assert_refused(&refused, "compared the stack with its limit");
}

#[test]
fn a_call_changes_what_it_does_not_preserve() {
    let code = |callee: u32| {
        refused_checked(&[
            0xaa02_03e0, // mov x0, x2
            0xf940_1c45, // ldr x5, [x2, #56]
            call(callee, BEFORE, 2),
            0xb940_00a6, // ldr w6, [x5]
        ])
    };
    assert_refused(&code(CALLEE), "an unknown base");
    assert_accepted(&code(OUT_OF_FUEL));
}

#[test]
fn fuel_put_aside_is_forgotten_at_a_call() {
    let refused = refused_checked(&[
        0xd100_43ff, // sub sp, sp, #16
        0xaa15_03e0, // mov x0, x21
        0xf900_03e0, // str x0, [sp]
        call(CALLEE, BEFORE, 3),
        0xf940_03e0, // ldr x0, [sp]
        0xaa00_03f5, // mov x21, x0
        0x9100_43ff, // add sp, sp, #16
    ]);
    assert_refused(&refused, "what is no fuel");
}

/// An indirect call by the table, which a test changes.
fn indirect() -> [u32; 17] {
    [
        0xf940_2441, // ldr x1, [x2, #72]
        0x5282_9c86, // mov w6, #5348
        0x2a04_03e7, // mov w7, w4
        0x8b07_0c21, // add x1, x1, x7, lsl #3
        0xd280_0000, // mov x0, #0
        0x6b06_009f, // cmp w4, w6
        0x9a81_2000, // csel x0, x0, x1, hs
        0xf940_0000, // ldr x0, [x0]
        0x927f_f807, // and x7, x0, #-2
        0xb940_10e0, // ldr w0, [x7, #16]
        0xf940_1441, // ldr x1, [x2, #40]
        0xb940_0c21, // ldr w1, [x1, #12]
        0x6b01_001f, // cmp w0, w1
        0x5400_00c1, // b.ne #24
        0xf940_04e0, // ldr x0, [x7, #8]
        0xaa02_03e3, // mov x3, x2
        0xf940_0ce2, // ldr x2, [x7, #24]
    ]
}

/// What is not proved of the call if the instruction of an index is changed.
fn indirect_with(index: usize, word: u32) -> Vec<String> {
    let mut code = indirect().to_vec();
    code[index] = word;
    code.extend([
        0xd63f_0000, // blr x0
        0x1400_0002, // b #8
        0x0000_0001, // udf #1
    ]);
    refused_checked(&code)
}

#[test]
fn an_indirect_call_needs_its_comparisons() {
    assert_accepted(&indirect_with(0, indirect()[0]));
    let changes = [
        // The index is not compared, or with another's.
        (
            5,
            [
                0x6b06_00bf, // cmp w5, w6
            ],
        ),
        (
            6,
            [
                0x9a81_3000, // csel x0, x0, x1, lo
            ],
        ),
        (
            6,
            [
                0x9a81_8000, // csel x0, x0, x1, hi
            ],
        ),
        (
            6,
            [
                0xaa01_03e0, // mov x0, x1
            ],
        ),
        // The element is of eight bytes.
        (
            3,
            [
                0x8b07_1021, // add x1, x1, x7, lsl #4
            ],
        ),
        (
            2,
            [
                0xaa04_03e7, // mov x7, x4
            ],
        ),
        // The signature is not compared.
        (
            12,
            [
                0x6b00_001f, // cmp w0, w0
            ],
        ),
        (
            13,
            [
                0x5400_00c8, // b.hi #24
            ],
        ),
        // Other fields.
        (
            14,
            [
                0xf940_0ce0, // ldr x0, [x7, #24]
            ],
        ),
        (
            16,
            [
                0xf940_04e2, // ldr x2, [x7, #8]
            ],
        ),
        (
            15,
            [
                0xaa04_03e3, // mov x3, x4
            ],
        ),
    ];
    for (index, [word]) in changes {
        let refused = indirect_with(index, word);
        assert!(!refused.is_empty(), "{index}: {word:x}");
    }
}

/// A copy in memory; a test leaves out comparisons by a way that ends in the same place.
fn copy(way: [u32; 2]) -> Vec<String> {
    refused_checked(&[
        0xf940_1c40, // ldr x0, [x2, #56]
        0xf940_2041, // ldr x1, [x2, #64]
        0x2a04_03e7, // mov w7, w4
        0x8b25_40e8, // add x8, x7, w5, uxtw
        0xeb01_011f, // cmp x8, x1
        way[0],
        0x0000_0001, // udf #1
        0x8b26_40e8, // add x8, x7, w6, uxtw
        0xeb01_011f, // cmp x8, x1
        way[1],
        0x0000_0001, // udf #1
        0x8b25_4003, // add x3, x0, w5, uxtw
        0x8b26_4004, // add x4, x0, w6, uxtw
        0xaa07_03e5, // mov x5, x7
        call(COPY, BEFORE, 14),
    ])
}

#[test]
fn a_copy_needs_both_comparisons() {
    let [compared, other] = [
        0x5400_0049, // b.ls #8
        0x5400_0041, // b.ne #8
    ];
    assert_accepted(&copy([compared, compared]));
    assert_refused(&copy([other, compared]), "copies or fills");
    assert_refused(&copy([compared, other]), "copies or fills");
}

#[test]
fn a_jump_or_call_to_a_number_is_refused() {
    let [jump, call] = [
        0xd61f_0080, // br x4
        0xd63f_0080, // blr x4
    ];
    assert_refused(&refused_checked(&[call]), "unknown address");
    assert_refused(&refused_checked(&[jump]), "without a jump table");
}
