//! Command lines: words, separated by newlines, and all values of flags. And amounts of fuel.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serpentarium::{
    fuel::{display_fuel, parse_fuel},
    fuzzing::{command_line, percent},
};

fuzz_target!(|input: &str| {
    let words = std::iter::once("serpentarium").chain(input.split('\n').take(12));
    let _error = command_line(words.map(Into::into).collect());
    if let Ok(fuel) = parse_fuel(input) {
        let shown = parse_fuel(&display_fuel(fuel)).unwrap();
        assert!(shown <= fuel && fuel - shown <= fuel / 1000);
    }
    if let Ok(percent) = percent(input) {
        assert!(percent.is_finite() && percent >= 0.0);
    }
});
