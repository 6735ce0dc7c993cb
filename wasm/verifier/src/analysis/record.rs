//! What the examination of functions yields.

use std::collections::BTreeSet;

use crate::{
    image::{Function, Image},
    report::{Finding, Report},
};

/// Counts and findings of functions, and facts that must agree in the whole image.
#[derive(Default)]
pub(crate) struct Record {
    pub(crate) report: Report,
    /// The lengths that indices of the table are compared with.
    pub(crate) table_lengths: BTreeSet<u64>,
    /// Indices of signatures, and the bytes that callees with them take off the stack.
    pub(crate) signature_pops: BTreeSet<(u32, u16)>,
}

impl Record {
    /// Notes a finding about the instruction at an offset of the code.
    pub(crate) fn refuse(
        &mut self,
        function: &Function,
        offset: u32,
        instruction: String,
        reason: &str,
    ) {
        self.report.findings.push(Finding {
            function: function.name.clone(),
            offset,
            instruction,
            reason: reason.to_owned(),
        });
    }

    /// Checks what must agree in the whole image.
    pub(crate) fn finish(&mut self, image: &Image<'_>) {
        let mut refuse = |reason: String| {
            self.report.findings.push(Finding {
                function: "the whole image".to_owned(),
                offset: 0,
                instruction: String::new(),
                reason,
            });
        };
        if self.table_lengths.len() > 1 {
            refuse(format!("indices of one table are compared with {:?}", self.table_lengths));
        }
        for pair in self.signature_pops.iter().zip(self.signature_pops.iter().skip(1)) {
            if pair.0.0 == pair.1.0 {
                refuse(format!(
                    "callees of signature {} take different arguments off the stack",
                    pair.0.0
                ));
            }
        }
        let length = self.table_lengths.first().copied().unwrap_or(0);
        self.report.counts.insert(crate::TABLE_LENGTH, length);
        self.report.counts.insert("image: globals", image.layout.globals_count());
    }

    /// Adds another record to this one.
    pub(crate) fn absorb(&mut self, other: Record) {
        self.report.absorb(other.report);
        self.table_lengths.extend(other.table_lengths);
        self.signature_pops.extend(other.signature_pops);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        image::{Convention, Machine},
        layout::Layout,
    };

    #[test]
    fn callees_of_a_signature_take_equal_arguments() {
        let image = Image {
            machine: Machine::X86_64,
            convention: Convention::Unix,
            text: &[],
            functions: Vec::new(),
            layout: Layout::new(0),
        };
        let findings = |pairs: &[(u32, u16)]| {
            let mut record = Record::default();
            record.signature_pops.extend(pairs);
            record.finish(&image);
            record.report.findings.len()
        };
        assert_eq!(findings(&[(1, 0), (2, 16), (2, 16)]), 0);
        assert_eq!(findings(&[(1, 0), (2, 16), (2, 32)]), 1);
    }
}
