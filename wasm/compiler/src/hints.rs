//! Adds branch hints to a module, from the counts of the training.
//!
//! Cranelift places blocks behind unlikely branches (errors, rare kinds of arguments) at the end of
//! their function. Hot code then stays dense in the instruction cache (docs/benchmarks.md, "What
//! paid"). Hints change neither results nor fuel.
//!
//! They are the custom section `metadata.code.branch_hint` of the
//! [branch hinting proposal](https://github.com/WebAssembly/branch-hinting).

use std::borrow::Cow;

use wasm_encoder::{BranchHint, BranchHints, CustomSection};
use wasmparser::{Parser, Payload};
use wasmtime::{Result, error::Context};

use crate::blocks::{self, Branch, BranchKind, Function};

/// The custom section.
const NAME: &str = "metadata.code.branch_hint";

/// A branch is rare if it is taken less often than once in this many times.
const RARE: u64 = 100;

/// Adds the hints. `counts` has the entries of each basic block, for all functions in order.
pub fn add(module: &[u8], functions: &[Function], counts: &[u64]) -> Result<Vec<u8>> {
    let (mut section, mut counts) = (BranchHints::new(), counts);
    for (function, index) in functions.iter().zip(imported_functions(module)?..) {
        let (own, others) = counts.split_at(function.starts.len());
        let hint = |branch: &Branch| {
            let branch_hint_value = u32::from(is_likely(branch, own)?);
            Some(BranchHint {
                branch_func_offset: (branch.at - function.body.start) as u32,
                branch_hint_value,
            })
        };
        let hints: Vec<_> = function.branches.iter().filter_map(hint).collect();
        if !hints.is_empty() {
            section.function_hints(index, hints);
        }
        counts = others;
    }
    blocks::with_code(module, |hinted, code| {
        hinted.section(&section).section(&code);
    })
}

/// Returns the content of the section with a module's hints.
///
/// # Errors
/// The module has none.
pub fn of(module: &[u8]) -> Result<Vec<u8>> {
    for payload in Parser::new(0).parse_all(module) {
        if let Payload::CustomSection(section) = payload?
            && section.name() == NAME
        {
            return Ok(section.data().to_vec());
        }
    }
    None.context("the module has no branch hints")
}

/// Adds the hints of another snapshot of the same module: they concern its functions, which both
/// snapshots share.
pub fn put(module: &[u8], hints: &[u8]) -> Result<Vec<u8>> {
    let section = CustomSection { name: NAME.into(), data: Cow::Borrowed(hints) };
    blocks::with_code(module, |hinted, code| {
        hinted.section(&section).section(&code);
    })
}

/// Whether the branch is nearly always or nearly never taken. `None` if both occur, or if training
/// never entered the function.
fn is_likely(branch: &Branch, counts: &[u64]) -> Option<bool> {
    let entered = *counts.first().filter(|count| **count > 0)?;
    let before = counts[branch.block];
    let is_rare = |count: u64, among: u64| count == 0 || count.saturating_mul(RARE) < among;
    // A branch that is itself rare in its function makes both of its paths rare.
    match branch.kind {
        BranchKind::If { then } if is_rare(counts[then], before.max(entered)) => Some(false),
        BranchKind::If { then }
            if is_rare(before.saturating_sub(counts[then]), before.max(entered)) =>
        {
            Some(true)
        }
        BranchKind::BrIf { next, .. } if is_rare(counts[next], before.max(entered)) => Some(true),
        // Other branches may share the target, so the target must be rare in the function.
        BranchKind::BrIf { target: Some(target), .. } if is_rare(counts[target], entered) => {
            Some(false)
        }
        _ => None,
    }
}

fn imported_functions(module: &[u8]) -> Result<u32> {
    for payload in Parser::new(0).parse_all(module) {
        if let Payload::ImportSection(imports) = payload? {
            // The image imports functions only (`check_boundary` in wasm/recipe/link.py).
            return Ok(imports.into_imports().count() as u32);
        }
    }
    Ok(0)
}
