//! Trace events of a hostile guest, and the profile that they lead to.
//!
//! The input is 8 bytes, then a line per event: name, parameters and fuel, separated by spaces.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serpentarium::fuzzing::profile;

fuzz_target!(|input: &[u8]| {
    let Some((costs, events)) = input.split_first_chunk::<8>() else { return };
    let [a, b, c, tail, span, fixed, high, low] = costs.map(i64::from);
    let costs = [a, b, c, a, b, c, a, tail, span, fixed].map(|cost| cost - 100);
    let Ok(events) = std::str::from_utf8(events) else { return };
    let event = |line| {
        let (name, rest) = str::split_once(line, ' ')?;
        let (params, fuel) = rest.rsplit_once(' ')?;
        // A task's fuel is at most 2^63, and so is the sum.
        Some((name, params, fuel.parse::<u64>().ok().filter(|fuel| *fuel < 1 << 48)?))
    };
    let events: Vec<_> = events.lines().take(1000).filter_map(event).collect();
    profile(&events, costs, (high << 20) - (low << 20)).unwrap();
});
