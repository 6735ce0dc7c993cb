//! The output of `bench`: a table and the growth of sweeps, or one JSON object.

use std::io::{self, IsTerminal};

use bytesize::ByteSize;
use comfy_table::{Attribute, Cell, CellAlignment, Color, ContentArrangement, Table, presets};
use serde_json::{Value, json};

use super::{
    compare::{Compared, Criteria},
    growth::{Fit, Growth},
    measure::{Failed, Measurement},
};
use crate::{
    cli::{budget::percent_change, console::Console},
    config,
    fuel::display_fuel,
};

/// The results of all measurements.
pub(crate) struct BenchReport<'a> {
    /// The conditions that make fuel reproducible, as text.
    pub mode: String,
    /// Version of the Python image.
    pub image: &'a str,
    pub runs: u16,
    pub seed: u64,
    /// Fuel of an empty program, if whole programs were measured.
    pub start: Option<u64>,
    pub compared: &'a [Compared],
    /// Benchmarks of the baseline that were not measured.
    pub missing: Vec<&'a str>,
    pub failed: &'a [Failed],
}

/// A benchmark with several parameters, as `(parameter, fuel)` points.
struct Sweep {
    file: usize,
    name: String,
    points: Vec<(f64, f64)>,
}

impl BenchReport<'_> {
    pub(crate) fn print(
        &self,
        console: &Console,
        json: bool,
        criteria: Criteria,
        baseline: Option<&str>,
    ) {
        if json {
            console.out_json(format_args!("{:#}\n", self.json(baseline)));
        } else if !self.compared.is_empty() {
            let table = self.table(baseline);
            console.out_styled(format_args!("{table}\n"));
            for (name, growth) in self.growths() {
                console.out(format_args!("\n{}", shown_growth(&name, &growth)));
            }
            self.remarks(console);
        }
        self.verdict(console, criteria);
    }

    /// Prints the conditions and remarks to standard error.
    fn remarks(&self, console: &Console) {
        let runs = match self.runs {
            1 => "1 run of each".to_owned(),
            n => format!("{n} runs of each consumed the same"),
        };
        console.note(format_args!("{runs}; {}.", self.mode));
        if let Some(start) = self.start {
            let start = display_fuel(start);
            console.note(format_args!(
                "The start and end of a task take {start} of each whole program: the fuel of an empty one."
            ));
        }
        if !self.missing.is_empty() {
            console.note(format_args!("In the baseline only: {}.", self.missing.join(", ")));
        }
    }

    /// Prints the benchmarks that exceed the baseline's margin or the budget.
    fn verdict(&self, console: &Console, criteria: Criteria) {
        for one in self.compared {
            let (name, fuel) = (&one.measurement.name, one.measurement.fuel);
            if let (true, Some(before), Some(percent)) =
                (one.worse, one.before, criteria.fail_above)
            {
                let (change, before, fuel) =
                    (percent_change(before, fuel), display_fuel(before), display_fuel(fuel));
                console.note(format_args!(
                    "{name} consumes {fuel} after {before} in the baseline ({change}): more than the {percent} % allowed"
                ));
            }
            if let (true, Some(budget)) = (one.over, criteria.budget) {
                let (shown, allowed) = (display_fuel(fuel), display_fuel(budget));
                console.note(format_args!(
                    "{name} consumes {shown}, over the budget of {allowed} ({})",
                    percent_change(budget, fuel)
                ));
            }
        }
    }

    fn table(&self, baseline: Option<&str>) -> Table {
        let colour = config::colour() && io::stdout().is_terminal();
        let ratios = self.compared.iter().any(|one| one.ratio.is_some());
        let mut header = vec!["Benchmark".to_owned(), "Fuel".into()];
        header.extend(ratios.then(|| "Ratio".into()));
        header.extend(baseline.map(|name| format!("Against {name}")));
        header.extend(["Memory".into(), "Time".into()]);
        let mut table = Table::new();
        table
            .load_style(presets::UTF8_FULL_CONDENSED)
            .set_content_arrangement(ContentArrangement::Disabled);
        let bold = |text: String| {
            if colour { Cell::new(text).add_attribute(Attribute::Bold) } else { Cell::new(text) }
        };
        table.set_header(header.into_iter().map(bold));
        for one in self.compared {
            let measurement = &one.measurement;
            let right = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
            let red =
                |cell: Cell, yes: bool| if colour && yes { cell.fg(Color::Red) } else { cell };
            let mut row = vec![
                Cell::new(&measurement.name),
                red(right(display_fuel(measurement.fuel)), one.over),
            ];
            if ratios {
                row.push(right(one.ratio.map_or_else(String::new, |ratio| format!("{ratio:.3}×"))));
            }
            if baseline.is_some() {
                let shown = one.before.map_or_else(
                    || "new".into(),
                    |before| percent_change(before, measurement.fuel),
                );
                row.push(red(right(shown), one.worse));
            }
            row.push(right(ByteSize::b(measurement.memory).display().iec().to_string()));
            row.push(right(format!("{:.1} ms", measurement.took.as_secs_f64() * 1e3)));
            table.add_row(row);
        }
        table
    }

    /// Returns the growth of each sweep, by the name of its function.
    fn growths(&self) -> Vec<(String, Growth)> {
        let mut sweeps: Vec<Sweep> = Vec::new();
        for one in self.compared {
            let Measurement { file, fuel, benchmark, name, .. } = &one.measurement;
            let Some(param) = &benchmark.param else { continue };
            let Some(number) = param.number else { continue };
            let name = name.strip_suffix(&format!("[{}]", param.label)).unwrap_or(name);
            let point = (number, *fuel as f64);
            match sweeps.iter_mut().find(|sweep| sweep.file == *file && sweep.name == name) {
                Some(sweep) => sweep.points.push(point),
                None => {
                    sweeps.push(Sweep { file: *file, name: name.to_owned(), points: vec![point] })
                }
            }
        }
        sweeps
            .into_iter()
            .filter_map(|sweep| Some((sweep.name, Growth::of(&sweep.points)?)))
            .collect()
    }

    fn json(&self, baseline: Option<&str>) -> Value {
        let benchmark = |one: &Compared| {
            let measurement = &one.measurement;
            json!({
                "name": measurement.name,
                "fuel": measurement.fuel,
                "memory": measurement.memory,
                "durationMs": measurement.took.as_secs_f64() * 1e3,
                "ratio": one.ratio,
                "baselineFuel": one.before,
                "worse": one.worse,
                "overBudget": one.over,
            })
        };
        let failed = |one: &Failed| json!({"name": one.name, "error": one.failure.text});
        let fit = |fit: &Fit| {
            json!({
                "law": fit.law.name(), "constant": fit.constant, "coefficient": fit.coefficient,
                "residual": fit.residual, "r2": fit.r2,
            })
        };
        let growth = |(name, growth): (String, Growth)| {
            let fits: Vec<_> = growth.fits.iter().map(fit).collect();
            json!({"name": name, "law": (!growth.is_poor()).then(|| growth.chosen.law.name()), "closest": growth.chosen.law.name(), "poor": growth.is_poor(), "fits": fits})
        };
        json!({
            "image": self.image,
            "mode": {"deterministic": true, "seed": self.seed, "hashSeed": 0, "clock": "2023-11-14T22:13:20Z"},
            "runs": self.runs,
            "startFuel": self.start,
            "baseline": baseline,
            "benchmarks": self.compared.iter().map(benchmark).collect::<Vec<_>>(),
            "onlyInBaseline": self.missing,
            "failed": self.failed.iter().map(failed).collect::<Vec<_>>(),
            "growth": self.growths().into_iter().map(growth).collect::<Vec<_>>(),
        })
    }
}

/// Formats the chosen law, and all fits with their residuals.
fn shown_growth(name: &str, growth: &Growth) -> String {
    let chosen = &growth.chosen;
    let law = chosen.law.name();
    let mut text = if growth.is_poor() {
        format!("{name} grows as none of the laws; the closest is {law}: {}\n", formula(chosen))
    } else {
        format!("{name} grows as {law}: {}\n", formula(chosen))
    };
    for fit in &growth.fits {
        let mark = if fit.law == chosen.law { "▸" } else { " " };
        let (law, residual) = (fit.law.name(), fit.residual * 100.0);
        text += &format!(
            "  {mark} {law:<10}  off by {residual:>8.2} %   R² {:>7.4}   {}\n",
            fit.r2,
            formula(fit)
        );
    }
    text
}

/// Formats a fit: `1.2k + 35·n`.
fn formula(fit: &Fit) -> String {
    let amount = |units: f64| {
        if units < 1000.0 { format!("{units:.3}") } else { display_fuel(units as u64) }
    };
    match fit.law.term() {
        "" => amount(fit.constant),
        term => format!("{} + {}·{term}", amount(fit.constant), amount(fit.coefficient)),
    }
}
