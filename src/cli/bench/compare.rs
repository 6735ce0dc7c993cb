//! Compares measurements with those of the first file, with a baseline, and with a budget.

use std::collections::BTreeMap;

use super::{measure::Measurement, store::Stored};

/// Parses the increase over the baseline that is allowed, in per cent: `1%`, `0.5%`, `0`.
///
/// # Errors
/// The text is not a number from 0, with or without a percent sign.
pub(crate) fn parse_percent(text: &str) -> Result<f64, String> {
    let number = text.trim().strip_suffix('%').unwrap_or(text).trim().parse().ok();
    let fits = |percent: &f64| percent.is_finite() && *percent >= 0.0;
    number.filter(fits).ok_or_else(|| "must be a percentage from 0, such as 1% or 0.5%".into())
}

/// A measurement and the results of its comparisons.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Compared {
    pub measurement: Measurement,
    /// Fuel relative to the benchmark that it is compared with (see [`ratio`]). `None`: it is
    /// compared with none.
    pub ratio: Option<f64>,
    /// Its fuel in the baseline, in units.
    pub before: Option<u64>,
    /// It consumed more than `fail_above` allows over the baseline.
    pub worse: bool,
    /// It consumed more than the budget.
    pub over: bool,
}

/// The criteria of a comparison.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Criteria<'a> {
    pub baseline: Option<&'a BTreeMap<String, Stored>>,
    pub fail_above: Option<f64>,
    pub budget: Option<u64>,
}

/// Compares every measurement.
pub(crate) fn compare(measurements: Vec<Measurement>, criteria: Criteria) -> Vec<Compared> {
    let ratios: Vec<_> = measurements.iter().map(|one| ratio(one, &measurements)).collect();
    let put = |(measurement, ratio): (Measurement, Option<f64>)| {
        let before = criteria
            .baseline
            .and_then(|benchmarks| benchmarks.get(&measurement.name))
            .map(|stored| stored.fuel);
        let worse = matches!((before, criteria.fail_above), (Some(before), Some(percent))
            if measurement.fuel as f64 > before as f64 * (1.0 + percent / 100.0));
        let over = criteria.budget.is_some_and(|budget| measurement.fuel > budget);
        Compared { measurement, ratio, before, worse, over }
    };
    measurements.into_iter().zip(ratios).map(put).collect()
}

/// Returns the benchmarks of a baseline that were not measured.
pub(crate) fn missing<'a>(
    baseline: &'a BTreeMap<String, Stored>,
    compared: &[Compared],
) -> Vec<&'a str> {
    let measured = |name: &str| compared.iter().any(|one| one.measurement.name == name);
    baseline.keys().map(String::as_str).filter(|name| !measured(name)).collect()
}

/// Returns the fuel of a measurement relative to a reference. With several files the reference is
/// the same benchmark of the first file that has it. With one file it is its first benchmark. With
/// one file that has parameters there is no ratio: the law of growth describes them better.
fn ratio(one: &Measurement, all: &[Measurement]) -> Option<f64> {
    let first = all.first()?;
    let one_file = all.iter().all(|other| other.file == first.file);
    let base = if one_file {
        Some(first).filter(|_| all.iter().all(|other| other.benchmark.param.is_none()))
    } else {
        all.iter().find(|other| other.benchmark == one.benchmark)
    };
    let base = base.filter(|base| base.name != one.name || base.file != one.file)?;
    (base.fuel > 0).then(|| one.fuel as f64 / base.fuel as f64)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::cli::bench::plan::Benchmark;

    fn measured(name: &str, file: usize, function: &str, fuel: u64) -> Measurement {
        let benchmark = Benchmark { function: Some(function.into()), param: None, index: None };
        Measurement { name: name.into(), file, benchmark, fuel, memory: 0, took: Duration::ZERO }
    }

    #[test]
    fn percentages_parse_with_and_without_a_sign() {
        for (text, value) in [("1%", 1.0), ("0.5 %", 0.5), ("0", 0.0)] {
            assert_eq!(parse_percent(text), Ok(value));
        }
        for text in ["", "%", "1%%", "-1%", "inf", "one"] {
            parse_percent(text).unwrap_err();
        }
    }

    #[test]
    fn ratios_are_to_the_first_or_to_the_namesake() {
        let one = vec![measured("a::x", 0, "x", 10), measured("a::y", 0, "y", 15)];
        let ratios =
            |all| compare(all, Criteria::default()).iter().map(|one| one.ratio).collect::<Vec<_>>();
        assert_eq!(ratios(one), [None, Some(1.5)]);
        let two = vec![
            measured("a::x", 0, "x", 10),
            measured("a::y", 0, "y", 20),
            measured("b::y", 1, "y", 30),
        ];
        assert_eq!(ratios(two), [None, None, Some(1.5)]);
    }

    #[test]
    fn worse_means_above_the_baseline_and_its_margin() {
        let baseline = [("a::x".to_owned(), Stored { fuel: 1000, memory: 0 })].into();
        let criteria =
            Criteria { baseline: Some(&baseline), fail_above: Some(1.0), budget: Some(1010) };
        for (fuel, worse) in [(900, false), (1010, false), (1011, true)] {
            let compared = compare(vec![measured("a::x", 0, "x", fuel)], criteria);
            assert_eq!((compared[0].worse, compared[0].over), (worse, worse), "{fuel}");
        }
        assert_eq!(missing(&baseline, &[]), ["a::x"]);
    }
}
