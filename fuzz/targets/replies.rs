//! Replies of a guest, beside what `serde_json::Value` reads, and the messages that they lead to.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::{Value, value::RawValue};
use serpentarium::fuzzing::{answer, is_deeper_than, parse_reply};

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(future)
}

/// Returns the levels of lists and objects.
fn depth(value: &Value) -> usize {
    match value {
        Value::Array(list) => 1 + list.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

fuzz_target!(|input: &[u8]| {
    let parsed = parse_reply(input.to_vec());
    let value = serde_json::from_slice::<Value>(input);
    // Of duplicate members a `Value` keeps one, and another may be deeper.
    if let (Ok(text), Ok(value)) = (std::str::from_utf8(input), &value) {
        let depth = depth(value);
        assert!(depth == 0 || is_deeper_than(text, depth - 1) || text.len() / 2 < depth);
        let brackets = text.bytes().filter(|byte| b"[{".contains(byte)).count();
        assert!(!is_deeper_than(text, brackets));
    }
    if let (Ok((result, effects)), Ok(value)) = (&parsed, &value) {
        assert_eq!(serde_json::from_str::<Value>(result).unwrap(), value["result"]);
        let members = value.as_object().unwrap();
        assert!(members.keys().all(|key| ["result", "effects", "files"].contains(&key.as_str())));
        match effects {
            Some(effects) => {
                assert_eq!(serde_json::from_str::<Value>(effects).unwrap(), value["effects"]);
                assert!(value["effects"].is_object());
            }
            None => assert!(value["effects"].is_null()),
        }
    }
    if let (Err(failure), Ok(Value::Object(members))) = (&parsed, &value) {
        // A result alone is refused only for a member that is there twice.
        let whole = members.len() == 1 && members.contains_key("result");
        assert!(!whole || failure.contains("duplicate field"), "{failure}");
    }
    for continue_on_fail in [false, true] {
        let frame = block_on(answer(input.to_vec(), "stderr".into(), continue_on_fail)).unwrap();
        serde_json::from_str::<&RawValue>(&frame).unwrap();
        if let Ok(frame) = serde_json::from_str::<Value>(&frame) {
            assert_eq!(frame["taskId"], "t1");
            let kind = frame["type"].as_str().unwrap();
            assert!(kind == "runner:taskdone" || kind == "runner:taskerror" && !continue_on_fail);
            assert!(frame["data"].is_object() || frame["error"]["message"].is_string());
        }
    }
});
