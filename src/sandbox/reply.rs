//! The one JSON value that a guest leaves on standard output, checked before anything else sees it.

use std::{collections::BTreeMap, fmt, ops::Range};

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{End, Exception, Extras};

/// Bytes of an exception's message and of its description; the rest is cut off.
const MAX_TEXT: usize = 64 << 10;

/// Entries of custom data. An execution of n8n holds ten.
const MAX_CUSTOM_DATA: usize = 100;

/// `{"result": …, "customData": {…}, "staticData": {…}}`, of which the last two may be absent, or `{"error": {…}}`, and
/// nothing else.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Reply<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    result: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "few")]
    custom_data: Option<BTreeMap<String, String>>,
    static_data: Option<Box<RawValue>>,
    error: Option<Exception>,
}

/// Keeps a `null` result apart from a missing one.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    Deserialize::deserialize(deserializer).map(Some)
}

/// Reads no more texts than custom data may have.
fn few<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<BTreeMap<String, String>>, D::Error> {
    struct Few;

    impl<'de> Visitor<'de> for Few {
        type Value = BTreeMap<String, String>;

        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            write!(f, "an object of at most {MAX_CUSTOM_DATA} texts")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
            let mut texts = BTreeMap::new();
            // Counts a key that comes again as well.
            for _ in 0..MAX_CUSTOM_DATA {
                let Some((key, text)) = entries.next_entry()? else { return Ok(texts) };
                texts.insert(key, text);
            }
            match entries.next_key::<String>()? {
                None => Ok(texts),
                Some(_) => Err(A::Error::custom(format!(
                    "custom data has more than {MAX_CUSTOM_DATA} entries"
                ))),
            }
        }
    }

    deserializer.deserialize_map(Few).map(Some)
}

/// Reads a reply. Whatever is not exactly one of the agreed forms makes the task [`End::Broken`].
pub(crate) fn read(stdout: Vec<u8>) -> (End, Extras) {
    let stdout = match String::from_utf8(stdout) {
        Ok(stdout) => stdout,
        Err(error) => {
            return (
                End::Broken(format!("the guest's output is not the agreed JSON: {error}")),
                Extras::default(),
            );
        }
    };
    let end = match serde_json::from_str(&stdout) {
        Ok(Reply { result: Some(result), custom_data, static_data, error: None }) => {
            if static_data.as_ref().is_none_or(|data| data.get().starts_with('{')) {
                let start = result.get().as_ptr().addr() - stdout.as_ptr().addr();
                let result = start..start + result.get().len();
                return (
                    End::Returned(value_at(stdout, result)),
                    Extras { custom_data, static_data },
                );
            }
            End::Broken("the static data in the guest's output is not an object".into())
        }
        Ok(Reply {
            result: None,
            custom_data: None,
            static_data: None,
            error: Some(exception),
        }) => End::Raised(bounded(exception)),
        Ok(_) => End::Broken("the guest's output holds neither a result nor an error".into()),
        Err(_) if stdout.is_empty() => End::Broken("the guest ended without output".into()),
        Err(error) => End::Broken(format!("the guest's output is not the agreed JSON: {error}")),
    };
    (end, Extras::default())
}

/// The value that was read there. The text is cut in place: a large one is not copied to where memory is not in use yet.
fn value_at(mut text: String, range: Range<usize>) -> Box<RawValue> {
    text.truncate(range.end);
    text.drain(..range.start);
    // SAFETY: this is what serde_json has read as one value, from its first byte to its last.
    unsafe { RawValue::from_string_unchecked(text) }
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

    fn end(stdout: &[u8]) -> End {
        read(stdout.into()).0
    }

    fn broken(stdout: &str) -> bool {
        matches!(end(stdout.as_bytes()), End::Broken(_))
    }

    #[test]
    fn a_result_is_passed_on_byte_for_byte() {
        let End::Returned(value) = end(br#"{"result":[1, {"a": "\u00e9"}]}"#) else {
            panic!("not a result")
        };
        assert_eq!(value.get(), r#"[1, {"a": "\u00e9"}]"#);
    }

    #[test]
    fn a_null_result_is_a_result() {
        assert!(
            matches!(end(br#"{"result":null}"#), End::Returned(value) if value.get() == "null")
        );
    }

    #[test]
    fn custom_and_static_data_come_beside_a_result() {
        let (end, extras) = read(
            br#"{"result":1,"customData":{"a":"b"},"staticData":{"global": {"n": 1}}}"#.into(),
        );
        assert!(matches!(end, End::Returned(_)));
        assert_eq!(extras.custom_data.unwrap()["a"], "b");
        assert_eq!(extras.static_data.unwrap().get(), r#"{"global": {"n": 1}}"#);
        let (_, extras) = read(br#"{"result":1}"#.into());
        assert!(extras.custom_data.is_none() && extras.static_data.is_none());
    }

    #[test]
    fn custom_data_has_few_entries() {
        let reply = |count: usize| {
            let entries: Vec<_> = (0..count).map(|i| format!(r#""k{i}":"v""#)).collect();
            format!(r#"{{"result":1,"customData":{{{}}}}}"#, entries.join(","))
        };
        assert_eq!(read(reply(100).into()).1.custom_data.unwrap().len(), 100);
        assert!(broken(&reply(101)));
    }

    #[test]
    fn an_error_is_read_and_its_texts_are_bounded() {
        let long = "é".repeat(100_000);
        let stdout = format!(r#"{{"error":{{"message":"{long}","lineNumber":3}}}}"#);
        let End::Raised(exception) = end(stdout.as_bytes()) else { panic!("not an error") };
        assert!(exception.message.len() <= MAX_TEXT + '…'.len_utf8());
        assert_eq!(exception.line_number, Some(3));
    }

    #[test]
    fn an_error_without_text_still_has_a_message() {
        assert!(
            matches!(end(br#"{"error":{"message":""}}"#), End::Raised(e) if e.message == "Unknown error")
        );
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
            r#"{"result":1,"customData":{"a":1}}"#,
            r#"{"result":1,"customData":[]}"#,
            r#"{"result":1,"staticData":[]}"#,
            r#"{"error":{"message":"x"},"staticData":{}}"#,
            r#"{"customData":{},"staticData":{}}"#,
            "{\"result\":\"\u{1}\"}",
        ] {
            assert!(broken(stdout), "{stdout:?} was accepted");
        }
        assert!(matches!(end(b"{\"result\":\"\xff\"}"), End::Broken(_)));
    }

    proptest! {
        #[test]
        fn arbitrary_output_never_panics_and_a_result_is_always_json(stdout in prop::collection::vec(any::<u8>(), 0..200)) {
            if let End::Returned(value) = end(&stdout) {
                prop_assert!(serde_json::from_str::<serde_json::Value>(value.get()).is_ok());
            }
        }
    }
}
