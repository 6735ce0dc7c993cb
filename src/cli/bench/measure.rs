//! Measures one benchmark: several runs, each in a fresh instance, which must all consume the same
//! fuel.

use std::{sync::Arc, time::Duration};

use super::plan::{BenchFile, Benchmark};
use crate::cli::{
    exit_code::BROKEN,
    harness::{Harness, Measure, ProgramFailure, SpanHost},
};

/// The measurement of one benchmark.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Measurement {
    /// `sort.py::bench_x[10]`
    pub name: String,
    /// Index of its file on the command line.
    pub file: usize,
    pub benchmark: Benchmark,
    /// Units: those of the function alone, or those of a whole task.
    pub fuel: u64,
    /// Peak size of the guest's memory in bytes, interpreter included.
    pub memory: u64,
    /// Shortest wall-clock time of a run, start and end included.
    pub took: Duration,
}

/// A benchmark or a file that could not be measured.
#[derive(Debug)]
pub(crate) struct Failed {
    pub name: String,
    pub failure: ProgramFailure,
}

impl Failed {
    /// Names the benchmark or file that a program's error stopped.
    ///
    /// # Errors
    /// The error is not the program's, and would stop every other benchmark too.
    pub(crate) fn of(name: String, error: anyhow::Error) -> anyhow::Result<Self> {
        Ok(Self { name, failure: error.downcast()? })
    }

    /// Returns whether the benchmark of this name failed, by itself or with its file.
    pub(crate) fn covers(&self, name: &str) -> bool {
        name.strip_prefix(&self.name).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    }
}

/// Measures one benchmark of a program `runs` times.
///
/// # Errors
/// A run fails, or the runs differ.
pub(crate) fn measure(
    harness: &Harness,
    (file, program): (usize, &BenchFile),
    benchmark: &Benchmark,
    runs: usize,
) -> anyhow::Result<Measurement> {
    let name = benchmark.name(&program.name);
    // The fuel of the harness around a function, measured with an empty function in its place.
    let overhead = match benchmark.function {
        Some(_) => run(harness, &name, program, benchmark, true)?.fuel,
        None => 0,
    };
    let runs: Vec<SingleRun> = (0..runs)
        .map(|_| run(harness, &name, program, benchmark, false))
        .collect::<Result<_, _>>()?;
    let fuel = identical_fuel(&name, runs.iter().map(|run| run.fuel))?;
    Ok(Measurement {
        name,
        file,
        benchmark: benchmark.clone(),
        fuel: fuel.saturating_sub(overhead),
        memory: runs.iter().map(|run| run.memory).max().unwrap_or_default(),
        took: runs.iter().map(|run| run.took).min().unwrap_or_default(),
    })
}

/// The figures of one run.
struct SingleRun {
    fuel: u64,
    memory: u64,
    took: Duration,
}

fn run(
    harness: &Harness,
    name: &str,
    program: &BenchFile,
    benchmark: &Benchmark,
    empty: bool,
) -> anyhow::Result<SingleRun> {
    let measure = benchmark.function.as_deref().map(|function| Measure::Bench {
        name: function,
        param: benchmark.index,
        empty,
    });
    let span = Arc::new(SpanHost::default());
    let run = harness.run(name, &program.settings, measure, span.clone())?;
    let fuel = if measure.is_some() { span.fuel() } else { run.fuel };
    Ok(SingleRun { fuel, memory: run.memory, took: run.took })
}

/// Returns the fuel of all runs.
///
/// # Errors
/// The runs differ.
fn identical_fuel(name: &str, mut runs: impl Iterator<Item = u64>) -> Result<u64, ProgramFailure> {
    let first = runs.next().unwrap_or_default();
    match runs.find(|&fuel| fuel != first) {
        None => Ok(first),
        Some(other) => Err(ProgramFailure {
            text: format!(
                "{name}: two runs consumed different amounts of fuel, {first} and {other} units: the same code and input \
                 must consume the same, so this is a defect of serpentarium; please report it"
            ),
            code: BROKEN,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differing_runs_are_an_error() {
        assert_eq!(identical_fuel("a.py", [7, 7, 7].into_iter()).unwrap(), 7);
        let error = identical_fuel("a.py", [7, 7, 8].into_iter()).unwrap_err();
        assert!(
            error
                .text
                .starts_with("a.py: two runs consumed different amounts of fuel, 7 and 8 units"),
            "{error}"
        );
        assert_eq!(error.code, BROKEN);
    }
}
