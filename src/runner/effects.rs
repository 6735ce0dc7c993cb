//! Interprets the `effects` of a reply and the `context` of an exception. The sandbox forwards both
//! as raw JSON. The guest is not trusted, so this module checks them.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error, MapAccess, Visitor},
};
use serde_json::value::{RawValue, to_raw_value};

use crate::sandbox::{Completed, Exception, Failure, Outcome, Usage, parse_offloaded};

/// Most entries of custom data. n8n keeps 10, and the guest sends no more. A hostile guest that
/// sends over 100 fails its task instead of filling the runner's memory.
const MAX_CUSTOM_DATA: usize = 100;

/// The value of a completed task, and its checked effects.
#[derive(Debug)]
pub(crate) struct Returned {
    /// The returned value: one JSON text.
    pub(crate) value: Box<RawValue>,
    /// The changes beside the value.
    pub(crate) effects: Effects,
}

/// The changes that a task made beside its result.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Effects {
    /// Custom data of the execution that the code set, by key.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "bounded_custom_data"
    )]
    pub(crate) custom_data: Option<BTreeMap<String, String>>,
    /// The workflow's static data, if the code changed it: one JSON object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) static_data: Option<Box<RawValue>>,
}

/// An outcome whose effects and context are checked.
#[derive(Debug)]
pub(crate) struct CheckedOutcome {
    /// The result, or the failure.
    pub(crate) result: Result<Returned, Failure>,
    /// See [`Outcome::usage`].
    pub(crate) usage: Usage,
    /// See [`Outcome::stderr`].
    pub(crate) stderr: String,
}

impl CheckedOutcome {
    /// Checks an outcome.
    pub(crate) async fn new(outcome: Outcome) -> Self {
        let Outcome { result, usage, stderr } = outcome;
        Self { result: interpret(result).await, usage, stderr }
    }
}

/// The context of an exception.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ItemContext {
    /// Index, from 0, of the item in progress.
    item_index: u32,
}

/// Checks the effects or the context of a result. Malformed ones turn it into [`Failure::Broken`].
///
/// Parses large effects on another thread: they may have as many bytes as the output of a task, and
/// the session must answer pings meanwhile.
async fn interpret(result: Result<Completed, Failure>) -> Result<Returned, Failure> {
    match result {
        Ok(Completed { value, effects: None, .. }) => {
            Ok(Returned { value, effects: Effects::default() })
        }
        Ok(Completed { value, effects: Some(raw), .. }) => {
            let bytes = Box::<str>::from(raw).into_boxed_bytes().into_vec();
            let unread = || Err(Failure::HostFault("the guest's effects could not be read".into()));
            let effects = parse_offloaded(bytes, |bytes| check_effects(&bytes)).await;
            Ok(Returned { value, effects: effects.unwrap_or_else(unread)? })
        }
        Err(Failure::Raised(exception)) => Err(check_context(exception)?.into()),
        Err(failure) => Err(failure),
    }
}

fn check_effects(json: &[u8]) -> Result<Effects, Failure> {
    let effects: Effects = serde_json::from_slice(json).map_err(malformed)?;
    if effects.static_data.as_ref().is_none_or(|data| data.get().starts_with('{')) {
        Ok(effects)
    } else {
        Err(Failure::Broken("the static data in the guest's output is not an object".into()))
    }
}

/// Reduces the context of an exception to its `itemIndex`.
fn check_context(exception: Exception) -> Result<Exception, Failure> {
    let Some(context) = &exception.context else { return Ok(exception) };
    let item: ItemContext = serde_json::from_str(context.get()).map_err(malformed)?;
    let context = Some(to_raw_value(&item).map_err(malformed)?);
    Ok(Exception { context, ..exception })
}

fn malformed(error: serde_json::Error) -> Failure {
    Failure::Broken(format!("the guest's output is not the agreed JSON: {error}"))
}

/// Reads at most [`MAX_CUSTOM_DATA`] entries and fails at the next one.
fn bounded_custom_data<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<BTreeMap<String, String>>, D::Error> {
    struct Bounded;

    impl<'de> Visitor<'de> for Bounded {
        type Value = BTreeMap<String, String>;

        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            write!(f, "an object of at most {MAX_CUSTOM_DATA} texts")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
            let mut texts = BTreeMap::new();
            // The loop counts duplicate keys as well.
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

    deserializer.deserialize_map(Bounded).map(Some)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn raw(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.into()).unwrap()
    }

    async fn returned(effects: Option<&str>) -> Result<Returned, Failure> {
        {
            let (effects, files) = (effects.map(raw), Vec::new());
            interpret(Ok(Completed { value: raw("1"), effects, files })).await
        }
    }

    async fn context_of(context: &str) -> Result<Returned, Failure> {
        let context = Some(raw(context));
        interpret(Err(Exception { message: "x".into(), context, ..Exception::default() }.into()))
            .await
    }

    #[tokio::test]
    async fn custom_and_static_data_are_read() {
        let reply = r#"{"customData":{"a":"b"},"staticData":{"global": {"n": 1}}}"#;
        let effects = returned(Some(reply)).await.unwrap().effects;
        assert_eq!(effects.custom_data.unwrap()["a"], "b");
        assert_eq!(effects.static_data.unwrap().get(), r#"{"global": {"n": 1}}"#);
        for none in [None, Some("{}")] {
            let effects = returned(none).await.unwrap().effects;
            assert!(effects.custom_data.is_none() && effects.static_data.is_none());
        }
    }

    #[tokio::test]
    async fn custom_data_has_few_entries() {
        let reply = |count: usize| {
            let entries: Vec<_> = (0..count).map(|i| format!(r#""k{i}":"v""#)).collect();
            format!(r#"{{"customData":{{{}}}}}"#, entries.join(","))
        };
        assert_eq!(
            returned(Some(&reply(100))).await.unwrap().effects.custom_data.unwrap().len(),
            100
        );
        let failure = returned(Some(&reply(101))).await.unwrap_err().to_string();
        assert!(failure.contains("custom data has more than 100 entries"), "{failure}");
    }

    #[tokio::test]
    async fn malformed_effects_break_the_task() {
        for effects in [
            r#"{"customData":{"a":1}}"#,
            r#"{"customData":[]}"#,
            r#"{"staticData":[]}"#,
            r#"{"staticData":1}"#,
            r#"{"more":1}"#,
        ] {
            let result = returned(Some(effects)).await;
            assert!(matches!(result, Err(Failure::Broken(_))), "{effects} was accepted");
        }
    }

    #[tokio::test]
    async fn a_context_keeps_its_item_index_only() {
        let Err(Failure::Raised(exception)) = context_of(r#"{"itemIndex": 2, "more": []}"#).await
        else {
            panic!("not an exception");
        };
        assert_eq!(exception.context.unwrap().get(), r#"{"itemIndex":2}"#);
        for context in ["{}", r#"{"itemIndex":-1}"#, r#"{"itemIndex":"2"}"#] {
            let result = context_of(context).await;
            assert!(matches!(result, Err(Failure::Broken(_))), "{context} was accepted");
        }
    }
    #[tokio::test]
    async fn large_effects_are_read_on_another_thread() {
        let effects = |size| format!(r#"{{"staticData":{{"text":"{}"}}}}"#, "x".repeat(size));
        assert!(returned(Some(&effects(1000))).now_or_never().is_some());
        let large = effects(4 << 20);
        assert!(returned(Some(&large)).now_or_never().is_none());
        let static_data = returned(Some(&large)).await.unwrap().effects.static_data.unwrap();
        assert_eq!(static_data.get().len(), (4 << 20) + r#"{"text":""}"#.len());
    }
}
