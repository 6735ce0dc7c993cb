//! How fuel grows with a parameter: each law that algorithms usually follow is fitted, and the simplest that explains the
//! measurements is chosen.

/// The laws, simplest first.
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
/// Parameters that a fit needs: with two, every law passes through both.
const FEWEST: usize = 3;
/// Residual up to which a law explains the measurements in any case.
const GOOD: f64 = 0.02;
/// How much larger a simpler law's residual may be than the best one's.
const SLACK: f64 = 2.5;
/// Residual above which not even the best law explains much.
const POOR: f64 = 0.12;

/// Units that do not matter: an object more or less that Python has to make.
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

    /// The part that grows, as in `a + b·n`.
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

/// One law with the numbers that fit best.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Fit {
    pub law: Law,
    /// Units that do not grow. Never below zero: nothing burns less than nothing.
    pub constant: f64,
    /// Units for each unit of the law's term. Never below zero.
    pub coefficient: f64,
    /// The root of the mean square of the relative errors: 0.05 is five per cent off.
    pub residual: f64,
    /// The share of the measurements' spread that the law explains, at most 1.
    pub r2: f64,
}

/// All laws fitted to the measurements, and the one that was chosen.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Growth {
    pub fits: Vec<Fit>,
    pub chosen: Fit,
}

impl Growth {
    /// Fits `(parameter, fuel)` pairs. None where there are too few different parameters, or one is below zero.
    pub(crate) fn of(points: &[(f64, f64)]) -> Option<Self> {
        let mut parameters: Vec<f64> = points.iter().map(|point| point.0).collect();
        parameters.sort_by(f64::total_cmp);
        parameters.dedup();
        if parameters.len() < FEWEST || !parameters.iter().all(|n| n.is_finite() && *n >= 0.0) {
            return None;
        }
        let fits: Vec<Fit> = LAWS.iter().map(|&law| fit(law, points)).collect();
        let best = fits.iter().map(|fit| fit.residual).fold(f64::INFINITY, f64::min);
        // Where no law explains the measurements, the closest is all there is to say.
        let bound = if best > POOR { best } else { GOOD.max(SLACK * best).min(POOR) };
        let chosen = *fits.iter().find(|fit| fit.residual <= bound)?;
        Some(Self { fits, chosen })
    }

    /// Whether the chosen law explains so little that it should not be believed.
    pub(crate) fn is_poor(&self) -> bool {
        self.chosen.residual > POOR
    }
}

/// Least squares of the relative errors, so that small parameters count as much as large ones.
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
    fn each_law_is_known_by_its_measurements() {
        assert_eq!(chosen(|_| 500.0), Law::Constant);
        assert_eq!(chosen(|n| 500.0 + n.log2()), Law::Constant);
        assert_eq!(chosen(|n| 300.0 + 60.0 * n.log2()), Law::Logarithmic);
        assert_eq!(chosen(|n| 900.0 + 40.0 * n), Law::Linear);
        assert_eq!(chosen(|n| 900.0 + 40.0 * n * n.log2()), Law::Linearithmic);
        assert_eq!(chosen(|n| 900.0 + 3.0 * n * n), Law::Quadratic);
        assert_eq!(chosen(|n| 900.0 + 0.5 * n * n * n), Law::Cubic);
    }

    #[test]
    fn a_law_with_terms_of_lower_order_is_known_by_its_largest() {
        assert_eq!(chosen(|n| 4000.0 + 12.0 * n + 7.0 * n * n), Law::Quadratic);
        assert_eq!(chosen(|n| 200.0 + 90.0 * n + 15.0 * n.log2()), Law::Linear);
    }

    #[test]
    fn two_parameters_are_too_few() {
        assert_eq!(Growth::of(&[(1.0, 5.0), (2.0, 9.0), (2.0, 9.0)]), None);
        assert_eq!(Growth::of(&[(-1.0, 5.0), (2.0, 9.0), (3.0, 9.0)]), None);
    }

    #[test]
    fn what_no_law_explains_is_said_to_be_so() {
        let growth = Growth::of(&[(1.0, 1000.0), (2.0, 5.0), (3.0, 90_000.0), (4.0, 7.0)]).unwrap();
        assert!(growth.is_poor(), "{growth:?}");
    }

    #[test]
    fn what_grows_between_two_laws_is_none_of_them() {
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
        fn any_measurements_are_fitted_with_numbers(points in prop::collection::vec((0.0..1e9f64, 0.0..1e15f64), 3..9)) {
            if let Some(growth) = Growth::of(&points) {
                prop_assert!(growth.fits.iter().all(|fit| fit.residual.is_finite() && fit.constant >= 0.0));
            }
        }
    }
}
