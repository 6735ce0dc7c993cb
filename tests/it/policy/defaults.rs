//! n8n's default settings, and names that every policy allows.

use super::*;

#[tokio::test]
async fn n8ns_own_defaults_leave_plain_python() {
    let code = "total = 0\nfor n in range(5):\n  total += n\nreturn {'sum': sum([1, 2]), 'total': total, 'up': 'a'.upper(), 'e': [*enumerate('a')]}";
    let expected = json!({ "sum": 3, "total": 10, "up": "A", "e": [[0, "a"]] });
    assert_eq!(result_under(Policy::n8n(), code).await, expected);
    for name in [
        "eval", "exec", "compile", "open", "input", "getattr", "object", "type", "vars", "dir",
        "globals", "locals",
    ] {
        let error = refused(Policy::n8n(), &format!("return {name}")).await;
        assert_eq!(own_text(&error.message), format!("name '{name}' is not defined"));
    }
}

#[tokio::test]
async fn both_lists_open_expressly_leave_code_unread_as_in_n8n() {
    let policy = Policy {
        stdlib_allow: list("*"),
        external_allow: list("*"),
        builtins_deny: list("eval"),
        allow_transitive_imports: true,
    };
    assert_eq!(
        result_under(policy.clone(), "import os\nreturn [().__class__.__name__, os.name]").await,
        json!(["tuple", "posix"])
    );
    let error = refused(policy, "return eval").await;
    assert_eq!(own_text(&error.message), "name 'eval' is not defined");
}

#[tokio::test]
async fn the_policy_holds_for_each_item_and_for_code_that_is_indented() {
    let items = RawValue::from_string(r#"[{"json":{}},{"json":{}}]"#.into()).unwrap();
    let mut settings = TaskSettings::new(
        "  import json\n  return json.loads('{\"a\": 1}')",
        NodeMode::EachItem,
        items,
    );
    settings.serpentarium =
        Some(HostSettings { policy: Some(allow("json")), ..HostSettings::default() });
    let job = |settings: &TaskSettings| Job::new(settings.to_input().unwrap(), Limits::default());
    assert_eq!(returned(&run(job(&settings)).await)[1]["json"], json!({ "a": 1 }));
    settings.code = "\u{feff}  import json\n  import os".into();
    settings.serpentarium =
        Some(HostSettings { policy: Some(allow("json")), ..HostSettings::default() });
    assert_eq!(raised(&run(job(&settings)).await).line_number, Some(2));
}

#[tokio::test]
async fn the_environment_holds_what_the_host_gives_and_nothing_else() {
    let code = "import os\nreturn [dict(os.environ), os.getenv('A'), os.environ.get('B', 'none')]";
    let mut settings =
        TaskSettings::new(code, NodeMode::AllItems, RawValue::from_string("[]".into()).unwrap());
    let env = [("A".to_owned(), "é".to_owned())].into();
    settings.serpentarium = Some(HostSettings { env: Some(env), ..HostSettings::default() });
    let job = Job::new(settings.to_input().unwrap(), Limits::default());
    assert_eq!(returned(&run(job).await), json!([{ "A": "é" }, "é", "none"]));
    assert_eq!(
        returned(&run(crate::support::job("import os\nreturn dict(os.environ)")).await),
        json!({})
    );
}

#[tokio::test]
async fn n8ns_names_exist_under_every_policy() {
    let closed = Policy { external_allow: list(""), ..allow("") };
    for policy in [closed, Policy::n8n()] {
        for (code, expected) in [
            ("return [_input.all(), _json, _item_index]", json!([[], null, 0])),
            (
                "return [repr(_helpers), str(_node['a'])]",
                json!(["<_helpers: HTTP requests and binary data>", "<node 'a'>"]),
            ),
            ("return _jmespath({'a': [1, 2]}, 'a[1]')", json!(2)),
            ("return await _helpers.http_request_async('x') if False else 1", json!(1)),
            (
                "try: _helpers.http_request('x')\nexcept _helpers.CallError as error: return str(error)",
                json!(
                    "_helpers.http_request needs n8n, and nothing answers in n8n's place here \
                     (Method not allowed)"
                ),
            ),
        ] {
            assert_eq!(result_under(policy.clone(), code).await, expected, "{code}");
        }
        let error = refused(policy, "import jmespath").await;
        let expected = "Line 1: Import of external package 'jmespath' is disallowed. Allowed external packages: none";
        assert_eq!(violations(&error), [expected]);
    }
    let policy = Policy { external_allow: list("jmespath"), ..allow("") };
    let code = "import jmespath\nfrom jmespath.exceptions import ParseError\nreturn [jmespath.search('a', {'a': 1}), hasattr(jmespath.parser, 'random')]";
    assert_eq!(result_under(policy, code).await, json!([1, false]));
}
