//! The growth of fuel with a parameter: fits the common complexity classes, and chooses the
//! simplest that explains the measurements.

/// The complexity classes, simplest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Law {
    Constant,
    Logarithmic,
    Linear,
    Linearithmic,
    Quadratic,
    Cubic,
}

const LAWS: [Law; 6] =
    [Law::Constant, Law::Logarithmic, Law::Linear, Law::Linearithmic, Law::Quadratic, Law::Cubic];
/// Fewest different parameters. Two are too few: every law with two coefficients passes through
/// both points.
const FEWEST: usize = 3;
/// Relative residual up to which a law explains the measurements.
const GOOD: f64 = 0.02;
/// A simpler law is preferred if its residual is at most this multiple of the best one's.
const SLACK: f64 = 2.5;
/// Relative residual above which a law is reported as a poor fit. Between two classes, such as
/// n^1.5, it is larger.
const POOR: f64 = 0.12;

/// Units added to every measurement as a floor, so that one allocation more or less does not
/// dominate the relative error of a small measurement.
const SMALL: f64 = 500.0;

impl Law {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Constant => "O(1)",
            Self::Logarithmic => "O(log n)",
            Self::Linear => "O(n)",
            Self::Linearithmic => "O(n log n)",
            Self::Quadratic => "O(n²)",
            Self::Cubic => "O(n³)",
        }
    }

    /// Returns the growing term, `n` in `a + b·n`.
    pub(crate) fn term(self) -> &'static str {
        match self {
            Self::Constant => "",
            Self::Logarithmic => "log₂ n",
            Self::Linear => "n",
            Self::Linearithmic => "n·log₂ n",
            Self::Quadratic => "n²",
            Self::Cubic => "n³",
        }
    }

    fn at(self, n: f64) -> f64 {
        let log = n.max(1.0).log2();
        match self {
            Self::Constant => 0.0,
            Self::Logarithmic => log,
            Self::Linear => n,
            Self::Linearithmic => n * log,
            Self::Quadratic => n * n,
            Self::Cubic => n * n * n,
        }
    }
}

/// A law with its best coefficients.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Fit {
    pub law: Law,
    /// Constant units. At least 0: fuel cannot be negative.
    pub constant: f64,
    /// Units per unit of the law's term. At least 0.
    pub coefficient: f64,
    /// Root mean square of the relative errors: 0.05 is 5 %.
    pub residual: f64,
    /// Coefficient of determination, at most 1.
    pub r2: f64,
}

/// All fitted laws, and the chosen one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Growth {
    pub fits: Vec<Fit>,
    pub chosen: Fit,
}

impl Growth {
    /// Fits `(parameter, fuel)` pairs. `None` if there are fewer than 3 different parameters, or
    /// one is negative.
    pub(crate) fn of(points: &[(f64, f64)]) -> Option<Self> {
        let mut parameters: Vec<f64> = points.iter().map(|point| point.0).collect();
        parameters.sort_by(f64::total_cmp);
        parameters.dedup();
        if parameters.len() < FEWEST || !parameters.iter().all(|n| n.is_finite() && *n >= 0.0) {
            return None;
        }
        let fits: Vec<Fit> = LAWS.iter().map(|&law| fit(law, points)).collect();
        let best = fits.iter().map(|fit| fit.residual).fold(f64::INFINITY, f64::min);
        // If all fits are poor, report the closest.
        let bound = if best > POOR { best } else { GOOD.max(SLACK * best).min(POOR) };
        let chosen = *fits.iter().find(|fit| fit.residual <= bound)?;
        Some(Self { fits, chosen })
    }

    /// Returns whether even the chosen law does not explain the measurements.
    pub(crate) fn is_poor(&self) -> bool {
        self.chosen.residual > POOR
    }
}

