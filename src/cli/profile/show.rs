//! The output of `profile`: a table of functions and the program's text with the fuel of each line,
//! or one JSON object.

use std::{
    fmt::Write,
    io::{self, IsTerminal},
};

use comfy_table::{Attribute, Cell, CellAlignment, ContentArrangement, Table, presets};
use serde_json::{Value, json};

use super::{
    aggregate::{Profile, Share},
    record::PerEvent,
};
use crate::{
    cli::console::{Console, safe},
    config,
    fuel::display_fuel,
    text::brief,
};

/// Most functions that the table shows.
const MOST_FUNCTIONS: usize = 30;
/// Share of the fuel in per cent from which a line is highlighted.
const HOT: f64 = 10.0;

/// Prints the table, the listing and the totals.
pub(crate) fn print(console: &Console, profile: &Profile, text: &str, image: &str) {
    console.out_styled(format_args!("{}\n\n{}", functions(profile), listing(profile, text)));
    let events: u64 = profile.events.iter().sum();
    console.note(format_args!(
        "Fuel {} in all: {} in the lines above, {} for start, input, compiling and result.",
        display_fuel(profile.fuel),
        amount(profile.inside),
        display_fuel(profile.outside()),
    ));
    console.note(format_args!(
        "Tracing cost {} ({events} events), which is subtracted. {:+.2} % of the lines' fuel remained unexplained, and is \
         spread over them. Image {}.",
        amount(tracing_cost(profile)),
        profile.unexplained_percent(),
        image,
    ));
}

/// Returns the units that tracing cost.
fn tracing_cost(profile: &Profile) -> i64 {
    let cost = |(count, cost): (&u64, &i64)| {
        i64::try_from(*count).unwrap_or(i64::MAX).saturating_mul(*cost)
    };
    profile.costs.fixed + profile.events.iter().zip(&profile.costs.events).map(cost).sum::<i64>()
}

/// Formats an amount of fuel; negative ones count as 0.
fn amount(fuel: i64) -> String {
    display_fuel(u64::try_from(fuel).unwrap_or_default())
}

fn percent(part: i64, whole: i64) -> f64 {
    100.0 * part.max(0) as f64 / whole.max(1) as f64
}

fn functions(profile: &Profile) -> Table {
    let colour = config::colour() && io::stdout().is_terminal();
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Disabled);
    let header = ["Function", "Line", "Calls", "Own fuel", "", "With callees", ""];
    table.set_header(header.map(|text| {
        if colour { Cell::new(text).add_attribute(Attribute::Bold) } else { Cell::new(text) }
    }));
    let right = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
    for function in profile.functions.iter().take(MOST_FUNCTIONS) {
        let (code, share) = (&profile.codes[function.code], function.share);
        table.add_row([
            Cell::new(brief(&code.name)),
            right(code.line.to_string()),
            right(function.calls.to_string()),
            right(amount(share.own)),
            right(format!("{:.1} %", percent(share.own, profile.inside))),
            right(amount(share.total)),
            right(format!("{:.1} %", percent(share.total, profile.inside))),
        ]);
    }
    if let Some(more) = profile.functions.len().checked_sub(MOST_FUNCTIONS).filter(|more| *more > 0)
    {
        table.add_row([format!("… and {more} more")]);
    }
    table
}

/// Lists the program's text, with the fuel of each line, its share, its fuel with callees, and its
/// executions.
fn listing(profile: &Profile, text: &str) -> String {
    let colour = config::colour() && io::stdout().is_terminal();
    let (dim, hot, off) = if colour { ("\x1b[2m", "\x1b[1;33m", "\x1b[0m") } else { ("", "", "") };
    let mut out =
        format!("{dim}{:>9} {:>7} {:>12} {:>9}   line{off}\n", "own", "", "with callees", "times");
    for (index, source) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let number = index as u32 + 1;
        let source = safe(source);
        // Writing to a String cannot fail.
        let _ = match profile.lines.get(&number) {
            Some(Share { own, total, hits }) => {
                let share = percent(*own, profile.inside);
                let (ink, own, total) =
                    (if share >= HOT { hot } else { "" }, amount(*own), amount(*total));
                writeln!(
                    out,
                    "{ink}{own:>9} {share:>5.1} % {total:>12} {hits:>9} │ {number:>4}{off} {source}"
                )
            }
            None => writeln!(
                out,
                "{:>9} {:>7} {:>12} {:>9} │ {dim}{number:>4}{off} {source}",
                "", "", "", ""
            ),
        };
    }
    out
}

/// The names of the kinds of events, in the order of [`Event`](super::record::Event).
const EVENTS: PerEvent<&str> = ["line", "start", "resume", "return", "yield", "unwind", "aside"];

/// Returns the object that `--json` prints.
pub(crate) fn json(profile: &Profile, name: &str, seed: u64, image: &str) -> Value {
    let functions = profile.functions.iter().map(|function| {
        let (code, share) = (&profile.codes[function.code], function.share);
        json!({"name": code.name, "line": code.line, "calls": function.calls, "own": share.own, "total": share.total})
    });
    let functions: Vec<Value> = functions.collect();
    let lines: Vec<Value> = profile
        .lines
        .iter()
        .map(|(line, share)| json!({"line": line, "times": share.hits, "own": share.own, "total": share.total}))
        .collect();
    let costs: serde_json::Map<String, Value> = EVENTS
        .iter()
        .zip(profile.events.iter().zip(&profile.costs.events))
        .map(|(event, (count, cost))| ((*event).to_owned(), json!({"events": count, "each": cost})))
        .collect();
    json!({
        "file": name,
        "image": image,
        "mode": {"deterministic": true, "seed": seed, "hashSeed": 0, "clock": "2023-11-14T22:13:20Z"},
        "fuel": profile.fuel,
        "outside": profile.outside(),
        "inside": profile.inside,
        "unexplained": profile.unexplained,
        "unexplainedPercent": profile.unexplained_percent(),
        "events": profile.events.iter().sum::<u64>(),
        "watching": tracing_cost(profile),
        "costs": costs,
        "functions": functions,
        "lines": lines,
    })
}
