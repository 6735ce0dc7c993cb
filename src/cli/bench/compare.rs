//! Measurements beside others: the first file's, a baseline's, a budget.

use std::collections::BTreeMap;

use super::{measure::Measurement, store::Stored};

/// How much more fuel than its baseline a benchmark may burn, in hundredths: `1%`, `0.5%`, `0`.
///
/// # Errors
/// The text is anything but a number from 0, with or without a percent sign.
pub(crate) fn parse_percent(text: &str) -> Result<f64, String> {
    let number = text.trim().strip_suffix('%').unwrap_or(text).trim().parse().ok();
    let fits = |percent: &f64| percent.is_finite() && *percent >= 0.0;
    number.filter(fits).ok_or_else(|| "must be a percentage from 0, such as 1% or 0.5%".into())
}

/// A measurement with what it is compared to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Compared {
    pub measurement: Measurement,
    /// How often the fuel of the first of its kind it burnt; none for the first itself.
    pub ratio: Option<f64>,
    /// Its fuel in the baseline.
    pub before: Option<u64>,
    /// It burnt more than the baseline allows.
    pub worse: bool,
    /// It burnt more than the budget.
    pub over: bool,
}

/// What the measurements are held against.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Against<'a> {
    pub baseline: Option<&'a BTreeMap<String, Stored>>,
    pub fail_above: Option<f64>,
    pub budget: Option<u64>,
}

/// Puts every measurement beside the others.
pub(crate) fn compare(measurements: Vec<Measurement>, against: Against) -> Vec<Compared> {
    let ratios: Vec<_> = measurements.iter().map(|one| ratio(one, &measurements)).collect();
    let put = |(measurement, ratio): (Measurement, Option<f64>)| {
        let before = against
            .baseline
            .and_then(|benchmarks| benchmarks.get(&measurement.name))
            .map(|stored| stored.fuel);
        let worse = matches!((before, against.fail_above), (Some(before), Some(percent))
            if measurement.fuel as f64 > before as f64 * (1.0 + percent / 100.0));
        let over = against.budget.is_some_and(|budget| measurement.fuel > budget);
        Compared { measurement, ratio, before, worse, over }
    };
    measurements.into_iter().zip(ratios).map(put).collect()
}

/// The benchmarks of a baseline that were not measured.
pub(crate) fn gone<'a>(
    baseline: &'a BTreeMap<String, Stored>,
    compared: &[Compared],
) -> Vec<&'a str> {
    let measured = |name: &str| compared.iter().any(|one| one.measurement.name == name);
    baseline.keys().map(String::as_str).filter(|name| !measured(name)).collect()
}

/// How often the fuel of the first of its kind: the same benchmark of the first file that has it, the first benchmark
/// where all are of one file. A sweep is compared with itself by the law of its growth.
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
    fn percentages_are_read_with_and_without_their_sign() {
        for (text, value) in [("1%", 1.0), ("0.5 %", 0.5), ("0", 0.0)] {
            assert_eq!(parse_percent(text), Ok(value));
        }
        for text in ["", "%", "1%%", "-1%", "inf", "one"] {
            parse_percent(text).unwrap_err();
        }
    }

    #[test]
    fn benchmarks_of_one_file_are_compared_with_its_first_and_those_of_several_with_their_namesakes()
     {
        let one = vec![measured("a::x", 0, "x", 10), measured("a::y", 0, "y", 15)];
        let ratios =
            |all| compare(all, Against::default()).iter().map(|one| one.ratio).collect::<Vec<_>>();
        assert_eq!(ratios(one), [None, Some(1.5)]);
        let two = vec![
            measured("a::x", 0, "x", 10),
            measured("a::y", 0, "y", 20),
            measured("b::y", 1, "y", 30),
        ];
        assert_eq!(ratios(two), [None, None, Some(1.5)]);
    }

    #[test]
    fn worse_is_more_than_the_baseline_and_the_margin() {
        let baseline = [("a::x".to_owned(), Stored { fuel: 1000, memory: 0 })].into();
        let against =
            Against { baseline: Some(&baseline), fail_above: Some(1.0), budget: Some(1010) };
        for (fuel, worse) in [(900, false), (1010, false), (1011, true)] {
            let compared = compare(vec![measured("a::x", 0, "x", fuel)], against);
            assert_eq!((compared[0].worse, compared[0].over), (worse, worse), "{fuel}");
        }
        assert_eq!(gone(&baseline, &[]), ["a::x"]);
    }
}
