//! What `exec` shows of an outcome to people.

use std::io::IsTerminal;

use bytesize::ByteSize;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    cli::{
        console::{Console, safe},
        pretty::{Compact, Indented},
        program::MAX_STDERR,
    },
    config,
    fuel::display_fuel,
    runner::effects::{CheckedOutcome, Effects, Returned},
    sandbox::{Exceeded, Exception, Failure, Usage},
    text::brief,
};

/// Shows a result and its effects, or an error.
pub(crate) fn print_outcome(console: &Console, outcome: &CheckedOutcome) {
    if outcome.stderr.len() as u64 >= MAX_STDERR {
        let most = ByteSize::b(MAX_STDERR).display().iec();
        console.note(format_args!("Standard error of the code is cut at {most}."));
    }
    let (red, _, off) = styles();
    match &outcome.result {
        Ok(Returned { value, .. }) if value.get() == "null" => {}
        Ok(Returned { value, .. }) => {
            console.out_json(format_args!("{}\n", Indented(value.get())));
        }
        Err(Failure::Raised(exception)) => {
            let text = exception.description.as_ref().unwrap_or(&exception.message);
            console.note_styled(format_args!("{red}{}{off}", safe(text.trim_end())));
        }
        Err(Failure::Exceeded(limit)) => {
            console.note_styled(format_args!("{red}{limit}{off}"));
            if let Some(flag) = flag_of(limit) {
                console.note(format_args!("Raise it with {flag}."));
            }
        }
        Err(Failure::Broken(reason) | Failure::HostFault(reason) | Failure::WorkerLost(reason)) => {
            console.note_styled(format_args!("{red}{}{off}", safe(reason)))
        }
    }
    if let Ok(Returned { effects: Effects { custom_data, static_data }, .. }) = &outcome.result {
        for (key, value) in custom_data.iter().flatten() {
            console.note(format_args!("custom data {key}: {value}"));
        }
        if let Some(data) = static_data {
            console.note(format_args!("static data {}", Compact(data.get())));
        }
    }
}

/// Shows the usage: the last line.
pub(crate) fn print_usage(console: &Console, usage: &Usage) {
    let (_, dim, off) = styles();
    let memory = ByteSize::b(usage.memory).display().iec();
    let millis = usage.duration.as_secs_f64() * 1e3;
    console.note_styled(format_args!(
        "{dim}fuel {} · memory {memory} · {millis:.1} ms{off}",
        display_fuel(usage.fuel)
    ));
}

/// Returns the codes of red and dim text at a terminal, and their end.
fn styles() -> (&'static str, &'static str, &'static str) {
    let colour = config::colour() && std::io::stderr().is_terminal();
    if colour { ("\x1b[31m", "\x1b[2m", "\x1b[0m") } else { ("", "", "") }
}

/// Returns the flag that raises a limit. `None`: no flag does.
fn flag_of(limit: &Exceeded) -> Option<&'static str> {
    match limit {
        Exceeded::Time(_) => Some("--timeout"),
        Exceeded::Fuel(_) => Some("--fuel"),
        Exceeded::Memory(_) => Some("--memory"),
        _ => None,
    }
}

/// Names the item for which the code failed, in the mode that runs it once for each.
pub(crate) fn print_failing_item(console: &Console, outcome: &CheckedOutcome, items: &RawValue) {
    let Err(Failure::Raised(exception)) = &outcome.result else { return };
    let Some(index) = item_index(exception) else { return };
    // Serialised by this process, so it is a list.
    let items: Vec<&RawValue> = serde_json::from_str(items.get()).unwrap_or_default();
    if let Some(item) = items.get(index) {
        let (number, all) = (index + 1, items.len());
        let item = Compact(item.get()).to_string();
        console.note(format_args!(
            "The code failed for item {number} of {all} (index {index}): {}",
            brief(&item)
        ));
    }
}

/// Returns the index that the guest reports. The guest is not trusted: it may be any.
fn item_index(exception: &Exception) -> Option<usize> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Context {
        item_index: usize,
    }
    let context = exception.context.as_ref()?;
    Some(serde_json::from_str::<Context>(context.get()).ok()?.item_index)
}
