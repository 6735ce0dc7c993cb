//! Bytes of the code that no way leads to: only padding and dead jumps are allowed.

use std::ops::Range;

use super::{flow::Flow, record::Record};
use crate::{
    image::{Function, Image},
    report::Finding,
};

/// Checks the bytes of a function that are neither instructions nor data.
pub(super) fn check(text: &[u8], function: &Function, flow: &Flow, record: &mut Record) {
    let instructions = flow.instructions.iter().map(|i| i.ip32()..i.next_ip32());
    let mut covered: Vec<Range<u32>> = instructions.chain(flow.data.iter().cloned()).collect();
    covered.sort_unstable_by_key(|range| range.start);
    covered.push(function.end..function.end);
    let begins_instruction =
        |at: u32| flow.instructions.binary_search_by_key(&u64::from(at), |i| i.ip()).is_ok();
    let mut at = function.start;
    for range in covered {
        check_gap(text, &function.name, at..range.start, begins_instruction, record);
        at = at.max(range.end);
    }
}

/// Checks the bytes between functions.
pub(super) fn check_between(image: &Image<'_>, record: &mut Record) {
    let mut at = 0;
    for function in &image.functions {
        check_gap(image.text, "between functions", at..function.start, |_| false, record);
        at = function.end;
    }
    let end = image.text.len() as u32;
    check_gap(image.text, "behind all functions", at..end, |_| false, record);
}

/// Zeros align data, and zeros or traps align functions. The code generator leaves jumps that no
/// way leads to behind jump tables; they lead to instructions that are examined.
fn check_gap(
    text: &[u8],
    name: &str,
    gap: Range<u32>,
    begins_instruction: impl Fn(u32) -> bool,
    record: &mut Record,
) {
    let mut at = gap.start;
    while at < gap.end {
        let bytes = &text[at as usize..gap.end as usize];
        at += match bytes {
            [0 | 0xcc, ..] => {
                record.report.count("code: bytes of padding");
                1
            }
            [0xe9, a, b, c, d, ..]
                if (at + 5)
                    .checked_add_signed(i32::from_le_bytes([*a, *b, *c, *d]))
                    .is_some_and(&begins_instruction) =>
            {
                record.report.count("code: jumps that no way leads to");
                5
            }
            _ => {
                record.report.findings.push(Finding {
                    function: name.to_owned(),
                    offset: at,
                    instruction: format!("{:02x?}", &bytes[..bytes.len().min(16)]),
                    reason: "no way leads to these bytes, and they are no padding".to_owned(),
                });
                return;
            }
        }
    }
}
