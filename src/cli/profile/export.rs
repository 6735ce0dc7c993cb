//! Exports a profile as a flame graph and in speedscope's format.

use std::{collections::BTreeMap, fmt::Write};

use inferno::flamegraph;
use serde_json::json;

use super::aggregate::Profile;
use crate::fuel::display_fuel;

/// The frame of the fuel that a task consumes outside its own code. With it all samples add up to
/// the total.
pub(crate) const OUTSIDE: &str = "(start, input, compiling, result)";

/// Draws a flame graph as SVG: the call stacks of functions, and on top the lines that consumed the
/// fuel.
pub(crate) fn flamegraph(profile: &Profile, name: &str) -> anyhow::Result<Vec<u8>> {
    let mut stacks = BTreeMap::<String, u64>::new();
    for (nodes, own) in profile.stacks() {
        let mut stack = String::new();
        for node in &nodes {
            // A line that begins with "# " is a comment.
            let name = profile.codes[node.code].name.replace(';', ",").replace("# ", "#");
            // Writing to a String cannot fail.
            let _ = write!(stack, "{name};");
        }
        if let Some(node) = nodes.last() {
            let _ = write!(stack, "line {}", node.line);
        }
        *stacks.entry(stack).or_default() += own;
    }
    // A graph without any unit is an error of inferno.
    stacks.insert(OUTSIDE.into(), profile.outside().max(1));
    let lines: Vec<String> = stacks.iter().map(|(stack, own)| format!("{stack} {own}")).collect();
    let mut options = flamegraph::Options::default();
    options.title = format!("{name}: {} units of fuel", display_fuel(profile.fuel));
    options.count_name = "units".into();
    options.name_type = "Function:".into();
    // Colours by name, not at random: the same program gives the same file.
    options.deterministic = true;
    let mut svg = Vec::new();
    flamegraph::from_lines(&mut options, lines.iter().map(String::as_str), &mut svg)?;
    Ok(svg)
}

/// Exports a sampled profile in [speedscope's
/// format](https://www.speedscope.app/file-format-schema.json).
pub(crate) fn speedscope(profile: &Profile, name: &str) -> anyhow::Result<Vec<u8>> {
    let mut frames: Vec<_> = profile
        .codes
        .iter()
        .map(|code| json!({"name": code.name, "file": name, "line": code.line}))
        .collect();
    let outside = frames.len();
    frames.push(json!({"name": OUTSIDE}));
    let (mut samples, mut weights) = (vec![vec![outside]], vec![profile.outside()]);
    for (nodes, own) in profile.stacks() {
        samples.push(nodes.iter().map(|node| node.code).collect());
        weights.push(own);
    }
    let end: u64 = weights.iter().sum();
    let file = json!({
        "$schema": "https://www.speedscope.app/file-format-schema.json",
        "exporter": concat!("serpentarium ", env!("CARGO_PKG_VERSION")),
        "name": name,
        "shared": {"frames": frames},
        "profiles": [{
            "type": "sampled", "name": "fuel", "unit": "none", "startValue": 0, "endValue": end,
            "samples": samples, "weights": weights,
        }],
    });
    Ok(serde_json::to_vec(&file)?)
}
