//! The messages of the protocol: no input makes the parser panic, and each side reads the messages
//! of the other.

use proptest::prelude::*;
use serde_json::{Value, json, value::RawValue};
use serpentarium::protocol::{
    BrokerMessage, ProtocolError, ReceivedSettings, RpcStatus, RunnerMessage, SettingsError,
    TaskData,
};

fn raw(value: &Value) -> Box<RawValue> {
    serde_json::value::to_raw_value(value).unwrap()
}

/// Generates arbitrary JSON, at most three levels deep.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".*".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(".*", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Generates objects with the field names of messages and arbitrary values.
fn almost_a_message() -> impl Strategy<Value = Value> {
    let kind = prop::sample::select(vec![
        "broker:tasksettings",
        "broker:taskofferaccept",
        "broker:taskcancel",
        "broker:rpcresponse",
        "broker:nodetypes",
        "runner:taskdone",
        "runner:taskerror",
        "runner:info",
        "runner:rpc",
        "runner:taskoffer",
        "runner:taskdatarequest",
    ]);
    let field = prop::sample::select(vec![
        "taskId", "offerId", "callId", "settings", "data", "error", "status", "params", "name",
        "types", "validFor", "reason",
    ]);
    (kind, prop::collection::btree_map(field, any_json(), 0..6)).prop_map(|(kind, fields)| {
        let mut message = json!({ "type": kind });
        for (name, value) in fields {
            message[name] = value;
        }
        message
    })
}

fn settings_frame(settings: &str) -> String {
    format!(r#"{{"type":"broker:tasksettings","taskId":"1","settings": {settings} ,"more":{{}}}}"#)
}

fn received(frame: &str) -> Option<ReceivedSettings<'_>> {
    match BrokerMessage::parse(frame) {
        Ok(BrokerMessage::TaskSettings { settings, .. }) => Some(settings),
        _ => None,
    }
}

fn read_all(frame: &str) {
    let _ = BrokerMessage::parse(frame);
    let _ = RunnerMessage::parse(frame);
    let _ = BrokerMessage::task_of_bad_settings(frame);
}

proptest! {
    #[test]
    fn no_text_panics(frame in ".*") {
        read_all(&frame);
    }

    #[test]
    fn nothing_like_a_message_panics_whole_or_cut(message in almost_a_message(), cut in 0usize..200) {
        let frame = message.to_string();
        read_all(&frame);
        read_all(&frame[..frame.floor_char_boundary(cut)]);
    }

    #[test]
    fn no_settings_panic(field in any_json()) {
        for name in ["code", "nodeMode", "items", "continueOnFail", "nodeName"] {
            let frame = settings_frame(&json!({ name: field.clone() }).to_string());
            let label = received(&frame).unwrap().label;
            prop_assert_eq!(label.continue_on_fail, name == "continueOnFail" && field == json!(true));
        }
    }

    #[test]
    fn settings_pass_through_unchanged(task_id in ".*", settings in any_json().prop_filter("null is absent", |v| !v.is_null())) {
        let sent: BrokerMessage = BrokerMessage::TaskSettings { task_id: task_id.clone(), settings: raw(&settings) };
        let frame = serde_json::to_string(&sent).unwrap();
        match BrokerMessage::parse(&frame) {
            Ok(BrokerMessage::TaskSettings { task_id: id, settings: received }) => {
                let has_fields = settings.as_object().is_some_and(|fields| !fields.is_empty());
                let expected = if has_fields { settings.to_string() } else { String::new() };
                prop_assert_eq!((id, received.text), (task_id, expected.as_str()));
                prop_assert!(settings.is_object() || received.checked.is_err());
            }
            other => prop_assert!(false, "{:?}", other),
        }
    }

    #[test]
    fn results_pass_through_unchanged(task_id in ".*", result in any_json()) {
        let data = TaskData { result: raw(&result), custom_data: None, static_data: None };
        let frame = RunnerMessage::TaskDone { task_id: task_id.clone(), data }.to_frame().unwrap();
        match RunnerMessage::parse(&frame) {
            Ok(RunnerMessage::TaskDone { task_id: id, data }) => {
                prop_assert_eq!((id, data.result.get().to_owned()), (task_id, result.to_string()));
            }
            other => prop_assert!(false, "{:?}", other),
        }
    }

    #[test]
    fn calls_and_their_answers_pass_through_unchanged(id in ".*", name in ".*", data in any_json()) {
        let call = RunnerMessage::Rpc { call_id: id.clone(), task_id: id.clone(), name, params: raw(&data) };
        let read = RunnerMessage::parse(&call.to_frame().unwrap());
        if !data.is_null() {
            prop_assert_eq!(read.unwrap().to_frame().unwrap(), call.to_frame().unwrap());
        }
        let answer = json!({ "type": "broker:rpcresponse", "taskId": id, "callId": id, "status": "error", "data": data });
        match BrokerMessage::parse(&answer.to_string()) {
            Ok(BrokerMessage::RpcResponse { status: RpcStatus::Error, data: read, .. }) => {
                prop_assert_eq!(read.map(|raw| raw.get().to_owned()), (!data.is_null()).then(|| data.to_string()));
            }
            other => prop_assert!(false, "{:?}", other),
        }
    }
}

