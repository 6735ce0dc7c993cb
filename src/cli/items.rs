//! The input items of `serpentarium exec`. They pass through as raw JSON: no number is rounded, no
//! key is moved.

mod error;

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::{RawValue, to_raw_value};

pub(crate) use error::ItemsError;

/// One element of the list.
#[derive(Serialize)]
#[serde(untagged)]
enum Item<'a> {
    /// An object that is an n8n item already.
    Whole(&'a RawValue),
    /// An object to wrap in an n8n item.
    Bare { json: &'a RawValue },
}

/// Makes n8n items from one JSON object, from a JSON list of objects, or from JSON lines (an object
/// on each line). An object whose `json` is an object is an item already.
///
/// # Errors
/// The text is none of these. The error shows the place.
pub(crate) fn items(text: &str) -> Result<Box<RawValue>, ItemsError> {
    let text = text.trim_start_matches('\u{feff}');
    let list = match text.trim_start().chars().next() {
        None => return Err(ItemsError::empty()),
        Some('[') => elements(text)?,
        Some(_) => objects(text)?,
    };
    let items: Result<Vec<_>, _> = list.into_iter().map(|json| item(text, json)).collect();
    to_raw_value(&items?).map_err(|error| ItemsError::syntax(text, &error))
}

/// Reads a list of objects.
fn elements(text: &str) -> Result<Vec<&RawValue>, ItemsError> {
    let list: Vec<&RawValue> =
        serde_json::from_str(text).map_err(|error| ItemsError::syntax(text, &error))?;
    for (index, json) in list.iter().enumerate() {
        if !json.get().starts_with('{') {
            return Err(ItemsError::element(text, index, json.get()));
        }
    }
    Ok(list)
}

/// Reads objects, one after the other.
fn objects(text: &str) -> Result<Vec<&RawValue>, ItemsError> {
    let values = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
    let mut list = Vec::new();
    for json in values {
        let json = json.map_err(|error| ItemsError::syntax(text, &error))?;
        if !json.get().starts_with('{') {
            return Err(ItemsError::no_object(text, json.get()));
        }
        list.push(json);
    }
    Ok(list)
}

fn item<'a>(text: &str, json: &'a RawValue) -> Result<Item<'a>, ItemsError> {
    let HasJson(whole) =
        serde_json::from_str(json.get()).map_err(|_| ItemsError::no_object(text, json.get()))?;
    Ok(if whole { Item::Whole(json) } else { Item::Bare { json } })
}

/// Whether an object's `json` is an object. Of duplicate keys the last one counts, as in Python.
struct HasJson(bool);

