//! Parses the reply: the one JSON value that a guest leaves on standard output.

use std::ops::Range;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::{
    abi::{MAX_EXCEPTION_CONTEXT, MAX_EXCEPTION_TEXT},
    depth::{MAX_DEPTH, is_deeper_than},
    outcome::{Completed, Exception, Failure},
    returned_files::AllowedFiles,
};

/// `{"result": …, "effects": {…}, "files": […]}`, where all but the first may be absent, or
/// `{"error": {…}}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reply<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    result: Option<&'a RawValue>,
    effects: Option<Box<RawValue>>,
    #[serde(borrow)]
    files: Option<&'a RawValue>,
    error: Option<Exception>,
}

/// Keeps a `null` result apart from a missing one.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    Deserialize::deserialize(deserializer).map(Some)
}

/// Parses a reply. Any other form than the two of [`Reply`] is [`Failure::Broken`].
pub(crate) fn parse(stdout: Vec<u8>, allowed: &AllowedFiles) -> Result<Completed, Failure> {
    let not_json = |error: &dyn std::error::Error| {
        broken(format!("the guest's output is not the agreed JSON: {error}"))
    };
    let stdout = String::from_utf8(stdout).map_err(|error| not_json(&error))?;
    match serde_json::from_str(&stdout) {
        Ok(Reply { result: Some(result), effects, files, error: None }) => {
            if !effects.as_deref().is_none_or(is_object) {
                return Err(broken("the effects in the guest's output are not an object"));
            }
            if is_deeper_than(result.get().as_bytes(), MAX_DEPTH) {
                return Err(too_deep("Result"));
            }
            // The effects are an object around the static data.
            let is_deep = |json: &RawValue| is_deeper_than(json.get().as_bytes(), MAX_DEPTH + 1);
            if effects.as_deref().is_some_and(is_deep) {
                return Err(too_deep("Static data"));
            }
            let files = files.map_or(Ok(Vec::new()), |files| allowed.read(files.get()))?;
            let start = result.get().as_ptr().addr() - stdout.as_ptr().addr();
            let range = start..start + result.get().len();
            Ok(Completed { value: value_at(stdout, range), effects, files })
        }
        Ok(Reply { result: None, effects: None, files: None, error: Some(exception) }) => {
            Err(bounded(exception).map_or_else(|failure| failure, Failure::Raised))
        }
        Ok(_) => Err(broken("the guest's output holds neither a result nor an error")),
        Err(_) if stdout.is_empty() => Err(broken("the guest ended without output")),
        Err(error) => Err(not_json(&error)),
    }
}

fn broken(reason: impl Into<String>) -> Failure {
    Failure::Broken(reason.into())
}

/// Returns the failure of a value that n8n may be unable to read. The guest refuses most of them
/// itself, with the same beginning of the text.
fn too_deep(what: &str) -> Failure {
    let message = format!("{what} is nested too deeply: the limit is {MAX_DEPTH} levels");
    Failure::Raised(Exception { message, ..Exception::default() })
}

fn is_object(json: &RawValue) -> bool {
    json.get().starts_with('{')
}

/// Returns the value at `range`. Cuts the text in place: a copy of a large one would fault in as
/// many new pages.
fn value_at(mut text: String, range: Range<usize>) -> Box<RawValue> {
    text.truncate(range.end);
    text.drain(..range.start);
    // SAFETY: serde_json has parsed exactly these bytes as one value.
    unsafe { RawValue::from_string_unchecked(text) }
}

fn bounded(mut exception: Exception) -> Result<Exception, Failure> {
    if exception.message.is_empty() {
        exception.message = "Unknown error".into();
    }
    cut(&mut exception.message);
    if let Some(description) = &mut exception.description {
        cut(description);
    }
    let is_context =
        |context: &RawValue| is_object(context) && context.get().len() <= MAX_EXCEPTION_CONTEXT;
    if exception.context.as_deref().is_none_or(is_context) {
        Ok(exception)
    } else {
        Err(broken(format!(
            "the context of the error in the guest's output is not an object of at most \
             {MAX_EXCEPTION_CONTEXT} bytes"
        )))
    }
}

