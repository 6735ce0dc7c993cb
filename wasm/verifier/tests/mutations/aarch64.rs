//! Changes of code of aarch64. Each changes one word.

mod calls;
mod site;

use site::{Site, assert_found, register, try_all};

/// Index registers of loads and stores, in bits 20 to 16; bases in bits 9 to 5; targets in 4 to 0.
const INDEX: u32 = 16;
const BASE: u32 = 5;
const TARGET: u32 = 0;
const FUEL: u32 = 21;

/// A word with another register in a field.
fn with_register(word: u32, low: u32, register: u32) -> u32 {
    word & !(31 << low) | register << low
}

/// Whether a 32-bit instruction of the same block wrote the index, so that its upper half is zero and
/// all of it is the same number.
fn is_redundant(site: &Site<'_>) -> bool {
    let before = (1..100).map(|by| site.near(-by));
    // Branches, calls and returns; the begin of the function.
    let in_block = before.take_while(|word| *word != 0 && *word >> 26 & 7 != 5);
    // Stores, and comparisons, whose target is the zero register, write none.
    let is_store = |word: u32| word & 0x0a00_0000 == 0x0800_0000 && word & 1 << 22 == 0;
    let mut writers =
        in_block.filter(|word| register(*word, TARGET) == site.register(INDEX) && !is_store(*word));
    // Bit 31 is the size of a computation, bit 30 that of a load.
    let is_narrow = |word: u32| match word & 0x0a00_0000 == 0x0800_0000 {
        true => word & 1 << 30 == 0 || word >> 31 == 0,
        false => word >> 31 == 0,
    };
    writers.next().is_some_and(is_narrow)
}

