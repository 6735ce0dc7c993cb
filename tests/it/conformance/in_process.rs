//! The conformance cases that one task decides, run in the library's sandbox: no broker, no runner.
//!
//! These cases own the meaning of values. A case takes part unless it needs the wire (`steps`), an
//! operator's settings (`environment`, `files`, `ends`) or the runner (`continueOnFail`, calls of
//! `_host`).

use std::{collections::BTreeMap, fs, sync::Arc};

use serde::Deserialize;
use serde_json::{Map, Value, json, value::RawValue};
use serpentarium::sandbox::{Exception, Failure, Outcome};

use crate::support::{Echo, job, sandbox};

/// At least this many cases take part. A filter that drops too many must not pass unnoticed.
const CASES: usize = 150;
/// Stands for any characters in an expected text, and alone for any value.
const ANYTHING: &str = "…";

#[derive(Deserialize)]
struct Theme {
    theme: String,
    case: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    #[serde(default)]
    code: String,
    mode: Option<String>,
    items: Option<String>,
    #[serde(default)]
    further: Map<String, Value>,
    #[serde(default)]
    without: Vec<String>,
    result: Option<String>,
    error: Option<Map<String, Value>>,
    #[serde(default)]
    prints: Vec<Value>,
    #[serde(flatten)]
    others: BTreeMap<String, toml::Value>,
}

impl Case {
    fn takes_part(&self) -> bool {
        self.others.keys().all(|key| matches!(key.as_str(), "waits" | "better"))
            && !self.further.contains_key("continueOnFail")
            && !self.code.contains("_host")
    }

    /// Returns the settings that the broker would send; see `SETTINGS` in
    /// tests/conformance/case.py.
    fn settings(&self) -> Value {
        let mode = match self.mode.as_deref() {
            None | Some("all") => "runOnceForAllItems",
            Some("each") => "runOnceForEachItem",
            Some(other) => other,
        };
        let items = self.items.as_deref().unwrap_or(r#"[{"json": {"a": 1}}]"#);
        let mut settings = json!({
            "code": self.code,
            "nodeMode": mode,
            "items": serde_json::from_str::<Value>(items).expect("items are JSON"),
            "nodeName": "Code",
            "workflowName": "Conformance",
        });
        let fields = settings.as_object_mut().expect("settings are an object");
        fields.extend(self.further.clone());
        fields.retain(|name, _| !self.without.contains(name));
        settings
    }

    /// None if the case holds; otherwise its name, the expectation and the outcome.
    async fn differs(&self) -> Option<String> {
        let mut job = job("");
        job.input = self.settings().to_string().into();
        let host = Arc::new(Echo::default());
        let outcome = sandbox().run(job, host.clone()).await;
        let prints: Vec<Value> = host
            .notified
            .lock()
            .expect("no test panics here")
            .iter()
            .filter(|(name, _)| name == "logNodeOutput")
            .map(|(_, params)| serde_json::from_str(params).expect("params are JSON"))
            .collect();
        let holds = self.ends_as_expected(&outcome) && prints == self.prints;
        let expected = (&self.result, &self.error, &self.prints);
        (!holds)
            .then(|| format!("{}: expected {expected:?}, got {outcome:?}, {prints:?}", self.name))
    }

    fn ends_as_expected(&self, outcome: &Outcome) -> bool {
        match (&outcome.result, &self.result, &self.error) {
            (Ok(completed), Some(expected), None) => json_fits(expected, completed.value.get()),
            (Err(Failure::Raised(exception)), None, Some(expected)) => {
                let mut got = fields(exception);
                // A description counts only in cases that name one.
                if !expected.contains_key("description") {
                    got.remove("description");
                }
                json_fits(
                    &Value::Object(expected.clone()).to_string(),
                    &Value::Object(got).to_string(),
                )
            }
            _ => false,
        }
    }
}

/// Returns the fields that the runner sends for an exception.
fn fields(exception: &Exception) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("message".into(), exception.message.clone().into());
    if let Some(description) = &exception.description {
        fields.insert("description".into(), description.clone().into());
    }
    if let Some(line) = exception.line_number {
        fields.insert("lineNumber".into(), line.into());
    }
    if let Some(context) = &exception.context {
        fields.insert("context".into(), serde_json::from_str(context.get()).expect("JSON"));
    }
    fields
}

