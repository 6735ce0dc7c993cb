//! The options of `exec`: items in each form, items one by one, the value of a last expression.

use super::{Output, Value, exec, json, serpentarium, text};

/// Runs code. Returns its result.
fn result(code: &str, arguments: &[&str]) -> Value {
    let out = exec(code, &[arguments, &["--json"]].concat());
    let report: Value = serde_json::from_slice(&out.stdout).expect("a report");
    assert_eq!(report["status"], "returned", "{report}");
    report["result"].clone()
}

/// Returns standard error without the line of usage.
fn notes(out: &Output) -> String {
    let lines = text(&out.stderr).lines().filter(|line| !line.starts_with("fuel "));
    lines.map(|line| format!("{line}\n")).collect()
}

const HINT: &str =
    "The code ends in an expression, whose value is not shown: return it, or run with --last.\n";

#[test]
fn a_last_expression_is_the_result_with_the_flag() {
    for (code, expected) in [
        ("x = [1, 2, 3]\nsum(x)", json!(6)),
        ("def f():\n    return 'a'\nf()", json!("a")),
        ("import asyncio\nawait asyncio.sleep(0, 'late')", json!("late")),
        ("_items[0]['json']", json!({})),
        ("x = 1", json!(null)),
        ("if False: return 1\n2", json!(null)),
        ("return 3", json!(3)),
    ] {
        assert_eq!(result(code, &["--last"]), expected, "{code}");
    }
    let each = result("_item['json']['n'] * 2", &["--last", "--each", "--items", r#"{"n": 4}"#]);
    assert_eq!(each, json!([{"json": 8, "pairedItem": {"item": 0}}]));
    let out = exec("1 + 1", &["--last"]);
    assert_eq!((text(&out.stdout), notes(&out).as_str()), ("2\n", ""));
}

#[test]
fn a_value_that_nobody_sees_gets_one_hint() {
    for code in ["sum([1])", "x = 1\nx", "f'{1}'", "await __import__('asyncio').sleep(0)"] {
        let out = exec(code, &[]);
        assert_eq!((text(&out.stdout), notes(&out).as_str()), ("", HINT), "{code}");
        assert_eq!(out.status.code(), Some(0));
    }
    let out = exec("_item", &["--each", "--items", "[{}, {}]"]);
    assert_eq!(notes(&out), HINT);
}

#[test]
fn a_script_that_shows_something_gets_no_hint() {
    for (code, expected) in [
        ("print(1)\n2", ""),
        ("return 1", ""),
        ("x = 1", ""),
        ("", ""),
        ("import sys\nprint('careful', file=sys.stderr)\n1", "careful\n"),
        ("import logging\nlogging.warning('careful')", "careful\n"),
    ] {
        let shown = notes(&exec(code, &[]));
        assert!(shown.ends_with(expected) && !shown.contains(HINT), "{code}: {shown}");
    }
    assert_eq!(notes(&exec("1", &["--json"])), "");
}

#[test]
fn items_are_an_object_a_list_or_json_lines_from_anywhere() {
    let (one, three) = (json!([1]), json!([1, 2, 3]));
    let code = "return [item['json']['n'] for item in _items]";
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    let program = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(program.path(), code).unwrap();
    for (items, expected) in [
        (r#"{"n": 1}"#, &one),
        (r#"{"json": {"n": 1}}"#, &one),
        (r#"[{"n": 1}, {"n": 2}, {"json": {"n": 3}}]"#, &three),
        ("{\"n\": 1}\n{\"n\": 2}\r\n\n{\"n\": 3}\n", &three),
        ("\u{feff}\n {\"n\": 1}\n", &one),
    ] {
        std::fs::write(path, items).unwrap();
        assert_eq!(&result(code, &["--items", path]), expected, "{items}");
        let words = ["exec", program.path().to_str().unwrap(), "--json", "--items", "-"];
        let out = serpentarium(&words, &[], items);
        let report: Value = serde_json::from_slice(&out.stdout).unwrap();
        assert_eq!(&report["result"], expected, "{items}");
        if !items.starts_with('\u{feff}') {
            assert_eq!(&result(code, &["--items", items]), expected, "{items}");
        }
    }
}

#[test]
fn wrong_items_are_shown_with_their_place() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    for (items, expected) in [
        ("[1,2]", "line 1, column 2: element 1 of the list (index 0) is a number; an item is"),
        ("not json", "line 1, column 1: this is no JSON\n  not json\n  ^"),
        ("\"x\"", "line 1, column 1: a string is no item; an item is an object, such as"),
        ("{\"a\":1}\n{\"a\":}", "line 2, column 6: this is no JSON: expected value\n  {\"a\":}\n"),
        ("", "there is no JSON; write [] for no items"),
        ("{\x1b[2J}", "\n  {\\u{1b}[2J}\n   ^"),
    ] {
        std::fs::write(path, items).unwrap();
        let out = exec("return len(_items)", &["--items", path]);
        let error = text(&out.stderr);
        assert_eq!(out.status.code(), Some(1), "{error}");
        assert!(error.starts_with(&format!("serpentarium: {path} holds no items: ")), "{error}");
        assert!(error.contains(expected) && !error.contains('\x1b'), "{error}");
    }
    let out = exec("", &["--items", "[1]"]);
    assert!(text(&out.stderr).starts_with("serpentarium: --items holds no items: "), "{out:?}");
}

#[test]
fn each_names_the_item_for_which_the_code_failed() {
    let items = r#"[{"n": 1}, {"n": "\u001b[2J\nx"}, {"n": 3}]"#;
    let raises = "if _item_index == 1: raise ValueError\nreturn {}";
    for code in ["return {'m': 1 + _item['json']['n']}", raises] {
        let out = exec(code, &["--each", "--items", items]);
        let error = text(&out.stderr);
        assert_eq!(out.status.code(), Some(1), "{error}");
        let expected =
            r#"The code failed for item 2 of 3 (index 1): {"json":{"n":"\u001b[2J\nx"}}"#;
        assert_eq!(error.lines().filter(|line| *line == expected).count(), 1, "{error}");
    }
    let out = exec("1 / 0", &["--items", items]);
    assert!(!text(&out.stderr).contains("The code failed for item"), "{out:?}");
}

#[test]
fn each_without_items_says_so_and_runs_once() {
    let out = exec("print(_item)\nreturn {}", &["--each"]);
    assert_eq!(out.status.code(), Some(0));
    let expected =
        "--each without --items: the code runs once, for an empty item; --items gives others\n";
    assert_eq!(notes(&out), expected);
    assert!(text(&out.stdout).starts_with("{'json': {}}\n["), "{out:?}");
}

#[test]
fn standard_error_of_the_code_is_shown_once_and_escaped() {
    let begin = "import sys\nsys.stderr.write('one\\n\\n\\x1b[2J')\nprint('out')\n";
    let out = exec(&format!("{begin}sys.stderr.write('end')"), &[]);
    assert_eq!(notes(&out), "one\n\n\\u{1b}[2J\nend\n");
    assert_eq!(text(&out.stdout), "out\n");
}

#[test]
fn much_standard_error_is_shown_whole() {
    let out = exec("import logging\nfor i in range(3000): logging.warning('x' * 100)", &[]);
    let shown = notes(&out);
    let line = format!("WARNING:root:{}", "x".repeat(100));
    assert_eq!(shown.lines().filter(|shown| *shown == line).count(), 3000);
}

#[test]
fn standard_error_over_its_limit_is_told() {
    let code = "import sys\nfor i in range(65): sys.stderr.write('x' * (1 << 20))";
    let shown = notes(&exec(code, &[]));
    assert!(shown.ends_with("\nStandard error of the code is cut at 64.0 MiB.\n"));
}

#[test]
fn an_exit_without_a_failure_succeeds_with_what_was_printed() {
    for end in
        ["sys.exit(0)", "sys.exit()", "sys.exit(None)", "exit()", "quit(0)", "raise SystemExit"]
    {
        for begin in
            ["import sys\nprint('fine')", "import sys\ndef main():\n    print('fine')\nmain()"]
        {
            let out = exec(&format!("{begin}\n{end}\nprint('never')"), &[]);
            assert_eq!(out.status.code(), Some(0), "{end}: {out:?}");
            assert_eq!((text(&out.stdout), notes(&out).as_str()), ("fine\n", ""), "{end}");
        }
    }
    let out = exec("import sys\ndef main(): return 0\nsys.exit(main())", &[]);
    assert_eq!((out.status.code(), notes(&out).as_str()), (Some(0), ""));
    assert_eq!(result("import sys\nsys.exit(0)", &["--last"]), json!(null));
}

#[test]
fn an_exit_with_a_failure_says_to_return_or_raise() {
    let advice = "Hint: Use `return` to end the code early, with a result.";
    for (code, shown) in [
        ("exit(1)", "Process exited with code 1\n"),
        ("import sys\nsys.exit(3)", "Process exited with code 3\n"),
        ("import sys\nsys.exit('no configuration')", "no configuration\n"),
    ] {
        let out = exec(code, &[]);
        let error = notes(&out);
        assert_eq!(out.status.code(), Some(1), "{error}");
        assert!(error.starts_with(shown) && error.contains(advice), "{error}");
    }
}
