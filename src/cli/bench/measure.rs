//! Measuring one benchmark: several runs, each in a fresh instance, which all have to burn the same.

use std::{sync::Arc, time::Duration};

use super::plan::{Benchmark, Program};
use crate::cli::{
    program::BROKEN,
    ruler::{Failure, Measure, Ruler, Span},
};

/// What a benchmark burnt.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Measurement {
    /// `sort.py::bench_x[10]`
    pub name: String,
    /// Which file it is from, by its place on the command line.
    pub file: usize,
    pub benchmark: Benchmark,
    /// Units: of a function its own, of a program all from the task's start to its end.
    pub fuel: u64,
    /// The largest size of the guest's memory in bytes, with the interpreter's.
    pub memory: u64,
    /// The shortest wall-clock time of a run, with start and end.
    pub took: Duration,
}

/// A benchmark, or a whole file, that could not be measured.
#[derive(Debug)]
pub(crate) struct Failed {
    pub name: String,
    pub failure: Failure,
}

impl Failed {
    /// # Errors
    /// It failed for a reason that none of the others would escape.
    pub(crate) fn of(name: String, error: anyhow::Error) -> anyhow::Result<Self> {
        Ok(Self { name, failure: error.downcast()? })
    }

    /// Whether a benchmark of this name is among what failed: it, or all of its file.
    pub(crate) fn covers(&self, name: &str) -> bool {
        name.strip_prefix(&self.name).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    }
}

/// Measures one benchmark of a program `runs` times.
///
/// # Errors
/// It fails, or its runs differ.
pub(crate) fn measure(
    ruler: &Ruler,
    (file, program): (usize, &Program),
    benchmark: &Benchmark,
    runs: usize,
) -> anyhow::Result<Measurement> {
    let name = benchmark.name(&program.name);
    // What the ruler itself burns around a function: measured in the same way, with nothing in the function's place.
    let overhead = match benchmark.function {
        Some(_) => run(ruler, &name, program, benchmark, true)?.fuel,
        None => 0,
    };
    let runs: Vec<One> = (0..runs)
        .map(|_| run(ruler, &name, program, benchmark, false))
        .collect::<Result<_, _>>()?;
    let fuel = agreed(&name, runs.iter().map(|run| run.fuel))?;
    Ok(Measurement {
        name,
        file,
        benchmark: benchmark.clone(),
        fuel: fuel.saturating_sub(overhead),
        memory: runs.iter().map(|run| run.memory).max().unwrap_or_default(),
        took: runs.iter().map(|run| run.took).min().unwrap_or_default(),
    })
}

/// One run.
struct One {
    fuel: u64,
    memory: u64,
    took: Duration,
}

fn run(
    ruler: &Ruler,
    name: &str,
    program: &Program,
    benchmark: &Benchmark,
    empty: bool,
) -> anyhow::Result<One> {
    let measure = benchmark.function.as_deref().map(|function| Measure::Bench {
        name: function,
        param: benchmark.index,
        empty,
    });
    let span = Arc::new(Span::default());
    let run = ruler.run(name, &program.settings, measure, span.clone())?;
    let fuel = if measure.is_some() { span.fuel() } else { run.fuel };
    Ok(One { fuel, memory: run.memory, took: run.took })
}

/// The fuel of all runs, which is the same.
///
/// # Errors
/// It is not.
fn agreed(name: &str, mut runs: impl Iterator<Item = u64>) -> Result<u64, Failure> {
    let first = runs.next().unwrap_or_default();
    match runs.find(|&fuel| fuel != first) {
        None => Ok(first),
        Some(other) => Err(Failure {
            text: format!(
                "{name}: two runs burnt different amounts of fuel, {first} and {other} units: the same code and input \
                 must burn the same, so this is a defect of serpentarium; please report it"
            ),
            code: BROKEN,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_that_differ_are_an_error_that_says_so() {
        assert_eq!(agreed("a.py", [7, 7, 7].into_iter()).unwrap(), 7);
        let error = agreed("a.py", [7, 7, 8].into_iter()).unwrap_err();
        assert!(
            error.text.starts_with("a.py: two runs burnt different amounts of fuel, 7 and 8 units"),
            "{error}"
        );
        assert_eq!(error.code, BROKEN);
    }
}
