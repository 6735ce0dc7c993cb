//! The one JSON value that a guest leaves on standard output, checked before anything else sees it.

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::{End, Exception};

/// Bytes of an exception's message and of its description; the rest is cut off.
const MAX_TEXT: usize = 64 << 10;

/// `{"result": …}` or `{"error": {…}}`, and nothing else.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reply {
    #[serde(default, deserialize_with = "present")]
    result: Option<Box<RawValue>>,
    error: Option<Exception>,
}

/// Keeps a `null` result apart from a missing one.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Deserialize::deserialize(deserializer).map(Some)
}

/// Reads a reply. Whatever is not exactly one of the agreed forms makes the task [`End::Broken`].
pub(super) fn read(stdout: &[u8]) -> End {
    match serde_json::from_slice(stdout) {
        Ok(Reply { result: Some(result), error: None }) => End::Returned(result),
        Ok(Reply { result: None, error: Some(exception) }) => End::Raised(bounded(exception)),
        Ok(_) => End::Broken("the guest's output holds neither a result nor an error".into()),
        Err(_) if stdout.is_empty() => End::Broken("the guest ended without output".into()),
        Err(error) => End::Broken(format!("the guest's output is not the agreed JSON: {error}")),
    }
}

fn bounded(mut exception: Exception) -> Exception {
    if exception.message.is_empty() {
        exception.message = "Unknown error".into();
    }
    cut(&mut exception.message);
    if let Some(description) = &mut exception.description {
        cut(description);
    }
    exception
}

fn cut(text: &mut String) {
    if text.len() > MAX_TEXT {
        text.truncate(text.floor_char_boundary(MAX_TEXT));
        text.push('…');
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn broken(stdout: &str) -> bool {
        matches!(read(stdout.as_bytes()), End::Broken(_))
    }

    #[test]
    fn a_result_is_passed_on_byte_for_byte() {
        let End::Returned(value) = read(br#"{"result":[1, {"a": "\u00e9"}]}"#) else { panic!("not a result") };
        assert_eq!(value.get(), r#"[1, {"a": "\u00e9"}]"#);
    }

    #[test]
    fn a_null_result_is_a_result() {
        assert!(matches!(read(br#"{"result":null}"#), End::Returned(value) if value.get() == "null"));
    }

    #[test]
    fn an_error_is_read_and_its_texts_are_bounded() {
        let long = "é".repeat(100_000);
        let stdout = format!(r#"{{"error":{{"message":"{long}","lineNumber":3}}}}"#);
        let End::Raised(exception) = read(stdout.as_bytes()) else { panic!("not an error") };
        assert!(exception.message.len() <= MAX_TEXT + '…'.len_utf8());
        assert_eq!(exception.line_number, Some(3));
    }

    #[test]
    fn an_error_without_text_still_has_a_message() {
        assert!(matches!(read(br#"{"error":{"message":""}}"#), End::Raised(e) if e.message == "Unknown error"));
    }

    #[test]
    fn anything_but_one_agreed_value_is_broken() {
        for stdout in [
            "",
            "null",
            "{}",
            r#"{"result":1}{"result":2}"#,
            r#"{"result":1,"error":{"message":"x"}}"#,
            r#"{"result":NaN}"#,
            r#"{"result":1},"type":"runner:taskdone""#,
            r#"{"result":1,"more":2}"#,
            "{\"result\":\"\u{1}\"}",
        ] {
            assert!(broken(stdout), "{stdout:?} was accepted");
        }
        assert!(matches!(read(b"{\"result\":\"\xff\"}"), End::Broken(_)));
    }

    proptest! {
        #[test]
        fn arbitrary_output_never_panics_and_a_result_is_always_json(stdout in prop::collection::vec(any::<u8>(), 0..200)) {
            if let End::Returned(value) = read(&stdout) {
                prop_assert!(serde_json::from_str::<serde_json::Value>(value.get()).is_ok());
            }
        }
    }
}
