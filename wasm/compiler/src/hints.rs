//! Tells the compiler which branches are hardly ever taken, as training has shown.
//!
//! Cranelift puts code that is reached by those behind all other code of its function. CPython is full of such code (errors,
//! rare kinds of arguments), and without hints it lies in the middle of what runs, where the processor reads it too:
//! docs/benchmarks.md has what hints are worth. They change neither what code does nor the fuel that it burns.
//!
//! The hints go into a custom section, `metadata.code.branch_hint` (WebAssembly's branch hinting proposal).

use wasm_encoder::{BranchHint, BranchHints};
use wasmparser::{Parser, Payload};
use wasmtime::Result;

use crate::runs::{self, Branch, Function, Way};

/// What happens less often than once in so many times is rare.
const RARE: u64 = 100;

/// The module with hints, from how often each run was entered: all runs of all functions, in order.
pub fn add(module: &[u8], functions: &[Function], counts: &[u64]) -> Result<Vec<u8>> {
    let (mut section, mut counts) = (BranchHints::new(), counts);
    for (function, index) in functions.iter().zip(imported_functions(module)?..) {
        let (own, others) = counts.split_at(function.starts.len());
        let hint = |branch: &Branch| {
            let branch_hint_value = u32::from(is_likely(branch, own)?);
            Some(BranchHint { branch_func_offset: (branch.at - function.body.start) as u32, branch_hint_value })
        };
        let hints: Vec<_> = function.branches.iter().filter_map(hint).collect();
        if !hints.is_empty() {
            section.function_hints(index, hints);
        }
        counts = others;
    }
    runs::with_code(module, |hinted, code| {
        hinted.section(&section).section(&code);
    })
}

/// Whether the branch is nearly always taken, or nearly never; nothing where both happen, or where nothing is known.
fn is_likely(branch: &Branch, counts: &[u64]) -> Option<bool> {
    let entered = *counts.first().filter(|count| **count > 0)?;
    let before = counts[branch.run];
    let is_rare = |count: u64, among: u64| count == 0 || count.saturating_mul(RARE) < among;
    // A way is rare among the times that its branch is reached. It also is where its branch itself is, in the function.
    match branch.way {
        Way::If { then } if is_rare(counts[then], before.max(entered)) => Some(false),
        Way::If { then } if is_rare(before.saturating_sub(counts[then]), before.max(entered)) => Some(true),
        Way::Leave { next, .. } if is_rare(counts[next], before.max(entered)) => Some(true),
        // Other branches may lead there too, so the place has to be a rare one in the function.
        Way::Leave { target: Some(target), .. } if is_rare(counts[target], entered) => Some(false),
        _ => None,
    }
}

fn imported_functions(module: &[u8]) -> Result<u32> {
    for payload in Parser::new(0).parse_all(module) {
        if let Payload::ImportSection(imports) = payload? {
            // All that the image imports are functions (wasm/recipe/link.py sees to that).
            return Ok(imports.into_imports().count() as u32);
        }
    }
    Ok(0)
}
