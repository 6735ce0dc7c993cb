//! Both modes: what the code is given, and what becomes of what it returns.

use serde_json::json;

use super::{all_return, run_all, run_each, run_settings, run_with};

#[tokio::test]
async fn all_items_are_given_at_once() {
    let items = json!([{"json": {"a": 1}}, {"json": {"a": 2}, "binary": {"file": {"data": "x"}}}]);
    assert_eq!(run_all("return _items", &items).await.value(), items);
    assert_eq!(run_all("return len(_items)", &items).await.value(), 2);
    assert_eq!(
        run_all("_items[0]['json']['b'] = 5\nreturn _items[0]", &items).await.value(),
        json!({"json": {"a": 1, "b": 5}})
    );
    assert_eq!(
        run_all("def f():\n    return [i['json']['a'] for i in _items]\nreturn f()", &items)
            .await
            .value(),
        json!([1, 2])
    );
    assert_eq!(
        run_all("return _item", &items).await.exception().message,
        "name '_item' is not defined"
    );
}

#[tokio::test]
async fn the_query_is_what_an_ai_tool_was_asked() {
    assert_eq!(run_with("return _query", json!({})).await.value(), json!(null));
    assert_eq!(run_with("return _query", json!({"query": "weather"})).await.value(), "weather");
    assert_eq!(
        run_with("return _query['city']", json!({"query": {"city": "Oslo"}})).await.value(),
        "Oslo"
    );
}

#[tokio::test]
async fn each_item_gives_one_output_item_or_none() {
    let items = json!([{"json": {"a": 1}}, {"json": {"a": 2}}, {"json": {"a": 3}}]);
    let paired =
        |json: serde_json::Value, item: usize| json!({"json": json, "pairedItem": {"item": item}});
    for (code, expected) in [
        (
            "return _item",
            json!([
                paired(json!({"a": 1}), 0),
                paired(json!({"a": 2}), 1),
                paired(json!({"a": 3}), 2)
            ]),
        ),
        ("return _item if _item['json']['a'] == 2 else None", json!([paired(json!({"a": 2}), 1)])),
        ("return None", json!([])),
        ("", json!([])),
        (
            "if _item['json']['a'] == 3: return {'x': 1, 'binary': {'f': {'data': 'd'}}}",
            json!([{"json": {"x": 1}, "pairedItem": {"item": 2}, "binary": {"f": {"data": "d"}}}]),
        ),
        (
            "if _item['json']['a'] == 3: return {'json': {'x': 1}, 'binary': {'f': 1}, 'other': 2}",
            json!([{"json": {"x": 1}, "pairedItem": {"item": 2}, "binary": {"f": 1}}]),
        ),
        (
            "if _item['json']['a'] == 3: return {'x': 1, 'binary': None}",
            json!([paired(json!({"x": 1}), 2)]),
        ),
        ("if _item['json']['a'] == 3: return [1, 2]", json!([paired(json!([1, 2]), 2)])),
        ("if _item['json']['a'] == 3: return 0", json!([paired(json!(0), 2)])),
        ("if _item['json']['a'] == 3: return {}", json!([paired(json!({}), 2)])),
    ] {
        assert_eq!(run_each(code, &items).await.value(), expected, "{code}");
    }
}

#[tokio::test]
async fn globals_live_on_from_item_to_item_and_the_item_is_set_again() {
    let code = "global n, _item\nn = globals().get('n', 0) + 1\na = _item['json']\n_item = None\nreturn {'n': n, 'a': a}";
    let value = run_each(code, &json!([{"json": 5}, {"json": 6}])).await.value();
    assert_eq!(value[1]["json"], json!({"n": 2, "a": 6}));
}

#[tokio::test]
async fn a_failure_names_its_item() {
    for code in [
        "return 1 / _item['json']",
        "import sys\nif _item['json'] == 0: sys.exit(3)",
        "a = []\na.append(a)\nif _item['json'] == 0: return a",
        "class A:\n    def __str__(self): raise KeyError('k')\nif _item['json'] == 0: return {'x': A()}",
    ] {
        let ran =
            run_each(code, &json!([{"json": 1}, {"json": 2}, {"json": 0}, {"json": 0}])).await;
        assert_eq!(ran.exception().context.map(|context| context.item_index), Some(2), "{code}");
    }
    let ran = run_each("return (", &json!([{"json": 1}])).await;
    assert_eq!(ran.exception().context, None);
}

#[tokio::test]
async fn bad_settings_are_named() {
    for (settings, message) in [
        (
            r#"{"nodeMode":"runOnceForAllItems","items":[]}"#,
            "Missing field in task settings message: 'code'",
        ),
        (r#"{"code":"","items":[]}"#, "Missing field in task settings message: 'nodeMode'"),
        (
            r#"{"code":"","nodeMode":"runOnceForAllItems"}"#,
            "Missing field in task settings message: 'items'",
        ),
        (r#"{"code":"","nodeMode":"sometimes","items":[]}"#, "Unknown nodeMode: sometimes"),
        (
            r#"{"code":1,"nodeMode":"runOnceForAllItems","items":[]}"#,
            "Invalid task settings: 'code' must be a string",
        ),
        (
            r#"{"code":"","nodeMode":"runOnceForAllItems","items":{}}"#,
            "Invalid task settings: 'items' must be a list",
        ),
        ("[]", "Invalid task settings: not an object"),
    ] {
        assert_eq!(run_settings(settings).await.exception().message, message, "{settings}");
    }
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
async fn items_that_are_returned_need_no_memory_but_that_of_their_text() {
    let items: serde_json::Value = (0..40_000)
        .map(|id| json!({"json": {"id": id, "name": format!("customer {id}"), "tags": ["a", "b"]}}))
        .collect();
    let (returned, counted) =
        (run_all("return _items", &items).await, run_all("return len(_items)", &items).await);
    assert_eq!((returned.value(), counted.value()), (items, json!(40_000)));
    assert_eq!(returned.outcome.usage.memory, counted.outcome.usage.memory);
}

#[tokio::test]
async fn items_that_share_their_keys_are_dicts_like_others() {
    all_return(&[(include_str!("../../fixtures/rows.py"), json!([]))]).await;
}
