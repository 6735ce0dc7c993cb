//! The benchmarks of a file: its named functions, or the file as a whole program.

use std::{
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    cli::{
        exit_code::USAGE,
        harness::{Harness, Measure, ProgramFailure},
        program::{InputArgs, read},
    },
    protocol::TaskSettings,
    sandbox::NoHost,
    text::shown,
};

/// A file to measure.
pub(crate) struct BenchFile {
    /// Its name in reports.
    pub name: String,
    pub settings: TaskSettings,
    pub benchmarks: Vec<Benchmark>,
}

/// A function or a whole program to measure.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Benchmark {
    /// The function. `None`: the whole program.
    pub function: Option<String>,
    /// The parameter that the function receives.
    pub param: Option<Param>,
    /// Index of that parameter in the function's list.
    pub index: Option<usize>,
}

/// A parameter of a benchmark.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Param {
    /// Its `repr`, shortened by the guest.
    pub label: String,
    /// Its value, if it is a number.
    pub number: Option<f64>,
}

/// A named benchmark, as the guest reports it.
#[derive(Deserialize)]
struct Found {
    name: String,
    params: Option<Vec<Param>>,
}

impl Benchmark {
    /// Returns `bench_x[10]`, escaped for a terminal, or an empty text for a whole program.
    pub(crate) fn label(&self) -> String {
        let function = shown(self.function.as_deref().unwrap_or_default(), usize::MAX);
        match &self.param {
            Some(param) => format!("{function}[{}]", param.label),
            None => function.to_string(),
        }
    }

    /// Returns `sort.py::bench_x[10]`, or `sort.py` for a whole program.
    pub(crate) fn name(&self, program: &str) -> String {
        let label = self.label();
        if label.is_empty() { program.to_owned() } else { format!("{program}::{label}") }
    }
}

/// Returns the name of a file in reports and baselines. `./sort.py` and `sort.py` have the same
/// name.
pub(crate) fn name(file: &Path) -> String {
    let plain: PathBuf = file.components().filter(|part| *part != Component::CurDir).collect();
    if file == Path::new("-") {
        return "<stdin>".into();
    }
    shown(&plain.display().to_string(), usize::MAX).to_string()
}

/// Reads a file and lists its benchmarks.
///
/// # Errors
/// The file cannot be read, or the program fails before the guest has listed them.
pub(crate) fn plan(
    harness: &Harness,
    file: &Path,
    input: &InputArgs,
    items: &RawValue,
) -> anyhow::Result<BenchFile> {
    let name = name(file);
    let settings = input.settings_with(read(file)?, items.to_owned());
    let whole = || vec![Benchmark { function: None, param: None, index: None }];
    // A cheap test first: without this text the file has no benchmarks, and needs no run to list
    // them.
    if !settings.code.contains("def bench_") {
        return Ok(BenchFile { name, settings, benchmarks: whole() });
    }
    let run = harness.run(&name, &settings, Some(Measure::Plan), Arc::new(NoHost))?;
    let found: Option<Vec<Found>> = serde_json::from_str(run.value.get())?;
    if input.each && found.is_some() {
        let text = format!(
            "{name}: --each is for whole programs, and this file defines functions bench_…"
        );
        return Err(ProgramFailure { text, code: USAGE }.into());
    }
    let benchmarks =
        found.map_or_else(whole, |found| found.into_iter().flat_map(each_param).collect());
    Ok(BenchFile { name, settings, benchmarks })
}

/// Makes the label safe for a terminal. The guest is not trusted to do it.
fn safe(param: Param) -> Param {
    Param { label: shown(&param.label, usize::MAX).to_string(), ..param }
}

fn each_param(found: Found) -> Vec<Benchmark> {
    let function = Some(found.name);
    match found.params.map(|params| params.into_iter().map(safe)) {
        None => vec![Benchmark { function, param: None, index: None }],
        Some(params) => params
            .enumerate()
            .map(|(index, param)| Benchmark {
                function: function.clone(),
                param: Some(param),
                index: Some(index),
            })
            .collect(),
    }
}
