//! Accesses to linear memory, and to the structures of the runtime.

use super::{assert_accepted, assert_refused, refused};

/// `ldr x0, [x2, #56]`, which loads the base of memory, and then this.
fn with_base(body: &[u32]) -> Vec<String> {
    let base = [
        0xf940_1c40, // ldr x0, [x2, #56]
    ];
    refused(&[&base[..], body].concat())
}

#[test]
fn a_32_bit_offset_from_the_base_is_accepted() {
    assert_accepted(&with_base(&[
        0xb864_4801, // ldr w1, [x0, w4, uxtw]
        0x8b24_4001, // add x1, x0, w4, uxtw
        0x3d80_0420, // str q0, [x1, #16]
        0xa900_9825, // stp x5, x6, [x1, #8]
        0x2a04_03e5, // mov w5, w4
        0x38a5_6806, // ldrsb x6, [x0, x5]
        0x5288_4807, // mov w7, #16960
        0x72a0_01e7, // movk w7, #15, lsl #16
        0xfc27_6800, // str d0, [x0, x7]
        0x1200_1c85, // and w5, w4, #0xff
        0xf865_7806, // ldr x6, [x0, x5, lsl #3]
    ]));
}

#[test]
fn an_offset_without_zero_extension_is_refused() {
    for access in [
        0xb864_6801, // ldr w1, [x0, x4]
        0x3ca4_6801, // str q1, [x0, x4]
        0xb860_4881, // ldr w1, [x4, w0, uxtw]
        0xb940_0081, // ldr w1, [x4]
    ] {
        assert_refused(&with_base(&[access]), "an unknown base");
    }
    for extension in [
        0x8b24_c001, // add x1, x0, w4, sxtw
        0x8b04_0001, // add x1, x0, x4
        0xcb24_4001, // sub x1, x0, w4, uxtw
        0x0b04_0001, // add w1, w0, w4
    ] {
        let access = [
            extension,
            0xb940_0021, // ldr w1, [x1]
        ];
        assert_refused(&with_base(&access), "an unknown base");
    }
}

#[test]
fn an_address_below_the_base_is_refused() {
    for access in [
        0xb85f_c001, // ldur w1, [x0, #-4]
        0xa93f_1404, // stp x4, x5, [x0, #-16]
        0xb85f_cc01, // ldr w1, [x0, #-4]!
    ] {
        assert_refused(&with_base(&[access]), "below the base");
    }
}

#[test]
fn the_end_of_the_guard_region_is_obeyed() {
    let at = |access: u32| {
        with_base(&[
            0x8b24_4001, // add x1, x0, w4, uxtw
            0x917f_fc21, // add x1, x1, #4095, lsl #12
            0x917f_fc21, // add x1, x1, #4095, lsl #12
            0x9140_0421, // add x1, x1, #1, lsl #12
            access,
        ])
    };
    let (last, behind) = (
        [
            0xa97f_1825, // ldp x5, x6, [x1, #-16]
            0xb94f_fc25, // ldr w5, [x1, #4092]
        ],
        [
            0xf948_0025, // ldr x5, [x1, #4096]
            0x3d84_0025, // str q5, [x1, #4096]
        ],
    );
    for access in last {
        assert_accepted(&at(access));
    }
    for access in behind {
        assert_refused(&at(access), "behind the guard region");
    }
}

#[test]
fn scaled_offsets_are_followed() {
    let scaled = with_base(&[
        0xf864_5801, // ldr x1, [x0, w4, uxtw #3]
    ]);
    assert_refused(&scaled, "behind the guard region");
}

#[test]
fn fuel_in_an_address_is_refused() {
    let refused = with_base(&[
        0xb875_6801, // ldr w1, [x0, x21]
    ]);
    assert_refused(&refused, "register of fuel");
}

#[test]
fn moves_and_stack_slots_are_followed() {
    let kept = [
        0xd100_43ff, // sub sp, sp, #16
        0x8b24_4001, // add x1, x0, w4, uxtw
        0xa900_13e1, // stp x1, x4, [sp]
        0xf940_03e5, // ldr x5, [sp]
        0xb900_04a4, // str w4, [x5, #4]
        0x9100_43ff, // add sp, sp, #16
    ];
    assert_accepted(&with_base(&kept));
    let overwritten = [
        0xd100_43ff, // sub sp, sp, #16
        0x8b24_4001, // add x1, x0, w4, uxtw
        0xf900_03e1, // str x1, [sp]
        0x3900_0fe4, // strb w4, [sp, #3]
        0xf940_03e5, // ldr x5, [sp]
        0xb900_04a4, // str w4, [x5, #4]
        0x9100_43ff, // add sp, sp, #16
    ];
    assert_refused(&with_base(&overwritten), "an unknown base");
}

#[test]
fn a_way_that_brings_no_offset_is_found() {
    let refused = with_base(&[
        0xaa04_03e1, // mov x1, x4
        0x3400_0045, // cbz w5, #8
        0x2a04_03e1, // mov w1, w4
        0xb861_6806, // ldr w6, [x0, x1]
    ]);
    assert_refused(&refused, "an unknown base");
}

#[test]
fn a_loop_that_grows_an_offset_is_found() {
    let refused = with_base(&[
        0xd280_0001, // mov x1, #0
        0xb861_6805, // ldr w5, [x0, x1]
        0x9100_2021, // add x1, x1, #8
        0x35ff_ffc5, // cbnz w5, #-8
    ]);
    assert_refused(&refused, "an unknown base");
}

#[test]
fn a_pointer_from_memory_is_not_followed() {
    let refused = with_base(&[
        0xf940_2001, // ldr x1, [x0, #64]
        0xb940_0021, // ldr w1, [x1]
    ]);
    assert_refused(&refused, "an unknown base");
}

#[test]
fn only_globals_of_the_context_are_written() {
    assert_accepted(&refused(&[
        0xb900_6044, // str w4, [x2, #96]
    ]));
    for write in [
        0xf900_0444, // str x4, [x2, #8]
        0xf900_0844, // str x4, [x2, #16]
        0xf900_1c44, // str x4, [x2, #56]
        0xf900_2444, // str x4, [x2, #72]
        0xf900_4044, // str x4, [x2, #128]
        0x3d80_1840, // str q0, [x2, #96]
    ] {
        assert_refused(&refused(&[write]), "none to write");
    }
    // The second field of a pair.
    let pair = refused(&[
        0xa906_1444, // stp x4, x5, [x2, #96]
    ]);
    assert_refused(&pair, "none to write");
}

#[test]
fn code_is_not_written() {
    let written = refused(&[
        0x1000_0000, // adr x0, #0
        0xb900_0004, // str w4, [x0]
    ]);
    assert_refused(&written, "no such field");
}
