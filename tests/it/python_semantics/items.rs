//! The input of a task: invalid settings, deep and large items, dicts with shared keys.

use serde_json::json;

use super::{all_return, run_all, run_settings};

#[tokio::test]
async fn settings_that_are_no_object_are_an_error() {
    let list = run_settings("[]").await;
    assert_eq!(list.exception().message, "Invalid task settings: not an object");
    assert!(!run_settings("{").await.exception().message.is_empty());
    let spaced = " {\"code\": \"return 1\", \"nodeMode\": \"runOnceForAllItems\", \"items\": []}\n";
    assert_eq!(run_settings(spaced).await.value(), 1);
}

#[tokio::test]
async fn deep_input_arrives_or_is_refused() {
    let nested = |depth| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    let settings = |depth| {
        format!(
            r#"{{"code":"return len(_items)","nodeMode":"runOnceForAllItems","items":[{}]}}"#,
            nested(depth)
        )
    };
    assert_eq!(run_settings(&settings(1000)).await.value(), 1);
    let ran = run_settings(&settings(100_000)).await;
    assert!(ran.exception().message.contains("recursion"), "{}", ran.exception().message);
}

#[tokio::test]
async fn returned_items_need_memory_only_for_their_text() {
    let items: serde_json::Value = (0..40_000)
        .map(|id| json!({"json": {"id": id, "name": format!("customer {id}"), "tags": ["a", "b"]}}))
        .collect();
    let (returned, counted) =
        (run_all("return _items", &items).await, run_all("return len(_items)", &items).await);
    assert_eq!((returned.value(), counted.value()), (items, json!(40_000)));
    assert_eq!(returned.outcome.usage.memory, counted.outcome.usage.memory);
}

#[tokio::test]
async fn decoded_rows_behave_like_other_dicts() {
    all_return(&[(include_str!("../../fixtures/rows.py"), json!([]))]).await;
}