/// Fits by weighted least squares: minimises relative errors, so that small parameters count as
/// much as large ones.
fn fit(law: Law, points: &[(f64, f64)]) -> Fit {
    let (mut uu, mut uv, mut vv, mut u, mut v) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for &(n, fuel) in points {
        let (one, term, share) =
            (1.0 / (fuel + SMALL), law.at(n) / (fuel + SMALL), fuel / (fuel + SMALL));
        uu += one * one;
        uv += one * term;
        vv += term * term;
        u += one * share;
        v += term * share;
    }
    let determinant = uu * vv - uv * uv;
    let (mut constant, mut coefficient) = (u / uu, 0.0);
    if law != Law::Constant && determinant > 0.0 {
        let (a, b) = ((u * vv - v * uv) / determinant, (uu * v - uv * u) / determinant);
        if a < 0.0 {
            (constant, coefficient) = (0.0, v / vv);
        } else if b > 0.0 {
            (constant, coefficient) = (a, b);
        }
    }
    let error = |&(n, fuel): &(f64, f64)| constant + coefficient * law.at(n) - fuel;
    let count = points.len() as f64;
    let relative: f64 = points.iter().map(|point| (error(point) / (point.1 + SMALL)).powi(2)).sum();
    let mean = points.iter().map(|point| point.1).sum::<f64>() / count;
    let spread: f64 = points.iter().map(|point| (point.1 - mean).powi(2)).sum();
    let left: f64 = points.iter().map(|point| error(point).powi(2)).sum();
    let r2 = if spread > 0.0 { 1.0 - left / spread } else { 1.0 };
    Fit { law, constant, coefficient, residual: (relative / count).sqrt(), r2 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn chosen(fuel: impl Fn(f64) -> f64) -> Law {
        let points: Vec<_> =
            [10.0, 100.0, 1000.0, 10_000.0].iter().map(|&n| (n, fuel(n).round())).collect();
        Growth::of(&points).unwrap().chosen.law
    }

    #[test]
    fn each_law_is_recognised() {
        assert_eq!(chosen(|_| 500.0), Law::Constant);
        assert_eq!(chosen(|n| 500.0 + n.log2()), Law::Constant);
        assert_eq!(chosen(|n| 300.0 + 60.0 * n.log2()), Law::Logarithmic);
        assert_eq!(chosen(|n| 900.0 + 40.0 * n), Law::Linear);
        assert_eq!(chosen(|n| 900.0 + 40.0 * n * n.log2()), Law::Linearithmic);
        assert_eq!(chosen(|n| 900.0 + 3.0 * n * n), Law::Quadratic);
        assert_eq!(chosen(|n| 900.0 + 0.5 * n * n * n), Law::Cubic);
    }

    #[test]
    fn terms_of_lower_order_do_not_hide_the_law() {
        assert_eq!(chosen(|n| 4000.0 + 12.0 * n + 7.0 * n * n), Law::Quadratic);
        assert_eq!(chosen(|n| 200.0 + 90.0 * n + 15.0 * n.log2()), Law::Linear);
    }

    #[test]
    fn two_parameters_are_too_few() {
        assert_eq!(Growth::of(&[(1.0, 5.0), (2.0, 9.0), (2.0, 9.0)]), None);
        assert_eq!(Growth::of(&[(-1.0, 5.0), (2.0, 9.0), (3.0, 9.0)]), None);
    }

    #[test]
    fn a_poor_fit_is_reported() {
        let growth = Growth::of(&[(1.0, 1000.0), (2.0, 5.0), (3.0, 90_000.0), (4.0, 7.0)]).unwrap();
        assert!(growth.is_poor(), "{growth:?}");
    }

    #[test]
    fn growth_between_two_laws_is_a_poor_fit() {
        for sweep in [
            &[100.0, 200.0, 400.0, 800.0][..],
            &[10.0, 100.0, 1000.0, 10_000.0],
            &[100.0, 1000.0, 10_000.0],
        ] {
            for power in [1.5, 2.5] {
                let points: Vec<_> =
                    sweep.iter().map(|&n| (n, 900.0 + 40.0 * f64::powf(n, power))).collect();
                assert!(Growth::of(&points).unwrap().is_poor(), "{power} {sweep:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn all_fits_are_finite(points in prop::collection::vec((0.0..1e9f64, 0.0..1e15f64), 3..9)) {
            if let Some(growth) = Growth::of(&points) {
                prop_assert!(growth.fits.iter().all(|fit| fit.residual.is_finite() && fit.constant >= 0.0));
            }
        }
    }
}
