//! What was proved, and what was not.

use std::{collections::BTreeMap, fmt::Write as _};

/// An instruction, or a place in the code, for which a rule could not be proved.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// The function's name.
    pub function: String,
    /// Offset in the section `.text`.
    pub offset: u32,
    /// The instruction: of x86-64 in Intel's syntax, of aarch64 as the decoder reads it. Empty if the
    /// finding concerns none.
    pub instruction: String,
    /// Which rule does not hold.
    pub reason: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { function, offset, instruction, reason } = self;
        write!(f, "{function} at {offset:#x}: `{instruction}`: {reason}")
    }
}

/// Counts by name. The names begin with a group: `code`, `memory`, `runtime`, `calls` or `other`.
pub type Counts = BTreeMap<&'static str, u64>;

/// The result for an image.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Report {
    /// What was counted and proved.
    pub counts: Counts,
    /// What was not proved; the image is verified if this is empty.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Adds another report to this one.
    pub(crate) fn absorb(&mut self, other: Report) {
        for (name, count) in other.counts {
            *self.counts.entry(name).or_default() += count;
        }
        self.findings.extend(other.findings);
    }

    /// Counts one more of this name.
    pub(crate) fn count(&mut self, name: &'static str) {
        *self.counts.entry(name).or_default() += 1;
    }

    /// A count, or 0.
    pub fn counted(&self, name: &str) -> u64 {
        self.counts.get(name).copied().unwrap_or(0)
    }

    /// The sum of the counts of a group.
    pub fn group(&self, group: &str) -> u64 {
        let of_group = self.counts.iter().filter(|(name, _)| {
            name.strip_prefix(group).is_some_and(|rest| rest.starts_with(": "))
        });
        of_group.map(|(_, count)| count).sum()
    }

    /// One line with the most important counts.
    pub fn summary(&self) -> String {
        format!(
            "{} functions, {} blocks, {} instructions, {} jump tables; {} accesses to linear memory \
             proved, {} to the stack, {} to the runtime, {} to tables; {} direct calls, {} indirect \
             ones with checked signature; {} not proved",
            self.counted("code: functions"),
            self.counted("code: blocks"),
            self.counted("code: instructions"),
            self.counted("code: jump tables"),
            self.group("memory"),
            self.group("stack"),
            self.group("runtime"),
            self.group("table"),
            self.counted("calls: direct"),
            self.counted("calls: indirect, signature compared"),
            self.findings.len(),
        )
    }

    /// The counts as JSON.
    pub fn json(&self) -> String {
        let mut text = String::from("{\n");
        for (name, count) in &self.counts {
            let _ = writeln!(text, "  \"{name}\": {count},");
        }
        let _ = writeln!(text, "  \"not proved\": {},", self.findings.len());
        let _ = writeln!(text, "  \"summary\": \"{}\"\n}}", self.summary());
        text
    }
}
