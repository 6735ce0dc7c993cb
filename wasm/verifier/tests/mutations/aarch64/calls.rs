//! Changes of calls, and of the comparisons that they need.

use super::{
    TARGET,
    site::{assert_found, register},
    with_register,
};

/// A branch to the next instruction.
fn to_next(branch: u32) -> u32 {
    branch & 0xff00_001f | 1 << 5
}

#[test]
fn missing_comparisons_with_tables_of_aarch64_are_found() {
    // `csel x, x, x, hs`, and then `ldr` from there.
    let is_choice = |word: u32, next: u32| {
        word & 0xffe0_fc00 == 0x9a80_2000
            && next & 0xffff_fc00 == 0xf940_0000
            && register(next, 5) == register(word, TARGET)
    };
    assert_found("table's bound the other way round", |site| {
        is_choice(site.word(), site.near(1)).then(|| site.word() ^ 1 << 12)
    });
    assert_found("table's bound by another condition", |site| {
        is_choice(site.word(), site.near(1)).then(|| site.word() & !(15 << 12) | 10 << 12)
    });
    assert_found("another index compared", |site| {
        let is_comparison =
            site.has(0xffe0_fc1f, 0x6b00_001f) && is_choice(site.near(1), site.near(2));
        is_comparison.then(|| with_register(site.word(), 5, register(site.word(), 16)))
    });
    assert_found("elements of twice the size", |site| {
        // `add x, x, x, lsl #3`, and then the comparison.
        let is_element = site.has(0xffe0_fc00, 0x8b00_0c00)
            && (1..4).any(|by| is_choice(site.near(by), site.near(by + 1)));
        is_element.then(|| site.word() & !(63 << 10) | 4 << 10)
    });
}

#[test]
fn missing_comparisons_of_signatures_by_aarch64_are_found() {
    assert_found("signature not compared", |site| {
        // `cmp w, w`, `b.ne`, `ldr x, [x, #8]`, `ldr x, [x, #24]`.
        let is_comparison = site.has(0xff00_001f, 0x5400_0001)
            && site.near(-1) & 0xffe0_fc1f == 0x6b00_001f
            && site.near(1) & 0xffff_fc00 == 0xf940_0400
            && site.near(2) & 0xffff_fc00 == 0xf940_0c00;
        is_comparison.then(|| to_next(site.word()))
    });
}

#[test]
fn other_fields_of_functions_of_aarch64_are_found() {
    assert_found("another field of a function reference", |site| {
        let is_code = site.has(0xffff_fc00, 0xf940_0400)
            && site.near(1) & 0xffff_fc00 == 0xf940_0c00
            && site.near(-1) & 0xff00_001f == 0x5400_0001;
        is_code.then(|| site.word() & !(0xfff << 10) | 4 << 10)
    });
}

#[test]
fn other_callees_are_found() {
    assert_found("call of another register", |site| {
        site.has(0xffff_fc1f, 0xd63f_0000).then(|| with_register(site.word(), 5, 21))
    });
    assert_found("call into a function", |site| {
        site.has(0xfc00_0000, 0x9400_0000)
            .then(|| site.word() & 0xfc00_0000 | site.word().wrapping_add(1) & 0x03ff_ffff)
    });
    assert_found("another context for a callee", |site| {
        // `mov x2, x`, and then a call.
        let is_context =
            site.has(0xffe0_ffff, 0xaa00_03e2) && site.near(1) & 0xfc00_0000 == 0x9400_0000;
        is_context.then(|| with_register(site.word(), 16, 21))
    });
}

#[test]
fn missing_comparisons_before_copies_by_aarch64_are_found() {
    assert_found("range of a copy not compared", |site| {
        // `add x, x, w, uxtw`, `cmp x, x`, `b.hi`.
        let is_comparison = site.has(0xff00_001f, 0x5400_0008)
            && site.near(-1) & 0xffe0_fc1f == 0xeb00_001f
            && site.near(-2) & 0xffe0_fc00 == 0x8b20_4000;
        is_comparison.then(|| to_next(site.word()))
    });
}

#[test]
fn unchecked_indices_of_tables_of_aarch64_are_found() {
    // `csel x, x, x, lo`, and then `adr`.
    let is_choice = |word: u32, next: u32| {
        word & 0xffe0_fc00 == 0x9a80_3000 && next & 0x9f00_0000 == 0x1000_0000
    };
    assert_found("index of a jump table not compared", |site| {
        is_choice(site.word(), site.near(1)).then(|| site.word() ^ 1 << 12)
    });
    assert_found("a bound of a jump table too large", |site| {
        // `cmp w, #n`: two more. An index of few bits may be below the length anyhow.
        let has_few_bits = (-5..0).any(|by| site.near(by) & 0xff80_0000 == 0x1200_0000);
        let is_comparison =
            site.has(0xffc0_001f, 0x7100_001f) && is_choice(site.near(2), site.near(3));
        (is_comparison && !has_few_bits).then(|| site.word() + (2 << 10))
    });
}

#[test]
fn jumps_out_of_functions_are_found() {
    assert_found("jump out of the function", |site| {
        // Forward by 64 KiB, more than any function of those that are changed has.
        site.has(0xfc00_0000, 0x1400_0000).then_some(0x1400_4000)
    });
}
