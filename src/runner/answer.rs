//! Turns the result of a task into the one message that ends it, and sends it.

use std::collections::BTreeMap;

use serde_json::{Map, json};
use tracing::{debug, warn};
use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};

use super::{
    effects::{Effects, Returned},
    message_queue::{MessageQueue, TooLarge},
    variables::{MAX_PAYLOAD_VAR, variable_of},
};
use crate::{
    protocol::{RunnerMessage, TaskData, TaskFailure},
    sandbox::{Exceeded, Exception, Failure},
};

/// Bytes of the longest text in a failure: enough for any traceback, small beside every payload
/// limit.
const MAX_TEXT: usize = 32 << 10;

/// Entries of custom data that n8n keeps.
const MAX_CUSTOM_ENTRIES: usize = 10;

/// Characters of the longest key of custom data, n8n's limit. Longer keys are dropped.
const MAX_CUSTOM_KEY: usize = 50;

/// Characters of the longest value of custom data, n8n's limit. Longer values are cut.
const MAX_CUSTOM_VALUE: usize = 512;

/// Sends the message that ends a task. Returns the size of its frame in bytes.
pub(crate) fn send(
    queue: &MessageQueue,
    task_id: &str,
    reply: Result<TaskData, TaskFailure>,
    continue_on_fail: bool,
) -> usize {
    let send = |reply| queue.send(message(task_id.into(), reply, continue_on_fail));
    let sent = send(reply).or_else(|TooLarge(limit)| send(Err(too_large(limit))));
    sent.unwrap_or_else(|error| {
        warn!(task_id, "a task stays unanswered: {error}");
        0
    })
}

/// Returns the message that ends a task. With `continue_on_fail` a failure becomes a result.
fn message(
    task_id: String,
    reply: Result<TaskData, TaskFailure>,
    continue_on_fail: bool,
) -> RunnerMessage {
    let failure = match reply {
        Ok(data) => return RunnerMessage::TaskDone { task_id, data },
        Err(failure) => failure,
    };
    if continue_on_fail {
        let items = json!([{ "json": { "error": failure.message } }]);
        if let Ok(result) = serde_json::value::to_raw_value(&items) {
            let data = TaskData { result, custom_data: None, static_data: None };
            return RunnerMessage::TaskDone { task_id, data };
        }
    }
    RunnerMessage::TaskError { task_id, error: failure }
}

/// Translates the result of a task for the broker. `stderr` describes a failure without a
/// description.
pub(crate) fn reply(
    result: Result<Returned, Failure>,
    stderr: String,
) -> Result<TaskData, TaskFailure> {
    let stderr = (!stderr.trim().is_empty()).then_some(stderr);
    match result {
        Ok(Returned { value: result, effects: Effects { custom_data, static_data } }) => {
            Ok(TaskData { result, custom_data: custom_data.map(filter_custom_data), static_data })
        }
        Err(Failure::Raised(exception)) => Err(raised(exception, stderr)),
        Err(Failure::Exceeded(limit)) => Err(failure(&limit.to_string(), Some(&advice(&limit)))),
        Err(Failure::Broken(why)) => {
            Err(failure(&format!("Python stopped unexpectedly: {why}"), stderr.as_deref()))
        }
        Err(Failure::HostFault(why)) => {
            Err(failure(&format!("The sandbox failed: {why}"), stderr.as_deref()))
        }
        Err(Failure::WorkerLost(why)) => Err(failure(
            &format!("The worker process that ran the task was lost: {why}"),
            stderr.as_deref(),
        )),
    }
}

/// Reduces custom data to the limits of n8n. Keys hold letters, digits, marks and underscores only.
fn filter_custom_data(custom_data: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let is_key = |key: &str| {
        !key.is_empty()
            // A hostile key may have megabytes.
            && key.len() <= size_of::<char>() * MAX_CUSTOM_KEY
            && key.chars().count() <= MAX_CUSTOM_KEY
            && key.chars().all(|c| c == '_' || is_word_char(c))
    };
    let given = custom_data.len();
    let kept: BTreeMap<_, _> = custom_data
        .into_iter()
        .filter(|(key, _)| is_key(key))
        .take(MAX_CUSTOM_ENTRIES)
        .map(|(key, mut value)| {
            if let Some((end, _)) = value.char_indices().nth(MAX_CUSTOM_VALUE) {
                value.truncate(end);
            }
            (key, value)
        })
        .collect();
    if kept.len() < given {
        debug!(given, kept = kept.len(), "dropped custom data that n8n would not keep");
    }
    kept
}

