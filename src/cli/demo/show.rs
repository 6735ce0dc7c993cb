//! The output of the demo: progress on standard error, a table or JSON on standard output.

use std::{
    fmt,
    io::{self, IsTerminal},
    process::ExitCode,
    time::Duration,
};

use comfy_table::{Attribute, Cell, CellAlignment, Color, ContentArrangement, Table, presets};
use serde_json::{Value, json};

use super::{task_run::TaskRun, tasks::DemoTask};
use crate::{broker::TaskResult, cli::console::Console, config, text::shown};

/// Width of the table in characters if standard output is not a terminal.
const WIDTH: u16 = 120;
/// Characters of one line of a result that the table shows. Longer lines are cut.
const SHOWN: usize = 300;

/// The output of the demo, as text or JSON.
pub(crate) struct Screen {
    console: Console,
    json: bool,
    /// Whether standard error shows colours, and whether standard output does.
    colours: (bool, bool),
}

/// A text style, with its ANSI SGR code (ECMA-48, 8.3.117).
#[derive(Clone, Copy)]
enum Ink {
    Bold = 1,
    Dim = 2,
    Red = 31,
    Green = 32,
}

impl Screen {
    pub(crate) fn new(json: bool) -> Self {
        let wanted = config::colour();
        let colours = (wanted && io::stderr().is_terminal(), wanted && io::stdout().is_terminal());
        Self { console: Console::default(), json, colours }
    }

    pub(crate) fn registered(&self, uri: &str, after: Duration) {
        let text = format_args!("Runner registered at {uri} after {}.", time(after));
        self.console.note_styled(self.paint(Ink::Dim, text));
    }

    pub(crate) fn begin(&self, task: &DemoTask) {
        self.console.note_styled(format_args!(
            "\n{}  {}",
            self.paint(Ink::Bold, task.name),
            task.shows
        ));
    }

    pub(crate) fn print(&self, text: &str) {
        self.console.note_styled(format_args!(
            "  {} {}",
            self.paint(Ink::Dim, "│"),
            shown(text, SHOWN)
        ));
    }

    /// Prints a line of progress for a task that has ended, and with `--json` its object.
    pub(crate) fn end(&self, run: &TaskRun) {
        let took = time(run.took);
        self.console.note_styled(match &run.mismatch {
            None => format!("  {} {}", self.paint(Ink::Green, "✓"), self.paint(Ink::Dim, took)),
            Some(mismatch) => {
                format!("  {} {took} {}", self.paint(Ink::Red, "✗"), shown(mismatch, SHOWN))
            }
        });
        if self.json {
            let (result, error) = match &run.result {
                TaskResult::Done(data) => {
                    (serde_json::from_str(data.result.get()).unwrap_or(Value::Null), Value::Null)
                }
                TaskResult::Failed(failure) => (Value::Null, json!(failure)),
                other => (Value::Null, json!({"message": other.to_string()})),
            };
            let line = json!({
                "task": run.task.name,
                "shows": run.task.shows,
                "asExpected": run.mismatch.is_none(),
                "result": result,
                "error": error,
                "prints": run.prints,
                "seconds": run.took.as_secs_f64(),
            });
            self.console.out_json(format_args!("{line}\n"));
        }
    }

    /// Prints the table, and how many tasks behaved as described.
    pub(crate) fn summary(&self, runs: &[TaskRun], took: Duration) {
        if !self.json {
            let table = self.table(runs);
            self.console.out_styled(format_args!("\n{table}\n"));
        }
        let mismatches = runs.iter().filter(|run| run.mismatch.is_some()).count();
        let (ink, verdict) = match mismatches {
            0 => (Ink::Green, format!("All {} tasks behaved as described", runs.len())),
            n => (Ink::Red, format!("{n} of {} tasks did not behave as described", runs.len())),
        };
        self.console.note_styled(format_args!("{} ({}).", self.paint(ink, verdict), time(took)));
    }

    /// Returns `code`, or 1 if a write failed.
    pub(crate) fn finish(&self, code: ExitCode) -> ExitCode {
        self.console.finish(code)
    }

    fn table(&self, runs: &[TaskRun]) -> Table {
        let mut table = Table::new();
        table
            .load_style(presets::UTF8_FULL_CONDENSED)
            .set_content_arrangement(ContentArrangement::Dynamic);
        if !io::stdout().is_terminal() {
            table.set_width(WIDTH);
        }
        table.set_header(
            ["", "Task", "What it shows", "What the user sees", "Time"].map(|text| self.bold(text)),
        );
        for run in runs {
            let DemoTask { name, shows, .. } = run.task;
            let (mark, colour) =
                if run.mismatch.is_none() { ("✓", Color::Green) } else { ("✗", Color::Red) };
            let mut seen = Cell::new(seen(run));
            if !matches!(run.result, TaskResult::Done(_)) {
                seen = self.colour(seen, Color::Yellow);
            }
            table.add_row([
                self.colour(Cell::new(mark), colour),
                self.bold(name),
                Cell::new(shows),
                seen,
                Cell::new(time(run.took)).set_alignment(CellAlignment::Right),
            ]);
        }
        table
    }

    fn bold(&self, text: &str) -> Cell {
        let cell = Cell::new(text);
        if self.colours.1 { cell.add_attribute(Attribute::Bold) } else { cell }
    }

    fn colour(&self, cell: Cell, colour: Color) -> Cell {
        if self.colours.1 { cell.fg(colour) } else { cell }
    }

    fn paint(&self, ink: Ink, text: impl fmt::Display) -> String {
        if self.colours.0 { format!("\x1b[{}m{text}\x1b[0m", ink as u8) } else { text.to_string() }
    }
}

/// Formats the prints of a task, then its error or its result with one line per item.
fn seen(run: &TaskRun) -> String {
    let mut lines: Vec<_> = run.prints.iter().map(|line| format!("│ {line}")).collect();
    match &run.result {
        TaskResult::Done(data) => match serde_json::from_str(data.result.get()) {
            Ok(Value::Array(items)) if !items.is_empty() => lines.extend(items.iter().map(spaced)),
            Ok(value) => lines.push(spaced(&value)),
            Err(error) => lines.push(error.to_string()),
        },
        TaskResult::Failed(failure) => lines.push(match failure.details.get("lineNumber") {
            Some(line) if !failure.message.contains("(line ") => {
                format!("{} (line {line})", failure.message)
            }
            _ => failure.message.clone(),
        }),
        other => lines.push(other.to_string()),
    }
    lines.iter().map(|line| shown(line, SHOWN).to_string()).collect::<Vec<_>>().join("\n")
}

/// Formats JSON on one line with spaces, as Python writes it. The table can wrap it at the spaces.
fn spaced(value: &Value) -> String {
    match value {
        Value::Array(values) => {
            format!("[{}]", values.iter().map(spaced).collect::<Vec<_>>().join(", "))
        }
        Value::Object(fields) => {
            let field =
                |(key, value): (&String, &Value)| format!("{}: {}", json!(key), spaced(value));
            format!("{{{}}}", fields.iter().map(field).collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

fn time(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 1.0 { format!("{:.0} ms", seconds * 1000.0) } else { format!("{seconds:.1} s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_spaced_as_in_python() {
        assert_eq!(
            spaced(&json!({"a\"b": [1, "ü", null], "c": {}})),
            r#"{"a\"b": [1, "ü", null], "c": {}}"#
        );
    }
}
