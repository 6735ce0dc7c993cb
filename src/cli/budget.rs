//! `--budget`: the fuel that a program is expected to stay within, and differences in per cent.

use super::console::Console;
use crate::fuel::display_fuel;

/// Returns whether `fuel` exceeds the budget. Prints a note if it does.
pub(crate) fn exceeds(console: &Console, fuel: u64, budget: u64) -> bool {
    if fuel <= budget {
        return false;
    }
    let (consumed, allowed) = (display_fuel(fuel), display_fuel(budget));
    console.note(format_args!(
        "Over the budget of {allowed}: {consumed} units consumed ({})",
        percent_change(budget, fuel)
    ));
    true
}

/// Formats the difference of `to` from `from`: `+12.30 %`, `−0.50 %`, `=` if they are equal, or
/// `from 0`, which has no percentage.
pub(crate) fn percent_change(from: u64, to: u64) -> String {
    if from == to {
        return "=".into();
    }
    if from == 0 {
        return "from 0".into();
    }
    let percent = (to as f64 / from as f64 - 1.0) * 100.0;
    let sign = if percent < 0.0 { '−' } else { '+' };
    let size = percent.abs();
    // A small difference must not look like none.
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
            assert_eq!(percent_change(from, to), shown);
        }
    }
}