/// Returns whether `c` is a letter, a number or a mark.
fn is_word_char(c: char) -> bool {
    use GeneralCategoryGroup::{Letter, Mark, Number};
    matches!(c.general_category_group(), Letter | Mark | Number)
}

/// Returns the failure of a cancelled task. The message is n8n's.
pub(crate) fn cancelled(why: Option<&str>) -> TaskFailure {
    failure("Task was cancelled", why)
}

/// Returns a failure with a message and an optional description.
pub(crate) fn failure(message: &str, description: Option<&str>) -> TaskFailure {
    let mut details = Map::new();
    if let Some(text) = description {
        details.insert("description".into(), cut(text).into());
    }
    TaskFailure { message: cut(message).into(), details }
}

/// Returns the failure of a result above the payload limit, in bytes.
fn too_large(limit: usize) -> TaskFailure {
    let limit = bytesize::ByteSize::b(limit as u64).display().iec();
    failure(
        &format!("Task result is too large: a message to n8n may have {limit}"),
        Some(&format!("Return less, or raise {MAX_PAYLOAD_VAR} for both n8n and the runner.")),
    )
}

fn raised(mut exception: Exception, stderr: Option<String>) -> TaskFailure {
    if let Some(limit) = exception.limit {
        exception.append(&format!(" {}", advice(&limit)));
    }
    let message =
        if exception.message.trim().is_empty() { "Unknown error" } else { &exception.message };
    let mut failure = failure(message, exception.description.or(stderr).as_deref());
    if let Some(line) = exception.line_number {
        failure.details.insert("lineNumber".into(), line.into());
    }
    if let Some(context) = exception.context.and_then(|raw| raw.get().parse().ok()) {
        failure.details.insert("context".into(), context);
    }
    failure
}

fn advice(limit: &Exceeded) -> String {
    let variable = variable_of(limit);
    match limit {
        Exceeded::Memory(_) => format!("Use less memory at once, or raise {variable}."),
        Exceeded::Input(_) => format!("Give the node less data at once, or raise {variable}."),
        Exceeded::Output(_) | Exceeded::OutFiles(_) | Exceeded::OutBytes(_) => {
            format!("Return less, or raise {variable}.")
        }
        Exceeded::Time(_) | Exceeded::Fuel(_) => {
            format!("Do less in one task, or raise {variable}.")
        }
        Exceeded::InFlight(_) => {
            format!("Wait for some answers before more calls are begun, or raise {variable}.")
        }
        Exceeded::Calls(_) | Exceeded::CallBytes(_) | Exceeded::Notified(_) => {
            format!("Call or print less in one task, or raise {variable}.")
        }
    }
}