impl<'de> Deserialize<'de> for HasJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = HasJson;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<HasJson, A::Error> {
                let mut found = false;
                while let Some(IsJson(named)) = map.next_key()? {
                    if named {
                        found = map.next_value::<&RawValue>()?.get().starts_with('{');
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(HasJson(found))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// Whether a key is `json`. Read as bytes, because a key may contain a lone surrogate.
struct IsJson(bool);

impl<'de> Deserialize<'de> for IsJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Key;
        impl Visitor<'_> for Key {
            type Value = IsJson;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_bytes<E>(self, key: &[u8]) -> Result<IsJson, E> {
                Ok(IsJson(key == b"json"))
            }
        }
        deserializer.deserialize_bytes(Key)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn objects_are_wrapped_and_items_are_left_as_they_are() {
        for (text, expected) in [
            ("[]", "[]"),
            (
                r#"[{"z":18446744073709551616,"a":1.50}]"#,
                r#"[{"json":{"z":18446744073709551616,"a":1.50}}]"#,
            ),
            (
                r#"[{"pairedItem":0,"json":{"b":1,"a":2}}]"#,
                r#"[{"pairedItem":0,"json":{"b":1,"a":2}}]"#,
            ),
            (
                r#"[{"json":1},{"\ud800":"\ud800"}]"#,
                r#"[{"json":{"json":1}},{"json":{"\ud800":"\ud800"}}]"#,
            ),
            (r#"[{"json":{},"json":1}]"#, r#"[{"json":{"json":{},"json":1}}]"#),
            (r#"[{"\u006ason":{}}]"#, r#"[{"\u006ason":{}}]"#),
        ] {
            assert_eq!(items(text).unwrap().get(), expected);
        }
        let deep = format!(r#"[{{"json":{{"a":{}{}}}}}]"#, "[".repeat(10_000), "]".repeat(10_000));
        assert_eq!(items(&deep).unwrap().get(), deep);
    }

    #[test]
    fn one_object_and_json_lines_are_items() {
        for (text, expected) in [
            (r#"{"a":1}"#, r#"[{"json":{"a":1}}]"#),
            ("\u{feff} {\"json\":{\"a\":1}}\n", r#"[{"json":{"a":1}}]"#),
            ("{\"a\":1}\n{\"json\":{}}\r\n\n{}\n", r#"[{"json":{"a":1}},{"json":{}},{"json":{}}]"#),
            ("{\n  \"a\": 1\n}\n{\n}", "[{\"json\":{\n  \"a\": 1\n}},{\"json\":{\n}}]"),
        ] {
            assert_eq!(items(text).unwrap().get(), expected, "{text}");
        }
    }

    #[test]
    fn an_error_shows_the_place_and_the_text() {
        for (text, expected) in [
            ("", "there is no JSON; write [] for no items"),
            (" \n", "there is no JSON; write [] for no items"),
            ("not json", "line 1, column 1: this is no JSON\n  not json\n  ^"),
            (
                "[{\"a\": 1},\n {\"b\": x}]",
                "line 2, column 8: this is no JSON: expected value\n   {\"b\": x}]\n         ^",
            ),
            (
                r#"{"a": 1 "b": 2}"#,
                "line 1, column 9: this is no JSON: expected `,` or `}`\n  {\"a\": 1 \"b\": 2}\n          ^",
            ),
            (
                "[{'a': 1}]",
                "line 1, column 3: this is no JSON: a text stands in double quotes\n  [{'a': 1}]\n    ^",
            ),
            (
                "[{\"a\": 1},",
                "line 1, column 11: the JSON ends too early\n  [{\"a\": 1},\n            ^",
            ),
            (
                "[{}] []",
                "line 1, column 6: the list has ended, so nothing may follow\n  [{}] []\n       ^",
            ),
            (
                "[{}, 2]",
                "line 1, column 6: element 2 of the list (index 1) is a number; an item is an object, such as \
                 {\"name\": \"Ada\"}\n  [{}, 2]\n       ^",
            ),
            (
                "{}\n\"x\"",
                "line 2, column 1: a string is no item; an item is an object, such as {\"name\": \"Ada\"}\
                 \n  \"x\"\n  ^",
            ),
        ] {
            assert_eq!(items(text).unwrap_err().to_string(), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[\\[\\]{}\",:'ntaé1 \n\r\u{feff}\\\\-]{0,40}") {
            if let Err(error) = items(&text) {
                prop_assert!(!error.to_string().contains('\r'));
            }
        }
    }

    #[test]
    fn every_kind_of_value_has_a_name() {
        for (value, named) in [
            ("1", "a number"),
            ("-1.5", "a number"),
            ("true", "true"),
            ("false", "false"),
            ("null", "null"),
            ("\"\"", "a string"),
            ("[]", "a list"),
        ] {
            let error = items(&format!("[{value}]")).unwrap_err().to_string();
            assert!(
                error.contains(&format!("element 1 of the list (index 0) is {named};")),
                "{error}"
            );
        }
    }

    #[test]
    fn a_place_in_a_long_or_hostile_line_is_shown_short() {
        let long =
            format!(r#"{{"a": "{}", "b": ?, "c": "{}"}}"#, "é".repeat(5000), "y".repeat(5000));
        let error = items(&long).unwrap_err().to_string();
        assert!(error.len() < 400 && error.contains("\"b\": ?"), "{error}");
        let mut lines = error.lines().skip(1).map(|line| line.chars().collect::<Vec<_>>());
        let (shown, caret) = (lines.next().unwrap(), lines.next().unwrap());
        assert_eq!(shown[caret.len() - 1], '?', "{error}");
        let error = items("{\u{202e}\x1b[2J\t}").unwrap_err().to_string();
        assert!(!error.contains(['\x1b', '\u{202e}']), "{error}");
    }
}
