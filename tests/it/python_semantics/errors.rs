//! From an exception to a report.

use serde_json::json;

use super::{all_fail, run};

#[tokio::test]
async fn an_exception_is_reported_with_its_text_line_and_traceback() {
    let ran = run("def f():\n    return {}['x']\n\nf()").await;
    let exception = ran.exception();
    assert_eq!((exception.message.as_str(), exception.line_number), ("'x'", Some(2)));
    assert_eq!(
        ran.description(),
        "Traceback (most recent call last):\n  File \"<code>\", line 4, in <module>\n    f()\n    ~^^\n  File \"<code>\", line 2, in f\n    return {}['x']\n           ~~^^^^^\nKeyError: 'x'"
    );
}

#[tokio::test]
async fn an_exception_without_a_text_has_its_type() {
    all_fail(&[
        ("raise ValueError", "ValueError"),
        ("raise ValueError('  ')", "ValueError"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("raise GeneratorExit", "GeneratorExit"),
        ("class Stop(BaseException): pass\nraise Stop", "Stop"),
        ("class E(Exception):\n    def __str__(self): 1 / 0\nraise E('x')", "E"),
        ("class E(Exception):\n    def __str__(self): return 3\nraise E('x')", "E"),
        ("assert False", "AssertionError"),
        ("raise MemoryError", "MemoryError"),
        ("import asyncio\nraise asyncio.CancelledError", "CancelledError"),
    ])
    .await;
}

#[tokio::test]
async fn only_the_users_own_frames_are_shown() {
    let ran = run("import json\ntry:\n    json.loads('{')\nexcept ValueError as error:\n    raise RuntimeError('bad input') from error").await;
    assert_eq!(
        (ran.exception().message.as_str(), ran.exception().line_number),
        ("bad input", Some(5))
    );
    let description = ran.description();
    assert!(description.contains("    json.loads('{')\n"), "{description}");
    assert!(description.contains("The above exception was the direct cause"), "{description}");
    assert!(description.ends_with("RuntimeError: bad input"), "{description}");
    assert!(!description.contains("frozen"), "{description}");

    let ran =
        run("import functools\ndef f(a, b): return a / b\nfunctools.reduce(f, [1, 0])\n").await;
    assert_eq!(ran.exception().line_number, Some(2));
}

#[tokio::test]
async fn groups_notes_and_contexts_are_shown() {
    let group = "raise ExceptionGroup('several', [ValueError('one'), ExceptionGroup('more', [TypeError('two')])])";
    for (code, texts) in [
        (group, &["several (2 sub-exceptions)", "ValueError: one", "TypeError: two"][..]),
        (
            "error = ValueError('x')\nerror.add_note('a note')\nraise error",
            &["ValueError: x\na note"],
        ),
        (
            "try:\n    1 / 0\nfinally:\n    raise ValueError('x')",
            &["During handling of the above exception", "ZeroDivisionError"],
        ),
        ("def f(): f()\nf()", &["[Previous line repeated", "RecursionError"]),
        ("total = 1\nreturn totl", &["Did you mean: 'total'?"]),
    ] {
        let ran = run(code).await;
        for text in texts {
            assert!(ran.description().contains(text), "{code}: {}", ran.description());
        }
    }
}

#[tokio::test]
async fn user_code_sees_its_own_lines_in_tracebacks() {
    let code = "import traceback\ntry:\n    1 / 0\nexcept ZeroDivisionError:\n    return traceback.format_exc()";
    let text = run(code).await.value();
    assert!(text.as_str().unwrap_or_default().contains("    1 / 0\n    ~~^~~\n"), "{text}");
    let code = "import inspect\ndef f():\n    return 1\nreturn inspect.getsource(f)";
    assert_eq!(run(code).await.value(), "def f():\n    return 1\n");
}

#[tokio::test]
async fn an_exit_names_its_code() {
    for (code, message, description) in [
        ("import sys\nsys.exit()", "Process exited with code 0", None),
        ("import sys\nsys.exit(0)", "Process exited with code 0", None),
        ("import sys\ndef f(): sys.exit(3)\nf()", "Process exited with code 3", None),
        ("raise SystemExit('no way')", "Process exited with code 1", Some("no way")),
        ("raise SystemExit([1, 2])", "Process exited with code 1", Some("[1, 2]")),
        ("raise SystemExit(-1)", "Process exited with code -1", None),
    ] {
        let ran = run(code).await;
        assert_eq!(ran.exception().message, message, "{code}");
        assert_eq!(ran.exception().description.as_deref(), description, "{code}");
    }
}

#[tokio::test]
async fn endless_recursion_is_an_error() {
    for code in [
        "def f(): return f()\nreturn f()",
        "class A:\n    def __getattr__(self, name): return getattr(self, name)\nA().x",
        "class A:\n    def __repr__(self): return repr(self)\nrepr(A())",
        "class A:\n    def __eq__(self, other): return self == other\nA() == 1",
        "a = []\na.append(a)\nb = []\nb.append(b)\na == b",
        "import sys\nsys.setrecursionlimit(10 ** 6)\nclass A:\n    def __repr__(self): return repr(self)\nrepr(A())",
        "f = lambda: 0\nfor i in range(100_000): f = (lambda g: lambda: g())(f)\nf()",
        "import functools\nf = lambda: 0\nfor i in range(100_000): f = functools.partial(functools.partial, f)\nrepr(f)",
        "import re\nre.compile('(' * 5000 + ')' * 5000)",
        "import json\njson.loads('[' * 100_000)",
        "import copy\na = []\nfor i in range(10_000): a = [a]\ncopy.deepcopy(a)",
        "import pickle\na = []\nfor i in range(100_000): a = [a]\npickle.dumps(a)",
        "import ast\nast.literal_eval('-' * 50_000 + '1')",
        "x = 'x'\nfor i in range(100_000): x = [x]\nhash(str(x))",
    ] {
        let ran = run(code).await;
        assert!(!ran.exception().message.is_empty(), "{code}");
    }
    let ran = run("def f():\n    return f()\nf()").await;
    assert!(ran.exception().message.starts_with("maximum recursion depth exceeded"));
    assert_eq!(ran.exception().line_number, Some(2));
    let deep = "import sys\nsys.setrecursionlimit(100_000)\ndef f(n): return 0 if n == 0 else 1 + f(n - 1)\nreturn f(50_000)";
    assert_eq!(run(deep).await.value(), 50_000);
}

#[tokio::test]
async fn running_out_of_memory_is_an_error() {
    for code in [
        "x = 'x' * (1 << 30)",
        "x = [0] * (1 << 30)",
        "x = []\nwhile True: x.append(bytearray(1 << 20))",
        "x = []\nwhile True: x.append([1, 2, 3])",
        "x = {}\nwhile True: x[len(x)] = str(len(x))",
        "return 'x' * 400_000_000",
        "return ['x' * 1_000_000] * 1000",
    ] {
        let ran = run(code).await;
        assert_eq!(ran.exception().message, "MemoryError", "{code}");
    }
    let ran = run("def f():\n    x = [0] * (1 << 30)\nf()").await;
    assert_eq!(ran.exception().line_number, Some(2));
    assert!(ran.description().contains("more memory"), "{}", ran.description());
}

#[tokio::test]
async fn texts_are_bounded() {
    let ran = run("raise ValueError('x' * 10_000_000)").await;
    assert!(
        ran.exception().message.ends_with("… truncated") && ran.exception().message.len() < 70_000
    );
    assert!(ran.description().len() < 70_000, "{}", ran.description().len());
    let chain = "e = None\nfor i in range(5000):\n    n = ValueError('y' * 5000)\n    n.__context__ = e\n    e = n\nraise e";
    assert!(run(chain).await.description().ends_with("yyy"));
    let group = "raise ExceptionGroup('g', [ValueError(i) for i in range(100_000)])";
    assert_eq!(run(group).await.exception().message, "g (100000 sub-exceptions)");
}

#[tokio::test]
async fn an_import_that_is_not_there_is_a_plain_error() {
    let ran = run("x = 1\nimport numpy").await;
    assert!(
        ran.exception().message.starts_with("No module named 'numpy'"),
        "{}",
        ran.exception().message
    );
    assert_eq!(ran.exception().line_number, Some(2));
    assert_eq!(
        run("try:\n    import numpy\nexcept ImportError:\n    return 'no'").await.value(),
        json!("no")
    );
}
