//! Settings of a task in a broker's frame, beside what `serde_json::Value` reads.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use serpentarium::protocol::{
    Addition, BrokerMessage, HostSettings, ReceivedSettings, RunnerMessage, SettingsError,
};

fn name(settings: &Value, field: &str) -> String {
    settings[field].as_str().unwrap_or("Unknown").to_owned()
}

fn expected(settings: &Value) -> Result<(), SettingsError> {
    use SettingsError::{Invalid, MissingField, UnknownMode};
    let field = |name| match &settings[name] {
        Value::Null => Err(MissingField(name)),
        value => Ok(value),
    };
    if !settings.is_object() {
        return Err(Invalid("they must be an object".into()));
    }
    if !field("code")?.is_string() {
        return Err(Invalid("'code' must be a string".into()));
    }
    let mode = field("nodeMode")?;
    if !matches!(mode.as_str(), Some("runOnceForAllItems" | "runOnceForEachItem")) {
        return Err(UnknownMode(String::new()));
    }
    if !field("items")?.is_array() {
        return Err(Invalid("'items' must be a list".into()));
    }
    Ok(())
}

/// Compares received settings with the value of the same text.
fn check(received: &ReceivedSettings, settings: &Value) {
    match (&received.checked, expected(settings)) {
        (Err(SettingsError::UnknownMode(_)), Err(SettingsError::UnknownMode(_))) => {}
        (checked, expected) => assert_eq!(*checked, expected),
    }
    let label = &received.label;
    assert_eq!(label.continue_on_fail, settings["continueOnFail"] == json!(true));
    assert_eq!(label.workflow_name, name(settings, "workflowName"));
    assert_eq!(label.workflow_id, name(settings, "workflowId"));
    assert_eq!(label.node_name, name(settings, "nodeName"));
    assert_eq!(label.node_id, name(settings, "nodeId"));
    if received.checked.is_ok() {
        assert_eq!(serde_json::from_str::<Value>(received.text).unwrap(), *settings);
        let host =
            HostSettings { timezone: Some("Europe/Berlin".into()), ..HostSettings::default() };
        let text = Addition::new(&host).unwrap().apply(received.text.to_owned().into());
        let mut expected = settings.clone();
        expected["serpentarium"] = json!({ "timezone": "Europe/Berlin" });
        assert_eq!(serde_json::from_slice::<Value>(&text).unwrap(), expected);
    }
}

fuzz_target!(|input: &str| {
    // As a frame of either side.
    if let Ok(message) = BrokerMessage::parse(input) {
        drop(format!("{message:?}"));
    }
    let _task = BrokerMessage::task_of_bad_settings(input);
    if let Ok(message) = RunnerMessage::parse(input) {
        message.to_frame().unwrap();
    }
    // As the settings in a frame.
    let frame = format!(r#"{{"type":"broker:tasksettings","taskId":"t1","settings":{input}}}"#);
    // The frame is what the text makes of it: it may close the object and add members.
    let Ok(value) = serde_json::from_str::<Value>(&frame) else { return };
    match BrokerMessage::parse(&frame) {
        Ok(BrokerMessage::TaskSettings { task_id, settings }) => {
            assert_eq!(task_id, value["taskId"]);
            check(&settings, &value["settings"]);
        }
        Ok(_) => assert_ne!(value["type"], "broker:tasksettings"),
        // A text that closes the object may add members twice. Null counts as absent.
        Err(error) => {
            assert!(
                serde_json::from_str::<Value>(input).is_err() || input.trim() == "null",
                "{error}"
            );
        }
    }
});