fn cut(text: &mut String) {
    if text.len() > MAX_EXCEPTION_TEXT {
        text.truncate(text.floor_char_boundary(MAX_EXCEPTION_TEXT));
        text.push('…');
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sandbox::{
        Exceeded, Limits, TaskPath,
        abi::{ERROR_KEY, EXCEPTION_KEYS, RESULT_KEYS},
    };

    /// Parses the reply of a task without files.
    fn parse(stdout: Vec<u8>) -> Result<Completed, Failure> {
        super::parse(stdout, &AllowedFiles::default())
    }

    fn broken(stdout: &str) -> bool {
        matches!(parse(stdout.into()), Err(Failure::Broken(_)))
    }

    fn raised(stdout: &str) -> Exception {
        match parse(stdout.into()) {
            Err(Failure::Raised(exception)) => exception,
            other => panic!("not an exception: {other:?}"),
        }
    }

    #[test]
    fn a_result_is_passed_on_byte_for_byte() {
        let completed = parse(r#"{"result":[1, {"a": "\u00e9"}]}"#.into()).unwrap();
        assert_eq!(completed.value.get(), r#"[1, {"a": "\u00e9"}]"#);
    }

    #[test]
    fn a_null_result_is_a_result() {
        assert_eq!(parse(r#"{"result":null}"#.into()).unwrap().value.get(), "null");
    }

    #[test]
    fn depth_of_a_result_obeyed() {
        let deep = "[".repeat(MAX_DEPTH) + &"]".repeat(MAX_DEPTH);
        let reply = format!(r#"{{"result":{deep},"effects":{{"staticData":{deep}}}}}"#);
        assert_eq!(parse(reply.into()).unwrap().value.get(), deep);
    }

    #[test]
    fn depth_of_a_result_violated() {
        let deep = "[".repeat(MAX_DEPTH + 1) + &"]".repeat(MAX_DEPTH + 1);
        let message = raised(&format!(r#"{{"result":{deep}}}"#)).message;
        assert_eq!(message, "Result is nested too deeply: the limit is 1000 levels");
        let reply = format!(r#"{{"result":1,"effects":{{"staticData":{deep}}}}}"#);
        let message = raised(&reply).message;
        assert_eq!(message, "Static data is nested too deeply: the limit is 1000 levels");
    }

    #[test]
    fn effects_are_passed_on_unread() {
        let completed = parse(r#"{"result":1,"effects":{"a": [null]}}"#.into()).unwrap();
        assert_eq!(completed.value.get(), "1");
        assert_eq!(completed.effects.unwrap().get(), r#"{"a": [null]}"#);
        assert!(parse(r#"{"result":1}"#.into()).unwrap().effects.is_none());
    }

    #[test]
    fn an_error_is_read_and_its_texts_are_bounded() {
        let long = "é".repeat(100_000);
        let exception = raised(&format!(r#"{{"error":{{"message":"{long}","lineNumber":3}}}}"#));
        assert!(exception.message.len() <= MAX_EXCEPTION_TEXT + '…'.len_utf8());
        assert_eq!(exception.line_number, Some(3));
    }

    #[test]
    fn an_error_without_text_still_has_a_message() {
        assert_eq!(raised(r#"{"error":{"message":""}}"#).message, "Unknown error");
    }

    #[test]
    fn the_limit_of_an_error_is_memory() {
        let limit =
            |text: &str| parse(format!(r#"{{"error":{{"message":"x","limit":{text}}}}}"#).into());
        let Err(Failure::Raised(exception)) = limit(r#""memory""#) else { panic!() };
        assert_eq!(exception.limit, Some(Exceeded::Memory(0)));
        for bad in ["null", "1", r#""fuel""#] {
            assert!(matches!(limit(bad), Err(Failure::Broken(_))), "{bad} was accepted");
        }
    }

    #[test]
    fn a_context_is_a_small_object() {
        let reply = |context: &str| format!(r#"{{"error":{{"message":"x","context":{context}}}}}"#);
        let exception = raised(&reply(r#"{"n":1}"#));
        assert_eq!(exception.context.unwrap().get(), r#"{"n":1}"#);
        let of_size = |size: usize| format!(r#"{{"n":"{}"}}"#, "x".repeat(size - 8));
        assert!(raised(&reply(&of_size(MAX_EXCEPTION_CONTEXT))).context.is_some());
        for bad in ["1", "[]", &of_size(MAX_EXCEPTION_CONTEXT + 1)] {
            assert!(broken(&reply(bad)), "{bad:.20} was accepted");
        }
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
            r#"{"result":1,"effects":[]}"#,
            r#"{"result":1,"effects":1}"#,
            r#"{"error":{"message":"x"},"effects":{}}"#,
            r#"{"error":{"message":"x"},"files":[]}"#,
            r#"{"files":[]}"#,
            r#"{"result":1,"files":{}}"#,
            r#"{"effects":{}}"#,
            "{\"result\":\"\u{1}\"}",
        ] {
            assert!(broken(stdout), "{stdout:?} was accepted");
        }
        assert!(matches!(parse(b"{\"result\":\"\xff\"}".into()), Err(Failure::Broken(_))));
    }

    #[test]
    fn the_keys_are_those_of_the_abi() {
        let [result, effects, files] = RESULT_KEYS;
        let reply = format!(r#"{{"{result}":1,"{effects}":{{}}}}"#);
        assert!(parse(reply.into()).unwrap().effects.is_some());
        let reply = format!(r#"{{"{result}":1,"{files}":[{{"path":"/o/a","data":""}}]}}"#);
        let out = vec![TaskPath::new("/o").unwrap()];
        let allowed = AllowedFiles::new(out, &Limits::default());
        assert_eq!(super::parse(reply.clone().into(), &allowed).unwrap().files.len(), 1);
        assert!(broken(&reply), "files that were not asked for");
        let exception = Exception {
            message: "x".into(),
            description: Some("y".into()),
            line_number: Some(1),
            context: Some(RawValue::from_string("{}".into()).unwrap()),
            limit: Some(Exceeded::Memory(0)),
        };
        let error = serde_json::to_string(&exception).unwrap();
        let at = EXCEPTION_KEYS.map(|key| error.find(&format!("\"{key}\":")).expect(key));
        assert!(at.is_sorted());
        assert_eq!(raised(&format!(r#"{{"{ERROR_KEY}":{error}}}"#)).line_number, Some(1));
    }

    proptest! {
        #[test]
        fn arbitrary_output_never_panics(stdout in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(completed) = parse(stdout) {
                prop_assert!(
                    serde_json::from_str::<serde_json::Value>(completed.value.get()).is_ok()
                );
            }
        }
    }
}