/// Uses all 64 bits of a register for an offset, where the low 32 bits were meant.
fn use_whole_register(kind: &str, is_kind: impl Fn(&Site<'_>) -> bool) {
    let (tried, missed) =
        try_all(kind, |site| (is_kind(site) && !is_redundant(site)).then(|| site.word() | 1 << 13));
    assert!(tried >= 20, "{kind}: only {tried} places to change");
    // What remains is redundant over a branch or a move: the index is a 32-bit number on all ways.
    println!("redundant by the verifier's own account: {missed:#?}");
    assert!(missed.len() * 2 <= tried, "{missed:#?}");
}

#[test]
fn whole_registers_as_offsets_are_found_unless_equal() {
    use_whole_register("64 bits of an index", |site| site.is_indexed());
    use_whole_register("64 bits of an offset", |site| site.adds_offset());
}

/// Whether a constant is part of the offset, as with a table in memory: its index may be small, and
/// the verifier then knows that the changed access is in memory as well.
fn is_in_table(site: &Site<'_>) -> bool {
    (-5..0).any(|by| site.near(by) & 0xff80_0000 == 0x7280_0000)
}

#[test]
fn sign_extended_offsets_are_found() {
    assert_found("sign-extension of an offset", |site| {
        let access = site.near(1);
        // The sum is the base of the next access.
        let is_used =
            access & 0x3b00_0000 == 0x3900_0000 && register(access, BASE) == site.register(TARGET);
        (site.adds_offset() && is_used && !is_in_table(site)).then(|| site.word() | 0x8000)
    });
}

#[test]
fn negative_offsets_are_found() {
    assert_found("negative offset", |site| {
        // `add x, x, w, uxtw`, and then an access there with an offset of 4 bytes or more.
        let before = site.near(-1);
        let is_address =
            before & 0xffe0_fc00 == 0x8b20_4000 && register(before, TARGET) == site.register(BASE);
        let is_access = site.has(0xbf80_0000, 0xb900_0000) && site.word() >> 10 & 0xfff != 0;
        // `ldur` or `stur` at 4 bytes below.
        let unscaled = site.word() & 0xfec0_03ff | 0x1fc << 12;
        (is_address && is_access && !is_in_table(site)).then_some(unscaled)
    });
}

#[test]
fn scaled_offsets_are_found() {
    let (tried, missed) = try_all("scaled offset", |site| {
        let is_wide = site.word() >> 30 == 3;
        (site.is_indexed() && is_wide).then(|| site.word() | 1 << 12)
    });
    assert!(tried >= 20, "only {tried} places to change");
    // An offset may be a small number on all ways, and eight times as much is in memory too.
    assert!(missed.len() <= 2, "{missed:#?}");
}

#[test]
fn constants_behind_the_guard_region_are_found() {
    assert_found("constant behind the guard region", |site| {
        let (constant, access) = (site.word(), site.near(1));
        // `movk w, lsl #16`, and then an access at a base and all of this register.
        let is_offset = constant & 0xffe0_0000 == 0x72a0_0000
            && access & 0x3b20_fc00 == 0x3820_6800
            && register(access, INDEX) == site.register(TARGET);
        // The same bits, 16 bits further up, in all of the register.
        is_offset
            .then_some(constant | 1 << 31 | 1 << 22 & !(1 << 21))
            .map(|word| word & !(1 << 21))
            .filter(|word| word >> 5 & 0xffff > 1)
    });
}

#[test]
fn other_registers_as_base_are_found() {
    // The frame pointer and the return address.
    for base in [29, 30] {
        assert_found("another register as the base", |site| {
            site.is_indexed().then(|| with_register(site.word(), BASE, base))
        });
    }
}

#[test]
fn other_fields_as_base_are_found() {
    assert_found("another field as the base", |site| {
        // `ldr x, [x, #56]`, and then an access with that base.
        let is_base = site.has(0xffff_fc00, 0xf940_1c00);
        let is_used = (1..8).map(|by| site.near(by)).any(|word| {
            word & 0x3b20_fc00 == 0x3820_4800 && register(word, BASE) == site.register(TARGET)
        });
        (is_base && is_used).then(|| site.word() + (1 << 10))
    });
}

#[test]
fn fuel_in_addresses_of_aarch64_is_found() {
    assert_found("fuel register in an address", |site| {
        site.is_indexed().then(|| with_register(site.word(), INDEX, FUEL))
    });
    assert_found("fuel register as the base", |site| {
        site.is_indexed().then(|| with_register(site.word(), BASE, FUEL))
    });
}

#[test]
fn fuel_that_shrinks_on_aarch64_is_found() {
    assert_found("fuel given back", |site| {
        // `mov x, x21`, `add`, `mov x21, x`: the addition becomes a subtraction.
        let is_addition = site.has(0xffc0_0000, 0x9100_0000)
            && site.near(-1) & 0xffff_ffe0 == 0xaa15_03e0
            && site.near(1) & 0xffe0_ffff == 0xaa00_03f5;
        is_addition.then(|| site.word() | 1 << 30)
    });
    assert_found("fuel from another register", |site| {
        let is_written = site.has(0xffe0_ffff, 0xaa00_03f5);
        is_written.then(|| with_register(site.word(), 16, site.register(16) ^ 8))
    });
}

#[test]
fn writes_to_the_fuel_register_are_found() {
    assert_found("fuel register overwritten", |site| {
        // `mov x, x`.
        let is_move = site.has(0xffe0_ffe0, 0xaa00_03e0) && site.register(16) != FUEL;
        is_move.then(|| with_register(site.word(), TARGET, FUEL))
    });
}

#[test]
fn unknown_instructions_are_found() {
    // `svc`, `brk`, `mrs`, `dc zva`, `ldxr`, `ld1`, `ret x0`, `br x30`.
    let words = [
        0xd400_0001,
        0xd420_0020,
        0xd53b_d040,
        0xd50b_7420,
        0xc85f_7c20,
        0x4c40_7000,
        0xd65f_0000,
        0xd61f_03c0,
    ];
    for word in words {
        assert_found("unknown instruction", |_| Some(word));
    }
}

#[test]
fn writes_above_the_frame_of_aarch64_are_found() {
    // `stur x, [sp, #n]`.
    let is_slot = |site: &Site<'_>| site.has(0xffe0_0fe0, 0xf800_03e0);
    assert_found("write above the frame", |site| {
        // `str x, [sp, #32760]`
        is_slot(site).then(|| 0xf93f_ffe0 | site.register(TARGET))
    });
    assert_found("write below the frame", |site| {
        // `stur x, [sp, #-8]`
        is_slot(site).then(|| site.word() & !(0x1ff << 12) | 0x1f8 << 12)
    });
}

#[test]
fn other_stack_pointers_are_found() {
    assert_found("stack pointer moved too far", |site| {
        site.has(0xffc0_03ff, 0x9100_03ff).then(|| site.word() + (16 << 10))
    });
    assert_found("frame pointer from another register", |site| {
        (site.word() == 0x9100_03fd).then_some(0xaa02_03fd)
    });
    assert_found("stack not compared with its limit", |site| {
        // `cmp sp, x16`, `b.lo`: the opposite. A function that calls none needs no comparison.
        let is_check = site.near(-1) == 0xeb30_63ff && site.has(0xff00_001f, 0x5400_0003);
        let calls = (1..200).any(|by| site.near(by) & 0xffff_fc1f == 0xd63f_0000);
        (is_check && calls).then(|| site.word() ^ 1)
    });
}

#[test]
fn other_return_addresses_are_found() {
    assert_found("return address altered", |site| {
        // `ldp x29, x30, [sp], #16`: the other way round.
        (site.word() == 0xa8c1_7bfd).then_some(0xa8c1_77fe)
    });
    assert_found("return address overwritten", |site| {
        // A move to x30, behind which nothing loads it again.
        let is_move = site.has(0xffe0_ffe0, 0xaa00_03e0);
        let loads_again = |by| site.near(by) == 0xa8c1_7bfd;
        (is_move && (1..12).any(loads_again)).then_some(0xf900_07e0).filter(|_| loads_again(1))
    });
}

#[test]
fn registers_that_aarch64_does_not_restore_are_found() {
    assert_found("registers restored in the wrong order", |site| {
        // `ldp x, x, [sp], #16` of two preserved registers.
        let pair = (site.register(TARGET), site.register(10));
        let is_pair = site.has(0xffff_83e0, 0xa8c1_03e0) && pair.0 > 18 && pair.1 < 29;
        is_pair.then(|| with_register(with_register(site.word(), TARGET, pair.1), 10, pair.0))
    });
}

#[test]
fn writes_to_other_fields_by_aarch64_are_found() {
    assert_found("another field of the context written", |site| {
        // `str w, [x, #448]`: the first global; at 424 is the table.
        let is_global = site.has(0xffff_fc00, 0xb901_c000) && site.register(BASE) != 31;
        let reads_it = |by| site.near(by) & 0xffff_ffe0 == 0xb941_c000 | site.register(BASE) << 5;
        (is_global && (-40..0).any(reads_it))
            .then(|| site.word() & !(0xfff << 10) | (424 / 4) << 10)
    });
}
