//! Places in the image's code to change, and the trial of a change.

use std::{env, fs, ops::Range, path::PathBuf};

use iced_x86::{Decoder, DecoderOptions, Encoder, FlowControl, Instruction, Mnemonic, Register};
use serpentarium_verifier::{Changes, with_changes};

/// Changes of each kind that are tried, at most one in a function.
const TRIED: usize = 60;
/// Sizes of the functions that are changed, in bytes: most code is in such functions.
const SIZES: Range<u32> = 300..6000;

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

/// Tries a kind of change in many functions. Returns how many were tried and the ones not found.
pub(crate) fn try_all(kind: &str, change: impl Fn(&Site<'_>) -> Change) -> (usize, Vec<String>) {
    let image = env::var_os("SERPENTARIUM_BUILD_IMAGE").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../build/python.cwasm"),
        PathBuf::from,
    );
    let file = fs::read(&image).unwrap_or_else(|error| {
        panic!("{error}: {}; build it with scripts/build-python", image.display())
    });
    let (tried, missed) = with_changes(&file, |changes| attempt(&changes, &change)).unwrap();
    println!("{kind}: {} of {tried} found", tried - missed.len());
    (tried, missed)
}

fn attempt(
    changes: &Changes<'_, '_>,
    change: &impl Fn(&Site<'_>) -> Change,
) -> (usize, Vec<String>) {
    let functions = changes.functions();
    let mut text = changes.text().to_vec();
    let (mut tried, mut missed) = (0, Vec::new());
    // A prime step spreads the tries over the image.
    for step in 0..functions.len() {
        let number = step * 7919 % functions.len();
        let (name, range) = &functions[number];
        if tried == TRIED
            || !SIZES.contains(&(range.end - range.start))
            || !name.contains("::function[")
        {
            continue;
        }
        let instructions = decode(&text, range);
        // Not always the first of a function: begin somewhere in it.
        let begin = step * 31 % instructions.len();
        let order = (begin..instructions.len()).chain(0..begin);
        let found = order.into_iter().find_map(|index| {
            let site = Site { text: &text, instructions: &instructions, index };
            change(&site).map(|bytes| (index, bytes))
        });
        let Some((index, bytes)) = found else { continue };
        let at = instructions[index].ip() as usize;
        let old = text[at..at + bytes.len()].to_vec();
        if old == bytes {
            continue;
        }
        text[at..at + bytes.len()].copy_from_slice(&bytes);
        let report = changes.examine(&text, number);
        text[at..at + bytes.len()].copy_from_slice(&old);
        tried += 1;
        if report.findings.is_empty() {
            missed.push(format!("{name} at {at:#x}: {old:02x?} -> {bytes:02x?}"));
        }
    }
    (tried, missed)
}

/// All changes of a kind must be found.
pub(crate) fn assert_found(kind: &str, change: impl Fn(&Site<'_>) -> Change) {
    let (tried, missed) = try_all(kind, change);
    assert!(tried >= 20, "{kind}: only {tried} places to change");
    assert!(missed.is_empty(), "{kind}: {missed:#?}");
}
