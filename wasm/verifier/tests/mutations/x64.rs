//! Changes of code of x86-64. Changed instructions keep their length.

mod site;

use iced_x86::{FlowControl, Instruction, Mnemonic, OpKind, Register};

use site::{Site, assert_found, try_all};

#[test]
fn negative_displacements_are_found() {
    assert_found("negative displacement", |site| {
        let mut changed = *site.instruction();
        let displacement = changed.memory_displacement64().cast_signed();
        if !site.is_indexed() || changed.memory_displ_size() == 0 || displacement <= 0 {
            return None;
        }
        if is_in_table(site) {
            return None;
        }
        changed.set_memory_displacement64((-displacement).cast_unsigned());
        site.encoded(&changed)
    });
}

#[test]
fn displacements_behind_the_guard_region_are_found() {
    assert_found("displacement behind the guard region", |site| {
        let mut changed = *site.instruction();
        if !site.is_indexed() || changed.memory_displacement64() < 128 {
            return None;
        }
        changed.set_memory_displacement64(0x7fff_0000);
        site.encoded(&changed)
    });
}

#[test]
fn scaled_offsets_are_found() {
    let (tried, missed) = try_all("scaled offset", |site| {
        let mut changed = *site.instruction();
        if !site.is_indexed() || is_in_table(site) {
            return None;
        }
        changed.set_memory_index_scale(8);
        site.encoded(&changed)
    });
    assert!(tried >= 20, "only {tried} places to change");
    // An offset may be a small constant on all ways, and eight times as much is in memory too.
    assert!(missed.len() <= 2, "{missed:#?}");
}

/// Whether the offset is the address of a table plus an index, which the code may have bounded: the
/// verifier then knows that the changed access is in memory as well.
fn is_in_table(site: &Site<'_>) -> bool {
    const LEAST_ADDRESS: u64 = 1 << 20;
    let index = site.instruction().memory_index().full_register();
    let written = site.instructions[..site.index].iter().rev().find(|before| {
        before.op0_kind() == OpKind::Register && before.op0_register().full_register() == index
    });
    written.is_some_and(|before| match before.mnemonic() {
        Mnemonic::Add if before.op1_kind() == OpKind::Immediate32 => {
            u64::from(before.immediate32()) >= LEAST_ADDRESS
        }
        Mnemonic::Lea => before.memory_displacement64() >= LEAST_ADDRESS,
        _ => false,
    })
}

/// A 32-bit move clears the upper half of a register. If the source was written by a 32-bit
/// instruction before, in the same block, the upper half is clear already and the move is redundant.
fn is_redundant(site: &Site<'_>) -> bool {
    let source = site.instruction().op1_register().full_register();
    for before in site.instructions[..site.index].iter().rev() {
        if before.flow_control() != FlowControl::Next {
            return false;
        }
        let writes = before.op0_kind() == OpKind::Register
            && before.op0_register().full_register() == source
            && !matches!(before.mnemonic(), Mnemonic::Cmp | Mnemonic::Test);
        if writes {
            return before.op0_register().size() == 4 || before.mnemonic() == Mnemonic::Movzx;
        }
    }
    false
}

/// Whether the next instruction uses the target of a move as the offset of an access.
fn is_used_at_once(site: &Site<'_>) -> bool {
    let target = site.instruction().op0_register().full_register();
    site.instructions.get(site.index + 1).is_some_and(|next| {
        next.memory_base() == Register::R14
            && next.memory_index() == target
            && next.mnemonic() != Mnemonic::Lea
    })
}

#[test]
fn removed_zero_extensions_are_found_unless_redundant() {
    let (tried, missed) = try_all("zero-extension removed", |site| {
        let instruction = site.instruction();
        let is_extension = instruction.mnemonic() == Mnemonic::Mov
            && instruction.op0_kind() == OpKind::Register
            && instruction.op1_kind() == OpKind::Register
            && instruction.op0_register().size() == 4;
        if !is_extension || is_redundant(site) || !is_used_at_once(site) {
            return None;
        }
        // Sets REX.W, which makes it a move of 64 bits.
        let mut bytes = site.bytes();
        (bytes[0] & 0xf0 == 0x40).then(|| bytes[0] |= 8)?;
        Some(bytes)
    });
    // What remains is redundant over a branch or a call: the source is a 32-bit number on all ways.
    assert!(tried >= 20, "only {tried} places to change");
    println!("redundant by the verifier's own account: {missed:#?}");
    assert!(missed.len() * 2 <= tried, "{missed:#?}");
}

