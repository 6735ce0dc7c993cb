//! From the returned value to JSON.

use serde_json::json;

use super::{all_fail, all_return, run, value};

#[tokio::test]
async fn values_become_json() {
    all_return(&[
        ("return None", json!(null)),
        ("return [True, False, 1, -2.5, 'x', None]", json!([true, false, 1, -2.5, "x", null])),
        ("return (1, (2, 3))", json!([1, [2, 3]])),
        ("return {'a': {'b': []}}", json!({"a": {"b": []}})),
        (
            "return 'quote \" back \\\\ line \\n nul \\0 ü 🐍 \\u2028'",
            json!("quote \" back \\ line \n nul \0 ü 🐍 \u{2028}"),
        ),
        ("return 10 ** 17", json!(100_000_000_000_000_000_u64)),
        ("return 1e300 * 10", json!(1e301)),
    ])
    .await;
}

#[tokio::test]
async fn what_json_has_no_form_for_becomes_its_text() {
    all_return(&[
        ("import decimal\nreturn decimal.Decimal('1.10')", json!("1.10")),
        ("import datetime\nreturn datetime.datetime(2024, 1, 2, 3)", json!("2024-01-02 03:00:00")),
        ("import uuid\nreturn uuid.UUID(int=1)", json!("00000000-0000-0000-0000-000000000001")),
        ("return {1}", json!("{1}")),
        ("return b'x'", json!("b'x'")),
        ("return 2j", json!("2j")),
        ("return range(3)", json!("range(0, 3)")),
        ("import enum\nclass C(enum.Enum): R = 1\nreturn C.R", json!("C.R")),
        ("import enum\nclass I(enum.IntEnum): R = 1\nreturn I.R", json!(1)),
        ("import enum\nclass S(enum.StrEnum): R = 'r'\nreturn {S.R: S.R}", json!({"r": "r"})),
        ("class S(str): pass\nreturn S('s')", json!("s")),
        ("import collections\nreturn collections.namedtuple('P', 'a b')(1, 2)", json!([1, 2])),
        ("import collections\nreturn collections.OrderedDict(b=1, a=2)", json!({"b": 1, "a": 2})),
        ("class A:\n    def __str__(self): return 'me'\nreturn [A()]", json!(["me"])),
    ])
    .await;
    assert!(
        value("return (x for x in [])")
            .await
            .as_str()
            .unwrap_or_default()
            .starts_with("<generator object")
    );
    let dataclass = "import dataclasses\n@dataclasses.dataclass\nclass D:\n    x: int\nreturn D(1)";
    assert!(value(dataclass).await.as_str().unwrap_or_default().ends_with("D(x=1)"));
}

#[tokio::test]
async fn what_is_not_finite_becomes_null() {
    all_return(&[
        ("return float('nan')", json!(null)),
        ("return [float('inf'), {'a': -float('inf')}, 1.5]", json!([null, {"a": null}, 1.5])),
        ("return {float('nan'): 1, 'b': float('nan')}", json!({"NaN": 1, "b": null})),
    ])
    .await;
}

#[tokio::test]
async fn keys_become_texts() {
    all_return(&[
        (
            "return {1: 'a', 2.5: 'b', True: 'c', None: 'd'}",
            json!({"1": "c", "2.5": "b", "null": "d"}),
        ),
        ("return {(1, 2): 'a', b'k': 'b'}", json!({"(1, 2)": "a", "b'k'": "b"})),
        ("import datetime\nreturn {datetime.date(2024, 1, 2): 1}", json!({"2024-01-02": 1})),
    ])
    .await;
}

#[tokio::test]
async fn a_lone_surrogate_is_escaped() {
    let ran = run("return ['\\ud800', {'\\udfff': 'é'}]").await;
    let serpentarium::sandbox::End::Returned(raw) = &ran.outcome.end else {
        panic!("{:?}", ran.outcome)
    };
    assert_eq!(raw.get(), r#"["\ud800",{"\udfff":"é"}]"#);
}

#[tokio::test]
async fn huge_integers_are_carried() {
    let ran = run("return 10 ** 5000").await;
    let serpentarium::sandbox::End::Returned(raw) = &ran.outcome.end else {
        panic!("{:?}", ran.outcome)
    };
    assert_eq!(raw.get().len(), 5001);
}

#[tokio::test]
async fn what_cannot_be_carried_is_an_error_without_a_line() {
    for (code, message) in [
        ("a = []\na.append(a)\nreturn a", "Result contains a circular reference"),
        (
            "d = {'big': 'x' * 100_000}\nd['d'] = d\nreturn [d]",
            "Result contains a circular reference",
        ),
        (
            "d = {(1, 2): float('nan')}\nd['d'] = d\nreturn d",
            "Result contains a circular reference",
        ),
        ("a = []\nfor i in range(300_000): a = [a]\nreturn a", "Result is nested too deeply"),
        ("a = 1\nfor i in range(300_000): a = {'a': a}\nreturn a", "Result is nested too deeply"),
    ] {
        let ran = run(code).await;
        assert_eq!(ran.exception().message, message, "{code}");
        assert_eq!(ran.exception().line_number, None, "{code}");
    }
    all_return(&[("a = [1]\nreturn [a, a]", json!([[1], [1]]))]).await;
    all_fail(&[("class A:\n    def __str__(self): raise KeyError('k')\nreturn [A()]", "'k'")])
        .await;
}

#[tokio::test]
async fn deep_results_are_carried() {
    let ran = run("a = []\nfor i in range(2000): a = [a]\nreturn a").await;
    let serpentarium::sandbox::End::Returned(raw) = &ran.outcome.end else {
        panic!("{:?}", ran.outcome)
    };
    assert_eq!(raw.get().len(), 4002);
    let ran = run("a = float('nan')\nfor i in range(2000): a = {i: a}\nreturn a").await;
    assert!(
        matches!(ran.outcome.end, serpentarium::sandbox::End::Returned(_)),
        "{:?}",
        ran.outcome.end
    );
}

#[tokio::test]
async fn json_in_c_is_what_pythons_own_is() {
    all_return(&[(include_str!("../../fixtures/json_in_c.py"), json!([]))]).await;
}
