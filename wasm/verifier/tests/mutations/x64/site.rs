//! Places in code of x86-64 to change.

use std::ops::Range;

use iced_x86::{Decoder, DecoderOptions, Encoder, FlowControl, Instruction, Mnemonic, Register};

use crate::image;

/// The instructions of a function up to a place, and the place of the one to change.
pub(crate) struct Site<'a> {
    text: &'a [u8],
    pub(crate) instructions: &'a [Instruction],
    pub(crate) index: usize,
}

impl Site<'_> {
    pub(crate) fn instruction(&self) -> &Instruction {
        &self.instructions[self.index]
    }

    /// The encoding of a changed instruction, if it has the length of the old one.
    pub(crate) fn encoded(&self, changed: &Instruction) -> Option<Vec<u8>> {
        let mut encoder = Encoder::new(64);
        let length = encoder.encode(changed, self.instruction().ip()).ok()?;
        (length == self.instruction().len()).then(|| encoder.take_buffer())
    }

    /// The old encoding.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let at = self.instruction().ip() as usize;
        self.text[at..at + self.instruction().len()].to_vec()
    }

    /// Whether the instruction before it is of this kind.
    pub(crate) fn follows(&self, mnemonic: Mnemonic) -> bool {
        self.index > 0 && self.instructions[self.index - 1].mnemonic() == mnemonic
    }

    /// Whether it is an access to linear memory with a register for the offset.
    pub(crate) fn is_indexed(&self) -> bool {
        let instruction = self.instruction();
        instruction.memory_base() == Register::R14
            && instruction.memory_index() != Register::None
            && instruction.mnemonic() != Mnemonic::Lea
    }
}

/// Decodes a function up to its first jump table.
fn decode(text: &[u8], function: &Range<u32>) -> Vec<Instruction> {
    let bytes = &text[function.start as usize..function.end as usize];
    let mut instructions = Vec::new();
    for instruction in Decoder::with_ip(64, bytes, u64::from(function.start), DecoderOptions::NONE)
    {
        let ends = instruction.is_invalid()
            || instruction.flow_control() == FlowControl::IndirectBranch
            || instruction.flow_control() == FlowControl::Exception;
        instructions.push(instruction);
        if ends {
            break;
        }
    }
    instructions
}

/// The changed bytes, if the instruction is of the kind that is changed.
pub(crate) type Change = Option<Vec<u8>>;

/// The first place of a function, from one in the middle on, where a change can be made.
fn find(
    text: &[u8],
    range: &Range<u32>,
    step: usize,
    change: &impl Fn(&Site<'_>) -> Change,
) -> Option<(usize, Vec<u8>)> {
    let instructions = decode(text, range);
    // Not always the first of a function: begin somewhere in it.
    let begin = step * 31 % instructions.len();
    (begin..instructions.len()).chain(0..begin).find_map(|index| {
        let site = Site { text, instructions: &instructions, index };
        change(&site).map(|bytes| (instructions[index].ip() as usize, bytes))
    })
}

/// Tries a kind of change in many functions. Returns how many were tried and the ones not found.
pub(crate) fn try_all(kind: &str, change: impl Fn(&Site<'_>) -> Change) -> (usize, Vec<String>) {
    image::try_all("x86_64", kind, |text, range, step| find(text, range, step, &change))
}

/// All changes of a kind must be found.
pub(crate) fn assert_found(kind: &str, change: impl Fn(&Site<'_>) -> Change) {
    image::assert_found(kind, try_all(kind, change));
}
