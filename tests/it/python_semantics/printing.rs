//! `print` and the standard streams.

use serde_json::{Value, json};

use super::{run, run_with};

#[tokio::test]
async fn printed_values_have_the_form_of_n8n() {
    for (code, statements) in [
        ("print('a')", json!([["'a'"]])),
        ("print('a', 1, None, True, 2.5)", json!([["'a'", "1", "None", "True", "2.5"]])),
        ("print()", json!([[]])),
        (
            "print([1, 'é', {'a': (2,)}], {'k': None})",
            json!([["[1, \"é\", {\"a\": [2]}]", "{\"k\": null}"]]),
        ),
        (
            "import datetime\nprint({'d': datetime.date(2024, 1, 2)})",
            json!([["{\"d\": \"2024-01-02\"}"]]),
        ),
        (
            "a = []\na.append(a)\nprint(a)\nd = {}\nd['d'] = [d]\nprint(d)",
            json!([["[Circular list]"], ["[Circular dict]"]]),
        ),
        ("print({(1, 2): 3})", json!([["{\"(1, 2)\": 3}"]])),
        ("print('a', 'b', sep='-', end='', flush=True)", json!([["'a'", "'b'"]])),
        ("print('it\\'s')", json!([["'it's'"]])),
        (
            "import sys\nprint('x', file=None)\nprint('y', file=sys.stdout)",
            json!([["'x'"], ["'y'"]]),
        ),
    ] {
        assert_eq!(Value::from(run(code).await.printed()), statements, "{code}");
    }
}

#[tokio::test]
async fn a_hundred_statements_are_sent_and_the_rest_is_counted() {
    let code = "for i in range(150): print(i)";
    for ending in [
        "",
        "\n1 / 0",
        "\nimport sys; sys.exit(1)",
        "\ndef f(): f()\nf()",
        "\na = []; a.append(a)\nreturn a",
    ] {
        let printed = run(&format!("{code}{ending}")).await.printed();
        assert_eq!(printed.len(), 101, "{ending}");
        assert_eq!(printed[99], json!(["99"]));
        assert_eq!(printed[100], json!(["[Output truncated - 50 more print statements]"]));
    }
    assert_eq!(run("for i in range(100): print(i)").await.printed().len(), 100);
}

#[tokio::test]
async fn statements_are_sent_as_they_happen() {
    assert_eq!(run("print('before')\nraise ValueError").await.printed(), [json!(["'before'"])]);
    let ran = run("print('before')\nimport os\nos._exit(3)").await;
    assert_eq!(ran.printed(), [json!(["'before'"])]);
    assert!(!matches!(ran.outcome.end, serpentarium::sandbox::End::Returned(_)));
}

#[tokio::test]
async fn standard_output_goes_the_same_way_line_by_line() {
    for (code, statements) in [
        ("sys.stdout.write('a\\n')", json!([["a"]])),
        ("sys.stdout.write('a\\nb\\nc')", json!([["a"], ["b"], ["c"]])),
        ("sys.stdout.write('a'); sys.stdout.write('b\\n')", json!([["ab"]])),
        ("sys.stdout.write('a'); print('b')", json!([["a"], ["'b'"]])),
        ("sys.stdout.write('a'); sys.stdout.flush(); sys.stdout.write('b')", json!([["a"], ["b"]])),
        ("sys.stdout.writelines(['a\\n', 'b\\n'])", json!([["a"], ["b"]])),
        ("sys.stdout.buffer.write('é\\n'.encode())", json!([["é"]])),
        ("sys.__stdout__.write('a\\n')", json!([["a"]])),
        ("import pprint; pprint.pprint({'a': 1})", json!([["{'a': 1}"]])),
        ("sys.stdout.reconfigure(encoding='utf-8'); sys.stdout.close(); print(1)", json!([["1"]])),
    ] {
        assert_eq!(
            Value::from(run(&format!("import sys\n{code}")).await.printed()),
            statements,
            "{code}"
        );
    }
}

#[tokio::test]
async fn a_redirected_print_goes_where_it_is_sent() {
    let redirect = "import io, contextlib\nout = io.StringIO()\nwith contextlib.redirect_stdout(out): print('a', 'b')\nprint('c', file=out)\nreturn out.getvalue()";
    let ran = run(redirect).await;
    assert_eq!(ran.value(), "a b\nc\n");
    assert_eq!(ran.printed(), Vec::<Value>::new());
    assert_eq!(run("import sys\nsys.stdout = None\nprint(1)\nreturn 2").await.value(), 2);
}

#[tokio::test]
async fn standard_error_is_kept_apart() {
    let code = "import sys, warnings, logging\nprint('to err', file=sys.stderr)\nsys.stderr.write('no newline')\nwarnings.warn('careful')\nlogging.warning('logged')";
    let ran = run(code).await;
    assert_eq!(ran.value(), json!(null));
    assert!(ran.told.is_empty());
    for text in ["to err\n", "no newline", "UserWarning: careful", "WARNING:root:logged"] {
        assert!(ran.outcome.stderr.contains(text), "{text}: {}", ran.outcome.stderr);
    }
}

#[tokio::test]
async fn standard_input_is_empty() {
    let code = "import sys\ntry:\n    input('name? ')\nexcept EOFError as error:\n    return [sys.stdin.read(), list(sys.stdin), str(error)]";
    assert_eq!(run(code).await.value(), json!(["", [], "EOF when reading a line"]));
}

#[tokio::test]
async fn as_text_everything_is_sent_as_it_is_written() {
    let text = async |code: &str| {
        let ran = run_with(code, json!({"printMode": "text"})).await;
        ran.told("stdout").iter().map(|part| part.as_str().expect("text")).collect::<String>()
    };
    assert_eq!(
        text("print('a', 1, [2, 'b'], sep='-')\nprint('x', end='')\nprint()").await,
        "a-1-[2, 'b']\nx\n"
    );
    assert_eq!(text("import sys\nsys.stdout.write('no newline')").await, "no newline");
    assert_eq!(text("for i in range(150): print(i)").await.lines().count(), 150);
    assert_eq!(text("print('before')\n1 / 0").await, "before\n");
    assert_eq!(text("for i in range(200_000): print(i)").await.lines().last(), Some("199999"));
}

#[tokio::test]
async fn an_object_that_cannot_be_printed_raises() {
    let ran = run("class A:\n    def __str__(self): raise KeyError('k')\nprint(A())").await;
    assert_eq!((ran.exception().message.as_str(), ran.exception().line_number), ("'k'", Some(2)));
    let ran = run("print('\\ud800', ['\\udc00'])").await;
    assert_eq!(ran.printed(), [json!(["'\\ud800'", "[\"\\udc00\"]"])]);
}
