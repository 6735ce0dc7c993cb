//! Registers, and the instructions that may occur.

use iced_x86::{EncodingKind, FlowControl, Instruction, Mnemonic, OpKind, Register};

/// The index of a 64-bit general register.
pub(super) fn full(register: Register) -> Option<usize> {
    register.is_gpr64().then(|| register.number())
}

/// The index of a general register of any size.
pub(super) fn any_size(register: Register) -> Option<usize> {
    register.is_gpr().then(|| register.full_register().number())
}

/// Whether this is a conditional move.
#[rustfmt::skip]
pub(super) fn is_conditional_move(mnemonic: Mnemonic) -> bool {
    use Mnemonic::*;
    matches!(
        mnemonic,
            Cmova | Cmovae | Cmovb | Cmovbe | Cmove | Cmovg | Cmovge | Cmovl | Cmovle | Cmovne
            | Cmovno | Cmovnp | Cmovns | Cmovo | Cmovp | Cmovs
    )
}

/// Why an instruction may not occur at all.
pub(super) fn forbidden(instruction: &Instruction, text: &[u8]) -> Option<&'static str> {
    let is_known = is_general(instruction.mnemonic())
        || is_vector(instruction.mnemonic())
        || is_conditional_move(instruction.mnemonic());
    if !is_known || instruction.encoding() != EncodingKind::Legacy {
        return Some("the instruction is not one of those that the code generator makes");
    }
    if instruction.segment_prefix() != Register::None {
        return Some("it has a segment prefix");
    }
    if instruction.has_lock_prefix()
        || instruction.has_rep_prefix()
        || instruction.has_repne_prefix()
    {
        return Some("it has a prefix that the code generator does not make");
    }
    let is_bit_string = instruction.mnemonic() == Mnemonic::Bt
        && instruction.op0_kind() == OpKind::Memory
        && instruction.op1_kind() == OpKind::Register;
    if is_bit_string {
        return Some("its address depends on a bit offset");
    }
    // CPUs of different makers read a branch with a size prefix differently.
    let first = text.get(instruction.ip() as usize).copied().unwrap_or(0);
    let is_prefix = matches!(first, 0x26 | 0x2e | 0x36 | 0x3e | 0x64..=0x67 | 0xf0 | 0xf2 | 0xf3);
    if instruction.flow_control() != FlowControl::Next && is_prefix {
        return Some("it is a branch with a prefix");
    }
    None
}

/// Instructions on general registers.
#[rustfmt::skip]
fn is_general(mnemonic: Mnemonic) -> bool {
    use Mnemonic::*;
    matches!(
        mnemonic,
            Adc | Add | And | Bsf | Bsr | Bswap | Bt | Call | Cdq | Cmp | Cqo | Dec | Div | Idiv
            | Imul | Inc | Ja | Jae | Jb | Jbe | Je | Jg | Jge | Jl | Jle | Jmp | Jne | Jno | Jnp
            | Jns | Jo | Jp | Js | Lea | Mov | Movsx | Movsxd | Movzx | Mul | Neg | Not | Or | Pop
            | Popcnt | Push | Ret | Rol | Ror | Sar | Sbb | Seta | Setae | Setb | Setbe | Sete
            | Setg | Setge | Setl | Setle | Setne | Setno | Setnp | Setns | Seto | Setp | Sets
            | Shl | Shld | Shr | Shrd | Sub | Test | Ud2 | Xor
    )
}

/// Instructions on vector registers, of SSE to SSE4.2.
#[rustfmt::skip]
fn is_vector(mnemonic: Mnemonic) -> bool {
    use Mnemonic::*;
    matches!(
        mnemonic,
            Addpd | Addps | Addsd | Addss | Andnpd | Andnps | Andpd | Andps | Blendvpd
            | Blendvps | Cmppd | Cmpps | Cmpsd
            | Cmpss | Cvtdq2pd | Cvtdq2ps | Cvtpd2ps | Cvtps2pd | Cvtsd2ss | Cvtsi2sd | Cvtsi2ss
            | Cvtss2sd | Cvttpd2dq | Cvttps2dq | Cvttsd2si | Cvttss2si | Divpd | Divps | Divsd
            | Divss | Insertps | Maxpd | Maxps | Maxsd | Maxss | Minpd | Minps | Minsd | Minss
            | Movaps | Movapd | Movd | Movddup | Movdqa | Movdqu | Movhps | Movlhps | Movhlps | Movlps
            | Movmskpd | Movmskps | Movq | Movsd | Movss | Movupd | Movups | Mulpd | Mulps | Mulsd
            | Mulss | Orpd | Orps | Pabsb | Pabsd | Pabsw | Packssdw | Packsswb | Packusdw
            | Packuswb | Paddb | Paddd | Paddq | Paddsb | Paddsw | Paddusb | Paddusw | Paddw
            | Palignr | Pand | Pandn | Pavgb | Pavgw | Pblendvb | Pblendw | Pcmpeqb | Pcmpeqd
            | Pcmpeqq
            | Pcmpeqw | Pcmpgtb | Pcmpgtd | Pcmpgtq | Pcmpgtw | Pextrb | Pextrd | Pextrq | Pextrw
            | Pinsrb | Pinsrd | Pinsrq | Pinsrw | Pmaddubsw | Pmaddwd | Pmaxsb | Pmaxsd | Pmaxsw
            | Pmaxub | Pmaxud | Pmaxuw | Pminsb | Pminsd | Pminsw | Pminub | Pminud | Pminuw
            | Pmovmskb | Pmovsxbw | Pmovsxdq | Pmovsxwd | Pmovzxbw | Pmovzxdq | Pmovzxwd | Pmulhrsw
            | Pmulhuw | Pmulhw | Pmulld | Pmullw | Pmuludq | Por | Pshufb | Pshufd | Pshufhw
            | Pshuflw | Pslld | Psllq | Psllw | Psrad | Psraw | Psrld | Psrlq | Psrlw | Psubb
            | Psubd | Psubq | Psubsb | Psubsw | Psubusb | Psubusw | Psubw | Ptest | Punpckhbw
            | Punpckhdq | Punpckhqdq | Punpckhwd | Punpcklbw | Punpckldq | Punpcklqdq | Punpcklwd
            | Pxor | Roundpd | Roundps | Roundsd | Roundss | Shufpd | Shufps | Sqrtpd | Sqrtps
            | Sqrtsd | Sqrtss | Subpd | Subps | Subsd | Subss | Ucomisd | Ucomiss | Unpcklpd
            | Unpcklps | Xorpd | Xorps
    )
}
