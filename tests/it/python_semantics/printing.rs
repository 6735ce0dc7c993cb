//! Standard error, plain-text output, and prints of tasks that fail.

use serde_json::json;

use super::{run, run_with};

#[tokio::test]
async fn statements_past_the_hundredth_are_counted_on_failure() {
    let code = "for i in range(150): print(i)";
    for ending in [
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
}

#[tokio::test]
async fn a_statement_is_sent_before_the_interpreter_stops() {
    let ran = run("print('before')\nimport posix\nposix._exit(3)").await;
    assert_eq!(ran.printed(), [json!(["'before'"])]);
    assert!(ran.outcome.result.is_err());
}

#[tokio::test]
async fn standard_error_is_kept_apart() {
    let code = "import sys, warnings, logging\nprint('to err', file=sys.stderr)\nsys.stderr.write('no newline')\nwarnings.warn('careful')\nlogging.warning('logged')";
    let ran = run(code).await;
    assert_eq!(ran.value(), json!(null));
    assert!(ran.notified.is_empty());
    for text in ["to err\n", "no newline", "UserWarning: careful", "WARNING:root:logged"] {
        assert!(ran.outcome.stderr.contains(text), "{text}: {}", ran.outcome.stderr);
    }
}

#[tokio::test]
async fn as_text_everything_is_sent_as_it_is_written() {
    let text = async |code: &str| {
        let ran = run_with(code, json!({"printMode": "text"})).await;
        ran.notified("stdout").iter().map(|part| part.as_str().expect("text")).collect::<String>()
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
async fn exit_functions_run_after_the_code() {
    let code = "import atexit\natexit.register(print, 'last')\n\
                @atexit.register\ndef fail(): 1 / 0\nprint('first')";
    for (ending, fails) in [("", false), ("\nimport sys; sys.exit()", false), ("\n1 / 0", true)] {
        let ran = run(&format!("{code}{ending}")).await;
        assert_eq!(ran.outcome.result.is_err(), fails, "{ending}");
        assert_eq!(ran.printed(), [json!(["'first'"]), json!(["'last'"])], "{ending}");
        assert!(ran.outcome.stderr.contains("ZeroDivisionError"), "{}", ran.outcome.stderr);
    }
}
