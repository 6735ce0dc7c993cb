//! The input items of `serpentarium exec`. They pass through as raw JSON: no number is rounded, no
//! key is moved.

use std::fmt;

use anyhow::{Context, bail};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::{RawValue, to_raw_value};

/// One element of the list.
#[derive(Serialize)]
#[serde(untagged)]
enum Item<'a> {
    /// An object that is an n8n item already.
    Whole(&'a RawValue),
    /// An object to wrap in an n8n item.
    Bare { json: &'a RawValue },
}

/// Makes n8n items from a JSON list of objects. An object whose `json` is an object is an item
/// already.
///
/// # Errors
/// The text is not a JSON list of objects.
pub(crate) fn items(text: &str) -> anyhow::Result<Box<RawValue>> {
    const EXPECTED: &str = "expected a JSON list of objects";
    let list: Vec<&RawValue> = serde_json::from_str(text).context(EXPECTED)?;
    let mut items = Vec::with_capacity(list.len());
    for (index, json) in list.into_iter().enumerate() {
        if !json.get().starts_with('{') {
            bail!("{EXPECTED}: element {index} is not an object");
        }
        let HasJson(whole) = serde_json::from_str(json.get()).context(EXPECTED)?;
        items.push(if whole { Item::Whole(json) } else { Item::Bare { json } });
    }
    Ok(to_raw_value(&items)?)
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
    fn anything_but_a_list_of_objects_is_refused() {
        for text in ["", "{}", "1", "[1]", "[{}, []]", r#"[{"a":}]"#, "[{}] []"] {
            let error = items(text).unwrap_err().to_string();
            assert!(error.starts_with("expected a JSON list of objects"), "{text}: {error}");
        }
    }
}
