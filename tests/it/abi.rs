//! The host's constants are those of wasm/ABI.md. wasm/guest/tests/test_abi.py checks the guest's.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::value::RawValue;
use serpentarium::{
    protocol::{HostSettings, NodeMode, Policy, TaskSettings},
    sandbox::{Limits, TaskFiles},
};

/// The constants are private to the crate, so this compiles their file once more.
#[path = "../../src/sandbox/abi.rs"]
mod constants;

/// Modules whose constants need the rest of the crate: the test reads their text.
const ANSWER: &str = include_str!("../../src/runner/answer.rs");
const RECORD: &str = include_str!("../../src/cli/profile/record.rs");

const DOCUMENT: &str = include_str!("../../wasm/ABI.md");

/// Returns the cells of the table after `<!-- abi: NAME -->`, without its head.
fn table(name: &str) -> Vec<Vec<&'static str>> {
    let marker = format!("<!-- abi: {name} -->\n");
    let (_, text) = DOCUMENT.split_once(&marker).unwrap_or_else(|| panic!("no table {name}"));
    let rows = text.lines().take_while(|line| line.starts_with('|')).skip(2);
    rows.map(|row| row.trim_matches('|').split(" | ").map(cell).collect()).collect()
}

fn cell(text: &'static str) -> &'static str {
    text.trim().trim_matches('`')
}

fn first_cells(name: &str) -> Vec<&'static str> {
    table(name).into_iter().map(|row| row[0]).collect()
}

fn sorted<T: Ord>(names: impl IntoIterator<Item = T>) -> Vec<T> {
    names.into_iter().collect::<BTreeSet<_>>().into_iter().collect()
}

/// Returns the number in the definition of a constant.
fn number(module: &str, constant: &str) -> i64 {
    let (_, text) = module.split_once(&format!("const {constant}: ")).expect("a definition");
    let (_, value) = text.split_once(" = ").expect("a value");
    let (value, _) = value.split_once(';').expect("the end of the definition");
    value.replace('_', "").parse().expect("a number")
}

#[test]
fn imports_and_exports_are_those_of_the_tables() {
    let host = constants::HOST_IMPORTS.map(|name| format!("{}.{name}", constants::HOST_MODULE));
    let wasi = constants::WASI_IMPORTS.map(|name| format!("{}.{name}", constants::WASI_MODULE));
    let imports = first_cells("imports").into_iter().map(str::to_owned);
    assert_eq!(sorted(imports), sorted(host.into_iter().chain(wasi)));
    let exports = first_cells("exports");
    assert!(exports.contains(&constants::ENTRY_EXPORT));
    assert!(exports.contains(&constants::MEMORY_EXPORT));
}

#[test]
fn keys_of_settings_and_reply_are_those_of_the_tables() {
    assert_eq!(first_cells("program"), constants::SETTINGS_KEYS);
    assert_eq!(first_cells("result"), constants::RESULT_KEYS);
    assert_eq!(first_cells("error"), constants::EXCEPTION_KEYS);
    assert_eq!(first_cells("files"), constants::FILES_KEYS);
    assert_eq!(first_cells("file"), constants::FILE_KEYS);
    assert!(DOCUMENT.contains(&format!("A failure is `{{\"{}\": {{…}}}}`", constants::ERROR_KEY)));
    for name in [constants::FORGET, constants::STDOUT] {
        assert!(first_cells("notifications").contains(&name), "{name}");
    }
}

#[test]
fn numbers_are_those_of_the_table() {
    let in_table: BTreeMap<&str, i64> = table("constants")
        .into_iter()
        .filter(|row| row[3] != "–")
        .map(|row| (row[0], row[1].parse().unwrap()))
        .collect();
    let of_host = BTreeMap::from([
        ("MAX_NAME", constants::MAX_NAME as i64),
        ("WAIT_IS_ENDLESS", constants::WAIT_IS_ENDLESS.into()),
        ("MAX_EXCEPTION_TEXT", constants::MAX_EXCEPTION_TEXT as i64),
        ("MAX_EXCEPTION_CONTEXT", constants::MAX_EXCEPTION_CONTEXT as i64),
        ("MAX_PENDING_CALLS", Limits::default().in_flight.into()),
        ("MAX_CUSTOM_ENTRIES", number(ANSWER, "MAX_CUSTOM_ENTRIES")),
        ("MAX_CUSTOM_KEY", number(ANSWER, "MAX_CUSTOM_KEY")),
        ("MAX_CUSTOM_VALUE", number(ANSWER, "MAX_CUSTOM_VALUE")),
        ("FIRST_NUMBER", number(RECORD, "FIRST")),
    ]);
    assert_eq!(in_table, of_host);
}

/// Returns the keys of a value's JSON object.
fn keys(value: &impl Serialize) -> Vec<String> {
    let value = serde_json::to_value(value).unwrap();
    value.as_object().unwrap().keys().cloned().collect()
}

#[test]
fn n8ns_settings_have_the_keys_of_the_tables() {
    let policy = Policy {
        stdlib_allow: Some(BTreeSet::new()),
        external_allow: Some(BTreeSet::new()),
        builtins_deny: Some(BTreeSet::new()),
        ..Policy::default()
    };
    let host = HostSettings {
        policy: Some(policy.clone()),
        env: Some(BTreeMap::new()),
        timezone: Some("Europe/Oslo".into()),
        local_timezone: Some("Asia/Tokyo".into()),
        calls_in_flight: Some(1),
        last: true,
        file_bytes: Some(1),
        files: Some(TaskFiles::default()),
    };
    let mut task =
        TaskSettings::new("", NodeMode::AllItems, RawValue::from_string("[]".into()).unwrap());
    task.query = Some(RawValue::from_string("1".into()).unwrap());
    task.print_mode = Some("text".into());
    // Keys that the guest does not read, that only n8n sends, or that `bench` and `profile` add.
    for (name, keys, ignored, missing) in [
        ("task", keys(&task), vec!["continueOnFail", "nodeId"], vec!["workflowMode"]),
        ("host", keys(&host), vec![], vec!["measure"]),
        ("policy", keys(&policy), vec!["allowTransitiveImports"], vec![]),
    ] {
        let of_host = keys.iter().map(String::as_str).filter(|key| !ignored.contains(key));
        let in_table = first_cells(name).into_iter().filter(|key| !missing.contains(key));
        assert_eq!(sorted(in_table), sorted(of_host), "{name}");
    }
}