/// Cuts a text to [`MAX_TEXT`] bytes, at a character boundary.
fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_TEXT)]
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, value::RawValue};

    use super::*;

    fn wire(result: Result<Returned, Failure>, stderr: &str, continue_on_fail: bool) -> Value {
        let reply = reply(result, stderr.into());
        let frame = message("t1".into(), reply, continue_on_fail).to_frame().unwrap();
        serde_json::from_str(&frame).unwrap()
    }

    fn raw(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.into()).unwrap()
    }

    fn returned(json: &str) -> Result<Returned, Failure> {
        Ok(Returned { value: raw(json), effects: Effects::default() })
    }

    #[test]
    fn the_returned_value_is_the_result() {
        let expected = json!({
            "type": "runner:taskdone", "taskId": "t1", "data": { "result": [{ "json": 1 }] }
        });
        assert_eq!(wire(returned(r#"[{"json":1}]"#), "noise", false), expected);
        assert_eq!(wire(returned("null"), "", true)["data"], json!({ "result": null }));
    }

    #[test]
    fn custom_and_static_data_are_fields_beside_the_result() {
        let effects = Effects {
            custom_data: Some([("a".to_owned(), "b".to_owned())].into()),
            static_data: Some(raw(r#"{"global":{"n":1}}"#)),
        };
        let result = Ok(Returned { value: raw("[]"), effects });
        let expected = json!({
            "result": [], "customData": { "a": "b" }, "staticData": { "global": { "n": 1 } }
        });
        assert_eq!(wire(result, "", false)["data"], expected);
    }

    #[test]
    fn custom_data_that_n8n_would_not_keep_is_dropped() {
        let of = |entries: &[(&str, &str)]| {
            filter_custom_data(
                entries.iter().map(|(key, text)| ((*key).into(), (*text).into())).collect(),
            )
        };
        let long = "k".repeat(51);
        let bad = [
            ("", "1"),
            ("a b", "1"),
            ("a-b", "1"),
            ("a\"}", "1"),
            (long.as_str(), "1"),
            ("💥", "1"),
        ];
        assert!(of(&bad).is_empty());
        let good =
            [("a_1", ""), ("ключ", "1"), ("किताब", "1"), ("e\u{301}", "1"), (&long[..50], "1")];
        assert_eq!(of(&good).len(), good.len());
        assert_eq!(of(&[("a", &"é".repeat(600))])["a"], "é".repeat(512));
        let many: Vec<_> = (0..20).map(|n| format!("k{n}")).collect();
        assert_eq!(of(&many.iter().map(|key| (key.as_str(), "1")).collect::<Vec<_>>()).len(), 10);
    }

    #[test]
    fn an_exception_keeps_its_line_traceback_and_item() {
        let exception = Exception {
            message: "boom".into(),
            description: Some("Line 3: boom".into()),
            line_number: Some(3),
            context: Some(raw(r#"{"itemIndex":2}"#)),
            limit: None,
        };
        let error = wire(Err(Failure::Raised(exception)), "noise", false)["error"].take();
        let expected = json!({
            "message": "boom", "description": "Line 3: boom", "lineNumber": 3,
            "context": { "itemIndex": 2 }
        });
        assert_eq!(error, expected);
    }

    #[test]
    fn standard_error_describes_an_unexplained_failure() {
        let error = wire(Err(Exception::default().into()), "oh no", false)["error"].take();
        assert_eq!(error, json!({ "message": "Unknown error", "description": "oh no" }));
        let error = wire(Err(Failure::Broken("trap".into())), "oh no", false)["error"].take();
        assert_eq!(error["description"], "oh no");
    }

    #[test]
    fn a_limit_names_the_setting_that_raises_it() {
        let error =
            wire(Err(Exceeded::Time(Duration::from_secs(1)).into()), "", false)["error"].take();
        assert_eq!(error["message"], "Task execution timed out after 1 second");
        assert!(error["description"].as_str().unwrap().contains("N8N_RUNNERS_TASK_TIMEOUT"));
        let error = wire(Err(Exceeded::Memory(64 << 20).into()), "", false)["error"].take();
        assert!(error["description"].as_str().unwrap().contains("SERPENTARIUM_MEMORY"));
        let exception = Exception {
            message: "MemoryError".into(),
            description: Some("line 1".into()),
            limit: Some(Exceeded::Memory(64 << 20)),
            ..Exception::default()
        };
        let error = wire(Err(exception.into()), "", false)["error"].take();
        let advice = " Use less memory at once, or raise SERPENTARIUM_MEMORY.";
        assert_eq!(error["message"], format!("MemoryError{advice}"));
        assert_eq!(error["description"], format!("line 1{advice}"));
    }

    #[test]
    fn a_failure_of_any_kind_can_be_a_result() {
        let failures = [
            Failure::Raised(Exception { message: "boom".into(), ..Exception::default() }),
            Failure::Exceeded(Exceeded::Fuel(1)),
            Failure::Broken("trap".into()),
            Failure::WorkerLost("killed".into()),
        ];
        for failure in failures {
            let done = wire(Err(failure), "", true);
            assert_eq!(done["type"], "runner:taskdone");
            assert!(done["data"]["result"][0]["json"]["error"].is_string());
        }
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let long = "é".repeat(MAX_TEXT);
        let exception =
            Exception { message: long.clone(), description: Some(long), ..Exception::default() };
        let error = wire(Err(Failure::Raised(exception)), "", false)["error"].take();
        assert_eq!(error["message"].as_str().unwrap().len(), MAX_TEXT);
        assert_eq!(error["description"].as_str().unwrap().len(), MAX_TEXT);
    }
}
