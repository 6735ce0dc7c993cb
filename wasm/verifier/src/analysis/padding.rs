//! Bytes of the code that no way leads to: only padding and dead jumps are allowed.

use std::ops::Range;

use super::{
    flow::{Flow, Instruction},
    record::Record,
};
use crate::{
    image::{Function, Image},
    report::Finding,
};

/// What bytes that no way leads to are, by an architecture.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Unused {
    /// As many bytes of padding.
    Padding(u32),
    /// A jump of as many bytes to an address. The code generator leaves jumps behind jump tables.
    Jump(u32, u32),
    Other,
}

/// Says what the bytes are that begin at an address.
pub(crate) type Classify = fn(&[u8], u32) -> Unused;

/// Checks the bytes of a function that are neither instructions nor data.
pub(crate) fn check<I: Instruction>(
    text: &[u8],
    function: &Function,
    flow: &Flow<I>,
    classify: Classify,
    record: &mut Record,
) {
    let instructions = flow.instructions.iter().map(|i| i.at()..i.end());
    let mut covered: Vec<Range<u32>> = instructions.chain(flow.data.iter().cloned()).collect();
    covered.sort_unstable_by_key(|range| range.start);
    covered.push(function.end..function.end);
    let mut at = function.start;
    for range in covered {
        let gap = Gap { text, name: &function.name, bytes: at..range.start, classify };
        gap.check(|at| flow.begins_instruction(at), record);
        at = at.max(range.end);
    }
}

/// Checks the bytes between functions.
pub(crate) fn check_between(image: &Image<'_>, classify: Classify, record: &mut Record) {
    let mut at = 0;
    for function in &image.functions {
        let bytes = at..function.start;
        let gap = Gap { text: image.text, name: "between functions", bytes, classify };
        gap.check(|_| false, record);
        at = function.end;
    }
    let bytes = at..image.text.len() as u32;
    let gap = Gap { text: image.text, name: "behind all functions", bytes, classify };
    gap.check(|_| false, record);
}

struct Gap<'a> {
    text: &'a [u8],
    name: &'a str,
    bytes: Range<u32>,
    classify: Classify,
}

impl Gap<'_> {
    /// A jump must lead to an instruction that was examined.
    fn check(self, begins_instruction: impl Fn(u32) -> bool, record: &mut Record) {
        let mut at = self.bytes.start;
        while at < self.bytes.end {
            let bytes = &self.text[at as usize..self.bytes.end as usize];
            at += match (self.classify)(bytes, at) {
                Unused::Padding(size) => {
                    let count = record.report.counts.entry("code: bytes of padding");
                    *count.or_default() += u64::from(size);
                    size
                }
                Unused::Jump(size, to) if begins_instruction(to) => {
                    record.report.count("code: jumps that no way leads to");
                    size
                }
                Unused::Jump(..) | Unused::Other => {
                    record.report.findings.push(Finding {
                        function: self.name.to_owned(),
                        offset: at,
                        instruction: format!("{:02x?}", &bytes[..bytes.len().min(16)]),
                        reason: "no way leads to these bytes, and they are no padding".to_owned(),
                    });
                    return;
                }
            };
        }
    }
}
