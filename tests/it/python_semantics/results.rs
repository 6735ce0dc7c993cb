//! Results that are too long or too deep for a conformance case.

use serde_json::json;

use super::{all_return, run};

#[tokio::test]
async fn huge_integers_are_carried() {
    let ran = run("import sys\nsys.set_int_max_str_digits(0)\nreturn 10 ** 5000").await;
    let Ok(completed) = &ran.outcome.result else { panic!("{:?}", ran.outcome) };
    assert_eq!(completed.value.get().len(), 5001);
}

#[tokio::test]
async fn depth_of_a_result_obeyed() {
    let ran = run("a = 1\nfor i in range(1000): a = [a]\nreturn a").await;
    let Ok(completed) = &ran.outcome.result else { panic!("{:?}", ran.outcome) };
    assert_eq!(completed.value.get().len(), 2001);
    let ran = run("a = float('nan')\nfor i in range(1000): a = {i: a}\nreturn a").await;
    assert!(ran.outcome.result.is_ok(), "{:?}", ran.outcome.result);
}

#[tokio::test]
async fn depth_of_a_result_violated() {
    // The host refuses the shallower ones, and the guest those that exceed its stack.
    for code in [
        "a = 1\nfor i in range(1001): a = [a]\nreturn a",
        "a = float('nan')\nfor i in range(2000): a = {i: a}\nreturn a",
        "a = []\nfor i in range(300_000): a = [a]\nreturn a",
        "a = 1\nfor i in range(300_000): a = {'a': a}\nreturn a",
    ] {
        let ran = run(code).await;
        let message = &ran.exception().message;
        assert!(message.starts_with("Result is nested too deeply"), "{code}: {message}");
        assert_eq!(ran.exception().line_number, None, "{code}");
    }
}

#[tokio::test]
async fn a_circle_behind_a_long_text_is_an_error() {
    let ran = run("d = {'big': 'x' * 100_000}\nd['d'] = d\nreturn [d]").await;
    assert_eq!(ran.exception().message, "Result contains a circular reference");
}

#[tokio::test]
async fn json_in_c_is_what_pythons_own_is() {
    all_return(&[(include_str!("../../fixtures/json_in_c.py"), json!([]))]).await;
}
