//! Formats JSON text token by token. It parses no numbers or maps, so long numbers, deep lists and
//! lone surrogates stay as they are.

use std::fmt::{self, Display, Formatter, Write};

/// Levels that are indented. Deeper values stay on one line: a task may return millions of levels,
/// and indentation would grow with the square of the depth.
const DEEPEST: usize = 64;

/// Valid JSON text, indented by two spaces.
pub(crate) struct Indented<'a>(pub(crate) &'a str);

/// Valid JSON text on one line.
pub(crate) struct Compact<'a>(pub(crate) &'a str);

impl Display for Indented<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (mut depth, mut previous) = (0_usize, "");
        for token in Tokens(self.0) {
            let (inner, opened) = (depth, matches!(previous, "[" | "{"));
            let breaks = if matches!(token, "]" | "}") {
                depth = depth.saturating_sub(1);
                !opened
            } else {
                opened || previous == ","
            };
            if breaks && inner <= DEEPEST {
                write!(f, "\n{:width$}", "", width = depth * 2)?;
            } else if matches!(previous, ":" | ",") {
                f.write_char(' ')?;
            }
            f.write_str(token)?;
            depth += usize::from(matches!(token, "[" | "{"));
            previous = token;
        }
        Ok(())
    }
}

impl Display for Compact<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Tokens(self.0).try_for_each(|token| f.write_str(token))
    }
}

/// The tokens of a JSON text: brackets, commas, colons, strings, numbers and literals.
struct Tokens<'a>(&'a str);

impl<'a> Iterator for Tokens<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let text = self.0.trim_start_matches([' ', '\t', '\n', '\r']);
        let bytes = text.as_bytes();
        let length = match bytes.first()? {
            b'[' | b']' | b'{' | b'}' | b',' | b':' => 1,
            b'"' => string(bytes),
            _ => bytes
                .iter()
                .position(|byte| b" \t\n\r[]{},:\"".contains(byte))
                .unwrap_or(bytes.len()),
        };
        let (token, rest) = text.split_at(length);
        self.0 = rest;
        Some(token)
    }
}

/// Returns the length in bytes of the string at the start of `bytes`, quotes included.
fn string(bytes: &[u8]) -> usize {
    let mut escaped = false;
    let end = bytes.iter().skip(1).position(|byte| {
        let ends = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        ends
    });
    end.map_or(bytes.len(), |end| end + 2)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn containers_are_indented_and_empty_ones_stay_short() {
        for (json, expected) in [
            ("1", "1"),
            ("[ ]", "[]"),
            ("{\n}", "{}"),
            ("[[],{}]", "[\n  [],\n  {}\n]"),
            (r#"{"b":[1,2],"a":null}"#, "{\n  \"b\": [\n    1,\n    2\n  ],\n  \"a\": null\n}"),
            (r#"["a,[\"b\\",":\\\""]"#, "[\n  \"a,[\\\"b\\\\\",\n  \":\\\\\\\"\"\n]"),
        ] {
            assert_eq!(Indented(json).to_string(), expected);
        }
    }

    #[test]
    fn numbers_strings_and_keys_stay_as_they_are() {
        let json = format!(r#"{{"z":1{},"a":1.50,"\ud800":"\ud800 , "}}"#, "0".repeat(400));
        assert_eq!(Compact(&Indented(&json).to_string()).to_string(), json);
    }

    #[test]
    fn deep_levels_are_not_indented() {
        let json = format!("{}1,2{}", "[".repeat(1_000_000), "]".repeat(1_000_000));
        let indented = Indented(&json).to_string();
        assert!(indented.len() < json.len() + 20_000);
        assert_eq!(Compact(&indented).to_string(), json);
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(8, 64, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..6)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_layout_does_not_change_the_value(value in json()) {
            let (compact, pretty) = (value.to_string(), format!("{value:#}"));
            prop_assert_eq!(Indented(&compact).to_string(), &pretty[..]);
            prop_assert_eq!(Compact(&pretty).to_string(), &compact[..]);
            prop_assert_eq!(serde_json::from_str::<Value>(&Indented(&compact).to_string()).unwrap(), value);
        }

        #[test]
        fn no_text_causes_a_panic(text in r#"([\[\]{},:"\\ \n1]|\PC)*"#) {
            let _ = (Indented(&text).to_string(), Compact(&text).to_string());
        }
    }
}