#[test]
fn sign_extensions_of_offsets_are_found() {
    assert_found("sign-extension instead of zero-extension", |site| {
        let instruction = site.instruction();
        let loads = instruction.mnemonic() == Mnemonic::Mov
            && instruction.op0_kind() == OpKind::Register
            && instruction.op0_register().size() == 4
            && instruction.op1_kind() == OpKind::Memory;
        let bytes = site.bytes();
        // REX, opcode 8b: becomes `movsxd` with REX.W.
        if !loads || bytes[0] & 0xf0 != 0x40 || bytes[1] != 0x8b || !is_used_at_once(site) {
            return None;
        }
        Some([&[bytes[0] | 8, 0x63], &bytes[2..]].concat())
    });
}

#[test]
fn writes_to_the_base_register_are_found() {
    assert_found("base register overwritten", |site| {
        let instruction = site.instruction();
        let is_move = instruction.mnemonic() == Mnemonic::Mov
            && instruction.op0_kind() == OpKind::Register
            && instruction.op0_register().is_gpr64()
            && instruction.op1_kind() == OpKind::Register;
        let mut changed = *instruction;
        changed.set_op0_register(Register::R14);
        is_move.then(|| site.encoded(&changed)).flatten()
    });
}

#[test]
fn fuel_that_shrinks_is_found() {
    assert_found("fuel given back", |site| {
        let instruction = site.instruction();
        let adds =
            instruction.mnemonic() == Mnemonic::Add && instruction.op0_register() == Register::R15;
        let mut bytes = site.bytes();
        *bytes.last_mut()? |= 0x80;
        adds.then_some(bytes)
    });
}

#[test]
fn fuel_in_addresses_is_found() {
    assert_found("fuel register in an address", |site| {
        let mut changed = *site.instruction();
        changed.set_memory_base(Register::R15);
        site.is_indexed().then(|| site.encoded(&changed)).flatten()
    });
}

#[test]
fn other_registers_as_base_are_found() {
    assert_found("another register as the base", |site| {
        let mut changed = *site.instruction();
        changed.set_memory_base(Register::R13);
        site.is_indexed().then(|| site.encoded(&changed)).flatten()
    });
}

#[test]
fn missing_comparisons_with_the_table_are_found() {
    assert_found("table's bound", |site| {
        let mut bytes = site.bytes();
        // The comparison yields the opposite.
        *bytes.get_mut(2)? = 0x42;
        let instruction = site.instruction();
        // The program's own choices between two values have 32 bits where this one has an address.
        let is_bound = instruction.mnemonic() == Mnemonic::Cmovae
            && instruction.op0_register().is_gpr64()
            && site.follows(Mnemonic::Cmp);
        is_bound.then_some(bytes)
    });
}

#[test]
fn missing_comparisons_of_signatures_are_found() {
    assert_found("signature not compared", |site| {
        let instruction = site.instruction();
        let is_comparison = instruction.mnemonic() == Mnemonic::Jne
            && site.follows(Mnemonic::Cmp)
            && site.instructions[site.index - 1].op1_kind() == OpKind::Memory
            && site.instructions[site.index - 1].memory_base() != Register::R14
            && site.instructions.get(site.index + 1)?.memory_displacement64() == 8;
        // Leads to the next instruction in both cases.
        is_comparison.then(|| [&site.bytes()[..2], &[0; 4]].concat())
    });
}

#[test]
fn other_fields_of_functions_are_found() {
    assert_found("another field of a function reference", |site| {
        let mut changed = *site.instruction();
        let is_code = changed.mnemonic() == Mnemonic::Mov
            && changed.op1_kind() == OpKind::Memory
            && changed.memory_displacement64() == 8
            && changed.memory_index() == Register::None
            && site.follows(Mnemonic::Jne)
            && changed.op0_register().is_gpr64()
            && !matches!(changed.memory_base(), Register::RSP | Register::R14);
        changed.set_memory_displacement64(32);
        is_code.then(|| site.encoded(&changed)).flatten()
    });
}

