//! Which benchmarks there are: the named ones of a file, or the file as a whole.

use std::{
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    cli::{
        USAGE,
        console::printable,
        program::{InputArgs, read},
        ruler::{Failure, Measure, Ruler},
    },
    protocol::TaskSettings,
    sandbox::NoHost,
};

/// One file to measure.
pub(crate) struct Program {
    /// As the command line names it.
    pub name: String,
    pub settings: TaskSettings,
    pub benchmarks: Vec<Benchmark>,
}

/// One thing to measure.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Benchmark {
    /// The function; none where it is the whole program.
    pub function: Option<String>,
    /// What the function is called with.
    pub param: Option<Param>,
    /// Which of the function's parameters that is.
    pub index: Option<usize>,
}

/// A parameter of a benchmark.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Param {
    /// As Python shows it.
    pub label: String,
    /// Its value where it is a number.
    pub number: Option<f64>,
}

/// A named benchmark, as the guest finds it.
#[derive(Deserialize)]
struct Found {
    name: String,
    params: Option<Vec<Param>>,
}

impl Benchmark {
    /// `bench_x[10]`; empty for a whole program.
    pub(crate) fn label(&self) -> String {
        let function = self.function.as_deref().unwrap_or_default();
        match &self.param {
            Some(param) => format!("{function}[{}]", param.label),
            None => function.to_owned(),
        }
    }

    /// `sort.py::bench_x[10]`; `sort.py` for a whole program.
    pub(crate) fn name(&self, program: &str) -> String {
        let label = self.label();
        if label.is_empty() { program.to_owned() } else { format!("{program}::{label}") }
    }
}

/// What a file is called in reports: `./sort.py` is `sort.py`, also in a baseline.
pub(crate) fn name(file: &Path) -> String {
    let plain: PathBuf = file.components().filter(|part| *part != Component::CurDir).collect();
    if file == Path::new("-") { "<stdin>".into() } else { printable(&plain.display().to_string()) }
}

/// Reads a file, and finds out what is to be measured in it.
///
/// # Errors
/// It cannot be read, or fails before it can say.
pub(crate) fn plan(
    ruler: &Ruler,
    file: &Path,
    input: &InputArgs,
    items: &RawValue,
) -> anyhow::Result<Program> {
    let name = name(file);
    let settings = input.settings_with(read(file)?, items.to_owned());
    let whole = || vec![Benchmark { function: None, param: None, index: None }];
    // Without the word there is nothing to ask Python for.
    if !settings.code.contains("def bench_") {
        return Ok(Program { name, settings, benchmarks: whole() });
    }
    let run = ruler.run(&name, &settings, Some(Measure::Plan), Arc::new(NoHost))?;
    let found: Option<Vec<Found>> = serde_json::from_str(run.value.get())?;
    if input.each && found.is_some() {
        let text =
            format!("{name}: --each is for whole programs, and this file has functions bench_…");
        return Err(Failure { text, code: USAGE }.into());
    }
    let benchmarks =
        found.map_or_else(whole, |found| found.into_iter().flat_map(each_param).collect());
    Ok(Program { name, settings, benchmarks })
}

/// A parameter whose label goes to terminals: the guest has made it fit, and is not trusted to.
fn shown(param: Param) -> Param {
    Param { label: printable(&param.label), ..param }
}

fn each_param(found: Found) -> Vec<Benchmark> {
    let function = Some(found.name);
    match found.params.map(|params| params.into_iter().map(shown)) {
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
