//! n8n's names: their requests for data, and their values.

use serde_json::json;

use super::{run, run_each};
use crate::support::raised;

#[tokio::test]
async fn one_request_asks_only_for_mentioned_data() {
    for (code, nodes, env) in [
        (
            "return [_node['Customers'].all(), _workflow.active, _run_index, str(_now)]",
            json!(["Customers"]),
            false,
        ),
        ("return [_node['Webhook'].item, _vars.region]", json!("all"), false),
        ("return [_env['COMPANY'], _prev_node.name]", json!([]), true),
        ("return eval('_node[\"Webhook\"]').first()", json!("all"), false),
    ] {
        let ran = run(code).await;
        ran.value();
        let wanted = json!([{ "dataOfNodes": nodes, "env": env, "prevNode": false, "input": { "include": false } }]);
        assert_eq!(ran.n8n.asked("taskData"), [wanted], "{code}");
    }
}

#[tokio::test]
async fn data_of_the_task_itself_is_not_requested() {
    for code in [
        "return [_input.all(), _json, _item_index, _input.first()]",
        "return repr(_node)",
        "if False: _node['Webhook'].all()",
        "class A:\n    _now = 1\nreturn A._now",
    ] {
        let ran = run(code).await;
        ran.value();
        assert_eq!(ran.n8n.asked("taskData"), [] as [serde_json::Value; 0], "{code}");
    }
}

#[tokio::test]
async fn each_item_has_its_own_values() {
    let ran =
        run_each("return [_item_index, _json['name'], _node['Webhook'].item['json']['order']]")
            .await;
    let expected = json!([
        { "json": [0, "Ada", 2], "pairedItem": { "item": 0 } },
        { "json": [1, "Grace", 1], "pairedItem": { "item": 1 } },
    ]);
    assert_eq!(ran.value(), expected);
    assert_eq!(ran.n8n.asked("taskData").len(), 1);
}

#[tokio::test]
async fn the_top_level_may_await() {
    let code = "import asyncio\nawait asyncio.sleep(0.001)\nreturn [i async for i in agen()]";
    let code = format!("async def agen():\n    for i in range(3): yield i\n{code}");
    assert_eq!(run(&code).await.value(), json!([0, 1, 2]));
    let ran =
        run_each("import asyncio\nawait asyncio.sleep(0)\nreturn {'name': _item['json']['name']}")
            .await;
    assert_eq!(ran.value()[1]["json"], json!({ "name": "Grace" }));
    let ran = run("import asyncio\nawait asyncio.sleep(0)\n1 / 0").await;
    let exception = raised(&ran.outcome);
    assert_eq!(exception.line_number, Some(3));
    let expected = "Traceback (most recent call last):\n  File \"<code>\", line 3, in <module>\n    1 / 0\n    ~~^~~\nZeroDivisionError: division by zero";
    assert_eq!(exception.description.as_deref(), Some(expected));
}

#[tokio::test]
async fn each_object_documents_itself() {
    let code = "
import contextlib, io
text = io.StringIO()
with contextlib.redirect_stdout(text): help(_helpers, _node['a'], len)
return text.getvalue()";
    let ran = run(code).await;
    let text = ran.value();
    let text = text.as_str().unwrap();
    for part in [
        "_helpers: HTTP requests",
        ".http_request(url",
        "    Makes an HTTP request",
        ".item\n",
        "len(obj, /)",
    ] {
        assert!(text.contains(part), "{part} is not in:\n{text}");
    }
    assert!(!text.contains("httpRequest"));
}

#[tokio::test]
async fn jmespath_is_a_package_as_well() {
    let code = "import jmespath\nreturn [jmespath.search('a.b[0]', {'a': {'b': [7]}}), jmespath.compile('a').search({'a': 1})]";
    assert_eq!(run(code).await.value(), json!([7, 1]));
    assert_eq!(raised(&run("_jmespath({}, 'a[')").await.outcome).line_number, Some(1));
}

#[tokio::test]
async fn changes_go_back_with_the_result() {
    let code = "
_get_workflow_static_data('node')['seen'] = ['a']
_execution.custom_data.set('customer', 'Ada \\ud800')
return 1";
    let ran = run(code).await;
    assert_eq!(ran.value(), 1);
    let effects = ran.outcome.result.unwrap().effects.unwrap();
    let expected = json!({
        "customData": { "customer": "Ada ?" },
        "staticData": { "global": { "runs": 4 }, "node:Code": { "seen": ["a"] } },
    });
    assert_eq!(serde_json::from_str::<serde_json::Value>(effects.get()).unwrap(), expected);
    let unchanged = run("return _get_workflow_static_data('global')").await;
    assert_eq!(unchanged.value(), json!({ "runs": 4 }));
    assert!(unchanged.outcome.result.unwrap().effects.is_none());
}
