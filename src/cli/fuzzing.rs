//! Doors for fuzz/: the command line, its files, and the profile that a guest's events lead to.

use std::{ffi::OsString, path::Path, sync::Arc};

use serde_json::value::RawValue;

use super::{
    bench::{
        compare::parse_percent,
        store::{self, Baseline, Conditions},
    },
    command_line, items, pretty,
    profile::{
        aggregate::Profile,
        export, pprof,
        record::{Costs, Recorder},
        show,
    },
};
use crate::sandbox::HostCalls;

/// Parses a command line, with the subcommand or without.
pub fn command_line(words: Vec<OsString>) -> Result<(), String> {
    command_line::parse(words)
}

/// Parses a percentage.
pub fn percent(text: &str) -> Result<f64, String> {
    parse_percent(text)
}

/// Reads items as `exec` does.
pub fn items(text: &str) -> Option<String> {
    items::items(text).ok().map(|raw| raw.get().to_owned())
}

/// Loads the baseline `name` of a directory, and formats it or its error.
pub fn baseline(directory: &Path, name: &str) -> Result<String, String> {
    let name = store::name(name)?;
    let conditions = Conditions::new("", 0, false, RawValue::NULL);
    Baseline::load(directory, &name, &conditions)
        .map(|baseline| format!("{baseline:?}"))
        .map_err(|error| error.to_string())
}

/// Formats JSON over several lines.
pub fn indented(json: &str) -> String {
    pretty::Indented(json).to_string()
}

/// Formats JSON on one line.
pub fn compact(json: &str) -> String {
    pretty::Compact(json).to_string()
}

/// Records trace events (name, parameters, fuel since the one before), and exports the profile.
/// `costs` are those of an event of each kind, and of tracing.
pub fn profile(events: &[(&str, &str, u64)], costs: [i64; 10], inside: i64) -> anyhow::Result<()> {
    let [a, b, c, d, e, f, g, tail, span, fixed] = costs;
    let costs = Costs { events: [a, b, c, d, e, f, g], tail, span, fixed };
    let recorder = Arc::new(Recorder::new(costs));
    // Every task consumes fuel.
    let mut fuel = 1_u64;
    for (name, params, more) in events {
        fuel += more;
        if let Ok(params) = RawValue::from_string((*params).to_owned()) {
            recorder.notify_at(name, params, fuel);
        }
    }
    let profile = Profile::new(recorder.take(), fuel, inside);
    export::flamegraph(&profile, "fuzzing")?;
    let speedscope = export::speedscope(&profile, "fuzzing")?;
    serde_json::from_slice::<serde_json::Value>(&speedscope)?;
    pprof::encode(&profile, "fuzzing")?;
    show::json(&profile, "fuzzing", 0, "");
    Ok(())
}