#[test]
fn a_field_that_a_message_does_not_have_is_never_looked_at() {
    let frame = r#"{"type":"broker:taskcancel","taskId":"t","status":"odd","types":7,"validFor":"x","error":[],"more":{}}"#;
    assert!(matches!(BrokerMessage::parse(frame), Ok(BrokerMessage::TaskCancel { .. })));
}

#[test]
fn the_fault_of_a_message_is_named() {
    let error = |frame| BrokerMessage::parse(frame).unwrap_err();
    assert!(
        matches!(error(r#"{"type":"broker:news"}"#), ProtocolError::UnknownType(kind) if kind == "broker:news")
    );
    let missing = error(r#"{"type":"broker:taskcancel"}"#).to_string();
    assert_eq!(missing, "message 'broker:taskcancel' lacks the field 'taskId'");
    let wrong = error(r#"{"type":"broker:taskcancel","taskId":7}"#).to_string();
    assert!(wrong.starts_with("message 'broker:taskcancel' has a bad field 'taskId': "), "{wrong}");
    assert!(matches!(error("{"), ProtocolError::Json(_)));
}

#[test]
fn the_task_of_bad_settings_is_found_if_it_is_named() {
    let task = BrokerMessage::task_of_bad_settings;
    assert_eq!(task(r#"{"type":"broker:tasksettings","taskId":"t"}"#).as_deref(), Some("t"));
    assert_eq!(
        task(r#"{"taskId":"t","type":"broker:tasksettings","settings":{"items":[NaN]}}"#)
            .as_deref(),
        Some("t")
    );
    assert_eq!(
        task(r#"{"type":"broker:tasksettings","taskId":"t","settings":{"#).as_deref(),
        Some("t")
    );
    assert_eq!(task(r#"{"type":"broker:tasksettings","settings":}"#), None);
    assert_eq!(task(r#"{"type":"broker:taskcancel","taskId":"t"}"#), None);
}

#[test]
fn settings_that_cannot_be_run_still_have_a_label() {
    let frame = settings_frame(
        r#"{"continueOnFail":true,"nodeName":"Code","nodeId":7,"workflowName":null}"#,
    );
    let ReceivedSettings { label, checked, .. } = received(&frame).unwrap();
    assert_eq!(checked, Err(SettingsError::MissingField("code")));
    assert!(label.continue_on_fail);
    assert_eq!((label.node_name.as_str(), label.node_id.as_str()), ("Code", "Unknown"));
}

#[test]
fn the_text_of_settings_is_the_object_alone() {
    for settings in [
        r#"{ "a{\u007b\"" : "}{" , "code" : "x", "nodeMode":"runOnceForAllItems","items":[{"}":"{"}] }"#,
        r#"{"code":"x","nodeMode":"runOnceForAllItems","items":[],"n":{"m":{}}}"#,
        "{\n\t\"c\\u006fde\" :\r\"x\", \"nodeMode\": \"runOnceForEachItem\", \"items\": [1]\n}",
    ] {
        let frame = settings_frame(settings);
        let received = received(&frame).unwrap();
        assert_eq!((received.text, received.checked), (settings, Ok(())));
    }
}

#[test]
fn settings_that_are_no_object_fail_only_their_task() {
    for settings in ["5", "-5", "1.5", "true", r#""text""#, r#"["code",{"code":"x"}]"#] {
        let frame = settings_frame(settings);
        let received = received(&frame).unwrap();
        assert_eq!(
            received.checked,
            Err(SettingsError::Invalid("they must be an object".into())),
            "{settings}"
        );
    }
}

#[test]
fn the_last_field_of_a_name_counts_as_it_does_in_python() {
    let frame =
        settings_frame(r#"{"code":"x","nodeMode":"runOnceForAllItems","items":[],"items":5}"#);
    assert_eq!(
        received(&frame).unwrap().checked,
        Err(SettingsError::Invalid("'items' must be a list".into()))
    );
}

/// Other fields hold text that looks like the keys of the payload.
#[test]
fn the_parts_of_a_large_message_make_up_its_frame() {
    let odd = r#"{"result":null,"params":null}"#;
    let payload = |size: usize| raw(&json!(["x".repeat(size)]));
    let data = |size| TaskData {
        result: payload(size),
        custom_data: Some([("staticData".to_owned(), "null".to_owned())].into()),
        static_data: Some(raw(&json!({ "a": odd }))),
    };
    let with_static = |size, static_size| RunnerMessage::TaskDone {
        task_id: odd.into(),
        data: TaskData { static_data: Some(payload(static_size)), ..data(size) },
    };
    let done = |size| RunnerMessage::TaskDone { task_id: odd.into(), data: data(size) };
    let call = |size| RunnerMessage::Rpc {
        call_id: odd.into(),
        task_id: odd.into(),
        name: odd.into(),
        params: payload(size),
    };
    let messages = [
        (done(10), 1),
        (done(100_000), 3),
        (with_static(10, 100_000), 3),
        (with_static(100_000, 100_000), 5),
        (call(10), 1),
        (call(100_000), 3),
    ];
    for (message, parts) in messages {
        let frame = message.to_frame().unwrap();
        let sent = message.into_parts().unwrap();
        assert_eq!((sent.len(), sent.concat()), (parts, frame));
    }
}