/// Returns whether JSON is as a pattern says; see tests/conformance/match.py.
fn json_fits(pattern: &str, json: &str) -> bool {
    // Rust has no lone surrogates: in texts with one, surrogates stay escaped.
    if serde_json::from_str::<Value>(pattern).is_err() {
        return fits(&pattern.replace(r"\ud", r"\\ud"), &json.replace(r"\ud", r"\\ud"));
    }
    fits(pattern, json)
}

/// Compares level by level: serde_json refuses to read a value that is nested deeply, and values
/// do not keep all digits of a number.
fn fits(pattern: &str, json: &str) -> bool {
    type List<'a> = Vec<&'a RawValue>;
    type Object<'a> = BTreeMap<String, &'a RawValue>;
    let (pattern, json) = (pattern.trim(), json.trim());
    match (pattern.as_bytes()[0], json.as_bytes()[0]) {
        (b'"', kind) => {
            let pattern: String = parse(pattern);
            pattern == ANYTHING || kind == b'"' && text_fits(&pattern, &parse::<String>(json))
        }
        (b'[', b'[') => {
            let (patterns, values): (List, List) = (parse(pattern), parse(json));
            let mut pairs = patterns.iter().zip(&values);
            patterns.len() == values.len() && pairs.all(|(p, v)| fits(p.get(), v.get()))
        }
        (b'{', b'{') => {
            let (patterns, values): (Object, Object) = (parse(pattern), parse(json));
            patterns.len() == values.len()
                && patterns.iter().all(|(key, pattern)| {
                    values.get(key).is_some_and(|value| fits(pattern.get(), value.get()))
                })
        }
        (b'-' | b'0'..=b'9', b'-' | b'0'..=b'9') => {
            // 1 and 1.0 are one number in JSON.
            let is_decimal = |text: &str| text.contains(['.', 'e', 'E']);
            pattern == json
                || (is_decimal(pattern) || is_decimal(json))
                    && pattern.parse::<f64>() == json.parse::<f64>()
        }
        _ => pattern == json,
    }
}

fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> T {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{text} is no JSON: {error}"))
}

fn text_fits(pattern: &str, text: &str) -> bool {
    let Some((first, others)) = pattern.split_once(ANYTHING) else { return pattern == text };
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let (middle, last) = others.rsplit_once(ANYTHING).unwrap_or(("", others));
    for part in middle.split(ANYTHING) {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

fn themes() -> Vec<Theme> {
    let directory = super::tests().join("conformance/cases");
    let mut paths: Vec<_> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let read = |path| toml::from_str(&fs::read_to_string(path).unwrap()).expect("a file of cases");
    paths.into_iter().map(read).collect()
}

#[tokio::test]
async fn the_library_alone_meets_the_cases_about_values() {
    let (mut count, mut different) = (0, Vec::new());
    for Theme { theme, case } in themes() {
        for case in case.iter().filter(|case| case.takes_part()) {
            count += 1;
            different.extend(case.differs().await.map(|text| format!("{theme}: {text}")));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
    assert!(count >= CASES, "only {count} cases took part");
}

#[test]
fn an_ellipsis_fits_anything_and_all_else_only_itself() {
    for (pattern, text, expected) in [
        ("abc", "abc", true),
        ("abc", "abcd", false),
        ("a…c", "ac", true),
        ("a…c", "abbc", true),
        ("…b…", "abc", true),
        ("a…b…c", "acb", false),
        ("ab…bc", "abc", false),
    ] {
        assert_eq!(text_fits(pattern, text), expected, "{pattern} {text}");
    }
    for (pattern, json, expected) in [
        (r#"{"a": ["…", 1.0]}"#, r#"{"a":[[null],1]}"#, true),
        (r#"{"a": 1}"#, r#"{"a": true}"#, false),
        ("[1]", "[1, 2]", false),
        ("12345678901234567890123", "12345678901234567890124", false),
        (r#"["\ud800"]"#, r#"["\ud800"]"#, true),
        (r#"["\ud800"]"#, r#"["\udfff"]"#, false),
    ] {
        assert_eq!(json_fits(pattern, json), expected, "{pattern} {json}");
    }
}
