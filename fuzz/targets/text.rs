//! Foreign text on its way to a terminal or a log.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serpentarium::fuzzing::shown;

/// Characters that no terminal and no log may get: control, format, line and paragraph separators.
fn is_refused(c: char) -> bool {
    let formats =
        ['\u{ad}', '\u{61c}', '\u{180e}', '\u{feff}', '\u{2028}', '\u{2029}', '\u{e0001}'];
    let ranges = [
        '\u{200b}'..='\u{200f}',
        '\u{202a}'..='\u{202e}',
        '\u{2060}'..='\u{2064}',
        '\u{2066}'..='\u{206f}',
        '\u{e0020}'..='\u{e007f}',
    ];
    c.is_control() || formats.contains(&c) || ranges.iter().any(|range| range.contains(&c))
}

fuzz_target!(|input: &str| {
    for max in [0, 1, 10, 200] {
        let shown = shown(input, max);
        assert!(!shown.contains(is_refused), "{shown:?}");
        // The longest escape of a character has ten, and the mark of a cut has a number.
        assert!(shown.chars().count() <= max * 10 + 32);
        if input.chars().count() <= max && !input.contains(|c: char| is_refused(c) || !c.is_ascii())
        {
            assert_eq!(shown, input);
        }
    }
});
