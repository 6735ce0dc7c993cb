//! `serpentarium config`: the runner's settings, and the source of each.

use std::{
    io::{self, IsTerminal},
    process::ExitCode,
};

use clap::{Arg, ArgMatches, Args as _, parser::ValueSource};
use comfy_table::{ContentArrangement, Table, presets};
use serde_json::{Map, Value, json};

use super::{
    console::{self, Console},
    runner::workers,
};
use crate::{
    config::{RunnerArgs, SECRET_VARS, SettingFiles},
    fuel::display_fuel,
};

/// Width of the table in characters if standard output is not a terminal.
const WIDTH: u16 = 120;

/// Shows the settings that the runner would use, and the source of each.
///
/// Takes the runner's flags and variables, checks them as the runner does, and runs nothing. Hides
/// secrets.
///
/// Exit codes: 0 the runner would start with these settings, 1 it would not (the reason is on
/// standard error).
#[derive(Debug, clap::Args)]
pub(crate) struct ConfigArgs {
    /// Print one JSON object: the value and source of each setting, by the name of its variable.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    settings: RunnerArgs,
}

/// One row of the table.
struct Row {
    variable: String,
    flag: String,
    value: String,
    source: String,
}

pub(crate) fn run(
    args: &ConfigArgs,
    matches: &ArgMatches,
    files: &SettingFiles,
) -> anyhow::Result<ExitCode> {
    let console = Console::default();
    let command = RunnerArgs::augment_args(clap::Command::new("runner"));
    let rows: Vec<Row> = command
        .get_arguments()
        .filter_map(|arg| row(arg, &args.settings, matches, files))
        .collect();
    if args.json {
        let object: Map<String, Value> = rows
            .into_iter()
            .map(|row| {
                (
                    row.variable,
                    json!({ "flag": row.flag, "value": row.value, "source": row.source }),
                )
            })
            .collect();
        console.out_json(format_args!("{:#}\n", Value::Object(object)));
    } else {
        console.out(format_args!("{}\n", table(rows)));
    }
    let code = args.settings.config().map_or_else(
        |error| {
            console::print_error(format_args!("the runner would not start: {error}"));
            ExitCode::FAILURE
        },
        |_| ExitCode::SUCCESS,
    );
    Ok(console.finish(code))
}

fn row(
    arg: &Arg,
    settings: &RunnerArgs,
    matches: &ArgMatches,
    files: &SettingFiles,
) -> Option<Row> {
    let variable = arg.get_env()?.to_str()?.to_owned();
    let id = arg.get_id().as_str();
    let raw = matches.get_raw(id).and_then(|mut values| values.next());
    let value = match raw {
        Some(_) if SECRET_VARS.contains(&variable.as_str()) => "(set, not shown)".into(),
        Some(value) if value.is_empty() => "(nothing)".into(),
        Some(value) => value.to_string_lossy().into_owned(),
        None => unset(id, settings),
    };
    let source = match (matches.value_source(id), files.0.get(&variable)) {
        (Some(ValueSource::CommandLine), _) => "flag".into(),
        (Some(ValueSource::EnvVariable), Some(file)) => format!("file {}", file.display()),
        (Some(ValueSource::EnvVariable), None) => "variable".into(),
        _ => "default".into(),
    };
    Some(Row { variable, flag: format!("--{}", arg.get_long()?), value, source })
}

/// Returns the effective value of a setting that is not set and has no fixed default.
fn unset(id: &str, settings: &RunnerArgs) -> String {
    let policy = settings.policy.policy().unwrap_or_default();
    let list = |names: Option<std::collections::BTreeSet<String>>, open: &str| match names {
        None => open.into(),
        Some(names) if names.is_empty() => "(nothing)".into(),
        Some(names) => names.into_iter().collect::<Vec<_>>().join(","),
    };
    match id {
        "fuel" => display_fuel(settings.limits.limits().fuel),
        "workers" => workers(settings).to_string(),
        "id" => "(random)".into(),
        "timezone" => "America/New_York".into(),
        "local_timezone" => settings.timezone.clone().unwrap_or_else(|| "UTC".into()),
        "stdlib_allow" => list(policy.stdlib_allow, "*"),
        "external_allow" => list(policy.external_allow, "*"),
        "builtins_deny" => list(policy.builtins_deny, "(nothing)"),
        _ => "(not set)".into(),
    }
}

fn table(rows: Vec<Row>) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Dynamic);
    if !io::stdout().is_terminal() {
        table.set_width(WIDTH);
    }
    table.set_header(["Setting", "Flag", "Value", "Source"]);
    for Row { variable, flag, value, source } in rows {
        table.add_row([variable, flag, value, source]);
    }
    table
}