#[test]
fn missing_comparisons_before_copies_are_found() {
    assert_found("length of a copy not compared", |site| {
        let instruction = site.instruction();
        let compares_length = |before: &Instruction| {
            before.mnemonic() == Mnemonic::Cmp
                && before.op0_register().is_gpr64()
                && before.op1_kind() == OpKind::Memory
                && before.memory_displacement64() == 64
                && before.memory_base() != Register::R14
        };
        let is_comparison = instruction.mnemonic() == Mnemonic::Ja
            && site.index > 0
            && compares_length(&site.instructions[site.index - 1]);
        is_comparison.then(|| [&site.bytes()[..2], &[0; 4]].concat())
    });
}

#[test]
fn unchecked_indices_of_jump_tables_are_found() {
    assert_found("index of a jump table not compared", |site| {
        let mut bytes = site.bytes();
        let is_bound = site.instruction().mnemonic() == Mnemonic::Cmovb
            && site.follows(Mnemonic::Cmp)
            && site.instructions.get(site.index + 1)?.memory_base() == Register::RIP;
        let opcode = bytes.iter().position(|byte| is_bound && *byte == 0x0f)?;
        bytes[opcode + 1] = 0x43;
        Some(bytes)
    });
}

#[test]
fn jumps_into_instructions_are_found() {
    assert_found("jump into an instruction", |site| {
        let instruction = site.instruction();
        let is_jump = matches!(
            instruction.flow_control(),
            FlowControl::ConditionalBranch | FlowControl::UnconditionalBranch
        );
        let target = instruction.near_branch_target();
        let at_target = site.instructions.iter().find(|other| is_jump && other.ip() == target)?;
        let mut changed = *instruction;
        changed.set_near_branch64(target + 1);
        (at_target.len() > 1).then(|| site.encoded(&changed)).flatten()
    });
}

#[test]
fn calls_into_functions_are_found() {
    assert_found("call into a function", |site| {
        let mut changed = *site.instruction();
        changed.set_near_branch64(changed.near_branch_target().wrapping_add(1));
        site.instruction().is_call_near().then(|| site.encoded(&changed)).flatten()
    });
}

#[test]
fn system_calls_are_found() {
    assert_found("system call", |site| {
        let is_long = site.instruction().len() == 2;
        is_long.then(|| vec![0x0f, 0x05])
    });
}

#[test]
fn registers_that_are_not_restored_are_found() {
    assert_found("register not restored", |site| {
        let mut changed = *site.instruction();
        let restores = changed.mnemonic() == Mnemonic::Mov
            && changed.op0_register() == Register::R12
            && changed.op0_kind() == OpKind::Register
            && changed.memory_base() == Register::RSP
            && changed.memory_displacement64() > 8
            && site.instructions.get(site.index + 2)?.mnemonic() == Mnemonic::Add
            && site.instructions.get(site.index + 2)?.op0_register() == Register::RSP;
        changed.set_memory_displacement64(changed.memory_displacement64() - 8);
        restores.then(|| site.encoded(&changed)).flatten()
    });
}

#[test]
fn writes_to_other_fields_of_the_context_are_found() {
    assert_found("another field of the context written", |site| {
        let mut changed = *site.instruction();
        let is_global = changed.mnemonic() == Mnemonic::Mov
            && changed.op0_kind() == OpKind::Memory
            && changed.memory_displacement64() == 448
            && changed.memory_index() == Register::None
            && !matches!(changed.memory_base(), Register::RSP | Register::R14);
        changed.set_memory_displacement64(424);
        is_global.then(|| site.encoded(&changed)).flatten()
    });
}

#[test]
fn writes_above_the_frame_are_found() {
    assert_found("write above the frame", |site| {
        let mut changed = *site.instruction();
        let is_slot = changed.mnemonic() == Mnemonic::Mov
            && changed.op0_kind() == OpKind::Memory
            && changed.memory_base() == Register::RSP
            && changed.memory_displ_size() == 8;
        changed.set_memory_displacement64(0x10_0000);
        is_slot.then(|| site.encoded(&changed)).flatten()
    });
}
