//! `--budget`: how much fuel a program should burn at most, and a percentage for people.

use super::console::Console;
use crate::fuel::display_fuel;

/// Exit code where a program burnt more than it should.
pub(crate) const OVER_BUDGET: u8 = 5;

/// Says so where more was burnt than the budget.
pub(crate) fn over(console: &Console, fuel: u64, budget: u64) -> bool {
    if fuel <= budget {
        return false;
    }
    let (burnt, allowed) = (display_fuel(fuel), display_fuel(budget));
    console.note(format_args!(
        "Over the budget of {allowed}: {burnt} units burnt ({})",
        change(budget, fuel)
    ));
    true
}

/// How much more or less the second number is than the first: `+12.3 %`, `−0.5 %`, `=` where they are the same.
/// Of nothing there is no percentage.
pub(crate) fn change(from: u64, to: u64) -> String {
    if from == to {
        return "=".into();
    }
    if from == 0 {
        return "from 0".into();
    }
    let percent = (to as f64 / from as f64 - 1.0) * 100.0;
    let sign = if percent < 0.0 { '−' } else { '+' };
    let size = percent.abs();
    // A difference is a difference, however small.
    if size < 0.01 { format!("{sign}<0.01 %") } else { format!("{sign}{size:.2} %") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_never_rounded_away() {
        for (from, to, shown) in [
            (100, 100, "="),
            (100, 112, "+12.00 %"),
            (1000, 995, "−0.50 %"),
            (1_000_000_000, 1_000_000_001, "+<0.01 %"),
            (0, 5, "from 0"),
        ] {
            assert_eq!(change(from, to), shown);
        }
    }
}
