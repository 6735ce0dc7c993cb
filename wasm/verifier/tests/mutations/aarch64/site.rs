//! Places in code of aarch64 to change.

use std::ops::Range;

use crate::image;

/// The words of a function up to its first jump table or trap, and the place of the one to change.
pub(crate) struct Site<'a> {
    words: &'a [u32],
    index: usize,
}

impl Site<'_> {
    pub(crate) fn word(&self) -> u32 {
        self.words[self.index]
    }

    /// The word of the instruction that is `by` behind it, or before it if negative. If there is none:
    /// 0, which traps.
    pub(crate) fn near(&self, by: isize) -> u32 {
        let index = self.index.checked_add_signed(by);
        index.and_then(|index| self.words.get(index)).copied().unwrap_or(0)
    }

    /// The register in a field of the word that begins at a bit.
    pub(crate) fn register(&self, low: u32) -> u32 {
        register(self.word(), low)
    }

    /// Whether the word has these bits.
    pub(crate) fn has(&self, mask: u32, bits: u32) -> bool {
        self.word() & mask == bits
    }

    /// Whether it loads or stores at a register and the low 32 bits of another, or stores so.
    pub(crate) fn is_indexed(&self) -> bool {
        self.has(0x3b20_fc00, 0x3820_4800)
    }

    /// Whether it adds the low 32 bits of a register to another.
    pub(crate) fn adds_offset(&self) -> bool {
        self.has(0xffe0_fc00, 0x8b20_4000)
    }
}

pub(crate) fn register(word: u32, low: u32) -> u32 {
    word >> low & 31
}

/// The changed word, if the instruction is of the kind that is changed.
pub(crate) type Change = Option<u32>;

/// The first place of a function, from one in the middle on, where a change can be made.
fn find(
    text: &[u8],
    range: &Range<u32>,
    step: usize,
    change: &impl Fn(&Site<'_>) -> Change,
) -> Option<(usize, Vec<u8>)> {
    let bytes = text[range.start as usize..range.end as usize].chunks_exact(4);
    let words = bytes.map(|bytes| u32::from_le_bytes(bytes.try_into().unwrap()));
    // Behind `br` there may be a jump table.
    let is_code = |word: &u32| word >> 16 != 0 && word & 0xffff_fc1f != 0xd61f_0000;
    let words: Vec<u32> = words.take_while(is_code).collect();
    // Not always the first of a function: begin somewhere in it.
    let begin = step * 31 % words.len();
    (begin..words.len()).chain(0..begin).find_map(|index| {
        let site = Site { words: &words, index };
        let word = change(&site).filter(|word| *word != site.word())?;
        Some((range.start as usize + index * 4, word.to_le_bytes().to_vec()))
    })
}

/// Tries a kind of change in many functions. Returns how many were tried and the ones not found.
pub(crate) fn try_all(kind: &str, change: impl Fn(&Site<'_>) -> Change) -> (usize, Vec<String>) {
    image::try_all("aarch64", kind, |text, range, step| find(text, range, step, &change))
}

/// All changes of a kind must be found.
pub(crate) fn assert_found(kind: &str, change: impl Fn(&Site<'_>) -> Change) {
    image::assert_found(kind, try_all(kind, change));
}
