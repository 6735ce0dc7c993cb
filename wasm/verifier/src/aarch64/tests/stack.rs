//! The stack, and the registers that functions preserve.

use super::{assert_accepted, assert_refused, refused, refused_whole};
use crate::image::Role;

#[test]
fn the_stack_below_and_above_the_frame_is_refused() {
    for access in [
        0xf81f_83e4, // stur x4, [sp, #-8]
        0xf900_0be4, // str x4, [sp, #16]
        0xf940_0ba4, // ldr x4, [x29, #16]
        0xa901_17e4, // stp x4, x5, [sp, #16]
        0x3d80_07e0, // str q0, [sp, #16]
    ] {
        assert_refused(&refused(&[access]), "outside of the function's frame");
    }
    let by_number = refused(&[
        0xf864_4be5, // ldr x5, [sp, w4, uxtw]
    ]);
    assert_refused(&by_number, "unknown base");
}

#[test]
fn a_register_that_is_not_restored_is_refused() {
    for change in [
        0xaa04_03f3, // mov x19, x4
        0xaa04_03fc, // mov x28, x4
        0x1e60_4008, // fmov d8, d0
        0x9e67_008f, // fmov d15, x4
        0xbd40_03e8, // ldr s8, [sp]
    ] {
        assert_refused(&refused(&[change]), "must preserve");
    }
    assert_accepted(&refused(&[
        0x6dbf_3fee, // stp d14, d15, [sp, #-16]!
        0xf81f_0ff3, // str x19, [sp, #-16]!
        0x9e67_008f, // fmov d15, x4
        0xaa04_03f3, // mov x19, x4
        0xf841_07f3, // ldr x19, [sp], #16
        0x6cc1_3fee, // ldp d14, d15, [sp], #16
    ]));
    let exchanged = refused(&[
        0x6dbf_3fee, // stp d14, d15, [sp, #-16]!
        0x6cc1_3bef, // ldp d15, d14, [sp], #16
    ]);
    assert_refused(&exchanged, "must preserve");
}

#[test]
fn a_replicated_number_is_another() {
    let store_and_load = |load: u32| {
        refused(&[
            0x6dbf_27e8, // stp d8, d9, [sp, #-16]!
            0x9100_03e5, // mov x5, sp
            load,
            0x9100_43ff, // add sp, sp, #16
        ])
    };
    let [replicate, whole] = [
        0x0d40_c8a8, // ld1r {v8.2s}, [x5]
        0xfd40_00a8, // ldr d8, [x5]
    ];
    assert_refused(&store_and_load(replicate), "must preserve");
    assert_accepted(&store_and_load(whole));
}

#[test]
fn another_return_address_is_refused() {
    for change in [
        0xf900_07e4, // str x4, [sp, #8]
        0xb900_0fe4, // str w4, [sp, #12]
        0x3d80_03e0, // str q0, [sp]
    ] {
        let refused = refused(&[change]);
        assert!(refused.iter().any(|reason| reason.contains("another address")), "{refused:?}");
    }
    let moved = [
        0xaa04_03fe, // mov x30, x4
        0xd65f_03c0, // ret
    ];
    assert_refused(&refused_whole(Role::Wasm, &moved), "another address");
}

#[test]
fn another_stack_pointer_is_refused() {
    let moved = [
        0xa9bf_7bfd, // stp x29, x30, [sp, #-16]!
        0xa8c2_7bfd, // ldp x29, x30, [sp], #32
        0xd65f_03c0, // ret
    ];
    assert!(!refused_whole(Role::Wasm, &moved).is_empty());
    for change in [
        0x8b24_43ff, // add sp, sp, w4, uxtw
        0x9100_009f, // mov sp, x4
        0x9100_83ff, // add sp, sp, #32
    ] {
        let refused = refused(&[change]);
        assert!(refused[0].contains("the stack pointer to an unknown"), "{refused:?}");
    }
}

#[test]
fn another_frame_pointer_is_refused() {
    let refused = refused(&[
        0xaa04_03fd, // mov x29, x4
    ]);
    assert_refused(&refused, "the frame pointer");
}

#[test]
fn a_deep_frame_needs_a_comparison_with_the_limit() {
    let deep = [
        0xd120_03ff, // sub sp, sp, #2048
        0x9120_03ff, // add sp, sp, #2048
    ];
    assert_refused(&refused(&deep), "more stack");
    let compare = |way: u32| {
        let check = [
            0xf940_0450, // ldr x16, [x2, #8]
            0xf940_0e10, // ldr x16, [x16, #24]
            0xd281_0211, // mov x17, #2064
            0x8b11_0210, // add x16, x16, x17
            0xeb30_63ff, // cmp sp, x16
            way,
            0x0000_0000, // udf #0
        ];
        refused(&[&check[..], &deep].concat())
    };
    assert_accepted(&compare(
        [
            0x5400_0042, // b.hs #8
        ][0],
    ));
    for way in [
        0x5400_0043, // b.lo #8
        0x5400_004a, // b.ge #8
        0xb400_0040, // cbz x0, #8
    ] {
        assert_refused(&compare(way), "more stack");
    }
}
