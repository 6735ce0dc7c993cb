//! Amounts of fuel as text: `180G` in a setting, `1.53G` in a report.

/// Unit suffixes and their values, largest first: powers of 1000, as in SI.
const UNITS: [(char, u64); 4] =
    [('T', 1_000_000_000_000), ('G', 1_000_000_000), ('M', 1_000_000), ('k', 1_000)];

/// A text is not an amount of fuel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a whole number of units above 0, or one with k, M, G or T, such as 500M or 1.5G")]
pub struct FuelError;

/// Parses an amount of fuel: `1000000`, `10M`, `2G`, `1.5 G`. Suffixes are powers of 1000, in
/// either case.
///
/// # Errors
/// The text has another form, or its value is zero, a fraction of one unit, or over 64 bits.
pub fn parse_fuel(text: &str) -> Result<u64, FuelError> {
    let text = text.trim();
    let (number, scale) = match text.char_indices().next_back() {
        Some((at, unit)) if !unit.is_ascii_digit() => {
            let known =
                UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(&unit)).ok_or(FuelError)?;
            (text[..at].trim_end(), known.1)
        }
        _ => (text, 1),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let only_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || number.ends_with('.') || !only_digits(whole) || !only_digits(fraction) {
        return Err(FuelError);
    }
    let whole: u64 = whole.parse().map_err(|_| FuelError)?;
    let fuel =
        whole.checked_mul(scale).and_then(|units| units.checked_add(fraction_of(fraction, scale)?));
    fuel.filter(|&units| units > 0).ok_or(FuelError)
}

/// Returns the value of the digits after a decimal point, in units of fuel. `None` if it is not
/// whole.
fn fraction_of(digits: &str, scale: u64) -> Option<u64> {
    let mut place = scale;
    let mut units = 0;
    for digit in digits.trim_end_matches('0').bytes() {
        if !place.is_multiple_of(10) {
            return None;
        }
        place /= 10;
        units += u64::from(digit - b'0') * place;
    }
    Some(units)
}

/// Formats an amount of fuel with its largest suffix and at most three decimals: `180G`, `1.534G`,
/// `950`. Rounds down.
pub fn display_fuel(fuel: u64) -> String {
    let Some((unit, scale)) = UNITS.into_iter().find(|&(_, scale)| fuel >= scale) else {
        return fuel.to_string();
    };
    let thousandths = fuel % scale / (scale / 1000);
    if thousandths == 0 {
        return format!("{}{unit}", fuel / scale);
    }
    let decimals = format!("{thousandths:03}");
    format!("{}.{}{unit}", fuel / scale, decimals.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn whole_and_decimal_amounts_are_parsed() {
        for (text, fuel) in [
            ("1", 1),
            ("10M", 10_000_000),
            (" 2 G ", 2_000_000_000),
            ("1.5k", 1500),
            ("1.50k", 1500),
            ("3T", 3_000_000_000_000),
        ] {
            assert_eq!(parse_fuel(text), Ok(fuel), "{text}");
        }
    }

    #[test]
    fn other_forms_are_refused() {
        for text in [
            "",
            "0",
            "0M",
            "-1",
            "1.5",
            "1.",
            ".5M",
            "G",
            "1GG",
            "1e9",
            "1.0001k",
            "+1",
            "99999999999T",
            "1é",
        ] {
            assert_eq!(parse_fuel(text), Err(FuelError), "{text}");
        }
    }

    #[test]
    fn amounts_are_formatted_with_their_largest_suffix() {
        assert_eq!(display_fuel(180_000_000_000), "180G");
        assert_eq!(display_fuel(1_534_999_999), "1.534G");
        assert_eq!(display_fuel(1_050_000), "1.05M");
        assert_eq!(display_fuel(999), "999");
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in ".*") {
            let _ = parse_fuel(&text);
        }

        #[test]
        fn a_formatted_amount_parses_within_a_thousandth(fuel in 1..u64::MAX) {
            let shown = parse_fuel(&display_fuel(fuel)).unwrap();
            prop_assert!(shown <= fuel && fuel - shown <= fuel / 1000);
        }

        #[test]
        fn a_plain_number_is_itself(fuel in 1..u64::MAX) {
            prop_assert_eq!(parse_fuel(&fuel.to_string()), Ok(fuel));
        }
    }
}
