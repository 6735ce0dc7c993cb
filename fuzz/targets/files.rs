//! Files of the command line: items, baselines of `bench`, JSON to print.
#![no_main]

use std::{fs, sync::LazyLock};

use libfuzzer_sys::fuzz_target;
use serde_json::{Value, value::RawValue};
use serpentarium::fuzzing::{baseline, compact, indented, items};
use tempfile::TempDir;

/// In memory: a disk would be slow.
static DIRECTORY: LazyLock<TempDir> = LazyLock::new(|| TempDir::new_in("/dev/shm").unwrap());

fn check_items(text: &str) {
    let Some(items) = items(text) else { return };
    let Ok(Value::Array(given)) = serde_json::from_str(text) else { return };
    let Value::Array(items) = serde_json::from_str(&items).unwrap() else { panic!("no list") };
    assert_eq!(given.len(), items.len());
    for (given, item) in given.iter().zip(&items) {
        // A member that is there twice may be of two kinds: the last one counts.
        assert!(item == given && item["json"].is_object() || item["json"] == *given);
    }
}

fn check_json(text: &str) {
    let Ok(raw) = serde_json::from_str::<&RawValue>(text) else { return };
    for printed in [indented(raw.get()), compact(raw.get())] {
        serde_json::from_str::<&RawValue>(&printed).unwrap();
        if let Ok(value) = serde_json::from_str::<Value>(raw.get()) {
            assert_eq!(serde_json::from_str::<Value>(&printed).unwrap(), value);
        }
    }
}

fuzz_target!(|input: &str| {
    check_items(input);
    check_json(input);
    fs::write(DIRECTORY.path().join("a.json"), input).unwrap();
    let _report = baseline(DIRECTORY.path(), "a");
    if baseline(DIRECTORY.path(), input).is_ok() {
        assert!(!input.contains('/'));
    }
});
