//! Small functions, each with one access that a rule accepts or refuses.
//!
//! Instructions are words, with the text that an assembler makes them of.

use super::Instruction;
use crate::{
    analysis::world::World,
    image::{Builtin, Convention, Function, Image, Machine, Role},
    layout::Layout,
};

mod accesses;
mod calls;
mod stack;

/// Where the function under test, and the functions that it may call, begin.
const CALLEE: u32 = 0x400;
const OUT_OF_FUEL: u32 = 0x410;
const COPY: u32 = 0x420;
const TRAMPOLINE: u32 = 0x430;

const RETURN: u32 = 0xd65f_03c0;
const PUSH: [u32; 2] = [
    0xa9bf_7bfd, // stp x29, x30, [sp, #-16]!
    0x9100_03fd, // mov x29, sp
];
const POP: [u32; 2] = [
    0xa8c1_7bfd, // ldp x29, x30, [sp], #16
    RETURN,
];
/// Compares the stack with its limit, and traps at once if it is passed.
const CHECK: [u32; 6] = [
    0xf940_0450, // ldr x16, [x2, #8]
    0xf940_0e10, // ldr x16, [x16, #24]
    0x9101_0210, // add x16, x16, #64
    0xeb30_63ff, // cmp sp, x16
    0x5400_0042, // b.hs #8
    0x0000_c11f, // udf #49439
];

/// What is not proved of a function of the module with this body.
fn refused(body: &[u32]) -> Vec<String> {
    refused_whole(Role::Wasm, &[&PUSH[..], body, &POP].concat())
}

/// What is not proved of a function that compares the stack with its limit and has this body.
fn refused_checked(body: &[u32]) -> Vec<String> {
    refused(&[&CHECK[..], body].concat())
}

/// What is not proved of a function with this code.
fn refused_whole(role: Role, code: &[u32]) -> Vec<String> {
    let mut words = code.to_vec();
    let end = words.len() as u32 * 4;
    words.resize(0x110, 0);
    let function = |role, start, end| Function { name: "function".to_owned(), role, start, end };
    let mut functions = vec![function(role, 0, end)];
    for (start, role) in [
        (CALLEE, Role::Wasm),
        (OUT_OF_FUEL, Role::Builtin(Builtin::OutOfFuel)),
        (COPY, Role::Builtin(Builtin::Copy)),
        (TRAMPOLINE, Role::Exit),
    ] {
        words[start as usize / 4] = RETURN;
        functions.push(function(role, start, start + 4));
    }
    let text: Vec<u8> = words.into_iter().flat_map(u32::to_le_bytes).collect();
    let image = Image {
        machine: Machine::Aarch64,
        convention: Convention::Unix,
        text: &text,
        functions,
        layout: Layout::new(0),
    };
    let (world, _) = World::new::<Instruction>(&image);
    let report = world.examine_changed::<Instruction>(&text, 0);
    report.findings.into_iter().map(|finding| finding.reason).collect()
}

/// A direct call, as the instruction with this index of a body; `before` are those before the body.
fn call(target: u32, before: usize, index: usize) -> u32 {
    let offset = target / 4 - (before + index) as u32;
    0x9400_0000 | offset & 0x03ff_ffff
}

#[track_caller]
fn assert_accepted(refused: &[String]) {
    assert!(refused.is_empty(), "{refused:?}");
}

/// The only reason for a refusal.
#[track_caller]
fn assert_refused(refused: &[String], reason: &str) {
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert!(refused[0].contains(reason), "{refused:?}");
}

#[test]
fn instructions_that_no_code_generator_makes_are_refused() {
    let words = [
        0xd400_0001, // svc #0
        0xd420_0020, // brk #1
        0xd53b_d040, // mrs x0, tpidr_el0
        0xd51b_d040, // msr tpidr_el0, x0
        0xd50b_7420, // dc zva, x0
        0xc85f_7c20, // ldxr x0, [x1]
        0xc8a0_7c41, // cas x0, x1, [x2]
        0xf840_0820, // ldtr x0, [x1]
        0xa840_07e0, // ldnp x0, x1, [sp]
        0x4c40_7000, // ld1 {v0.16b}, [x0]
        0x5800_0040, // ldr x0, #8
        0x9000_0000, // adrp x0, #0
        0xf862_c820, // ldr x0, [x1, w2, sxtw]
        0xf980_0020, // prfm pldl1keep, [x1]
        0xd65f_0000, // ret x0
        0x9eaf_0000, // fmov v0.d[1], x0
    ];
    for word in words {
        assert_refused(&refused(&[word]), "no instruction");
    }
}

#[test]
fn jumps_out_of_the_function_and_dead_code_are_refused() {
    let out = [
        0x1400_0010, // b #64
    ];
    assert_refused(&refused_whole(Role::Wasm, &out), "jumps out of its function");
    let dead = [
        RETURN,
        0xaa01_03e0, // mov x0, x1
    ];
    assert_refused(&refused_whole(Role::Wasm, &dead), "no padding");
    let behind = [
        0xaa01_03e0, // mov x0, x1
    ];
    assert_refused(&refused_whole(Role::Wasm, &behind), "control flow leaves");
}

/// A jump by a table of two targets, with this choice of the index.
fn jump_by_table(choice: u32) -> Vec<u32> {
    let code = [
        0x7100_049f, // cmp w4, #1
        0xd280_0020, // mov x0, #1
        choice,
        0x1000_0081, // adr x1, #16
        0xb8a0_5820, // ldrsw x0, [x1, w0, uxtw #2]
        0x8b00_0021, // add x1, x1, x0
        0xd61f_0020, // br x1
        8,
        8,
    ];
    code.to_vec()
}

#[test]
fn the_index_of_a_jump_table_is_compared() {
    let compared = [
        0x9a80_3080, // csel x0, x4, x0, lo
    ];
    assert_accepted(&refused(&jump_by_table(compared[0])));
    for other in [
        0x9a80_30a0, // csel x0, x5, x0, lo
        0x9a80_9080, // csel x0, x4, x0, ls
    ] {
        assert!(!refused(&jump_by_table(other)).is_empty());
    }
}

#[test]
fn fuel_may_grow_only() {
    let grown = [
        0xaa15_03e0, // mov x0, x21
        0x9100_1c00, // add x0, x0, #7
        0xaa00_03f5, // mov x21, x0
        0xaa15_03e0, // mov x0, x21
        0x8b24_4000, // add x0, x0, w4, uxtw
        0xaa00_03f5, // mov x21, x0
    ];
    assert_accepted(&refused(&grown));
    let reason = "what is no fuel";
    for word in [
        0xd100_06b5, // sub x21, x21, #1
        0xaa04_03f5, // mov x21, x4
        0x8b24_c2b5, // add x21, x21, w4, sxtw
        0x2a15_03f5, // mov w21, w21
        0xf940_03f5, // ldr x21, [sp]
    ] {
        assert_refused(&refused(&[word]), reason);
    }
    let put_aside = [
        0xaa15_03e0, // mov x0, x21
        0x9100_1eb5, // add x21, x21, #7
        0xaa00_03f5, // mov x21, x0
    ];
    assert_refused(&refused(&put_aside), reason);
}
