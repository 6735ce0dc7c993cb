//! The objects of n8n's API in the image, and the built-in `help`.

use serde_json::json;

use super::{run, run_each};
use crate::support::raised;

#[tokio::test]
async fn objects_are_read_as_people_write_them() {
    let code = "
hook = _node['Webhook']['json']
return [hook['order'], _execution['id'], _workflow['name'], _input[0]['json'], len(_input),
        [item['json']['name'] for item in _input], _input.json['name'], _input['item']['json']]";
    let ada = json!({ "name": "Ada", "total": 12 });
    let expected = json!([1, "231", "Orders", ada, 2, ["Ada", "Grace"], "Ada", ada]);
    assert_eq!(run(code).await.value(), expected);
    let each = run_each("return {'json': _input.json['name']}").await;
    assert_eq!(each.value()[1]["json"], "Grace");
}

#[tokio::test]
async fn an_error_names_the_members() {
    let exception = run("return _workflow.nme").await;
    let exception = raised(&exception.outcome);
    assert!(exception.message.starts_with("_workflow has no 'nme'. It has active, id, name"));
    let description = exception.description.as_deref().unwrap();
    assert!(description.contains("Did you mean: 'name'?"), "{description}");
}

#[tokio::test]
async fn a_response_has_the_members_of_requests() {
    let code = "
r = _helpers.http_request('http://x/pages/1', full_response=True)
return [r.json()['url'], r.text, r.ok, r.status, r.headers['Server'], r['body']['url']]";
    let url = "http://x/pages/1";
    let expected = json!([url, format!(r#"{{"url": "{url}"}}"#), true, 200, "test", url]);
    assert_eq!(run(code).await.value(), expected);
}

/// Returns what `help` prints.
async fn help(argument: &str) -> String {
    let code = format!(
        "
import contextlib, io, json
text = io.StringIO()
with contextlib.redirect_stdout(text): help({argument})
return text.getvalue()"
    );
    run(&code).await.value().as_str().expect("a text").to_owned()
}

#[tokio::test]
async fn help_describes_what_a_text_names() {
    for (argument, parts) in [
        ("'len'", &["Help on built-in function len", "number of items in a container"][..]),
        ("'json'", &["JSON (JavaScript Object Notation)", "dumps("]),
        ("'json.dumps'", &["Serialize ``obj`` to a JSON formatted ``str``."]),
        ("json.JSONDecoder", &["Simple JSON <https://json.org> decoder"]),
        ("str.upper", &["Return a copy of the string converted to uppercase."]),
        ("'keywords'", &["Here is a list of the Python keywords.", "nonlocal"]),
        ("'for'", &["The \"for\" statement", "Related help topics"]),
        ("'+'", &["Related help topics"]),
        ("'modules'", &["statistics", "zoneinfo"]),
        ("'no such thing'", &["No Python documentation found"]),
    ] {
        let text = help(argument).await;
        for part in parts {
            assert!(text.contains(part), "help({argument}) lacks {part}:\n{text}");
        }
        assert!(!text.contains('\u{8}'), "help({argument}) is overstruck");
    }
}

#[tokio::test]
async fn docstrings_return_only_where_help_looked() {
    let code = "
import contextlib, io, json, textwrap
with contextlib.redirect_stdout(io.StringIO()): help(json.dumps)
return [(json.dumps.__doc__ or '')[:9], textwrap.fill.__doc__]";
    assert_eq!(run(code).await.value(), json!(["Serialize", null]));
}

#[tokio::test]
async fn pydoc_has_the_topics_too() {
    let code = "
import io, pydoc
from pydoc_data.topics import topics
text = io.StringIO()
pydoc.Helper(output=text).help('while')
return ['while' in topics, 'The \"while\" statement' in text.getvalue()]";
    assert_eq!(run(code).await.value(), json!([true, true]));
}
