//! Errors from recursion, lack of memory and unbounded texts, and exits without a text.

use super::run;

#[tokio::test]
async fn endless_recursion_is_an_error() {
    for code in [
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
        let hint = "MemoryError\nHint: The memory limit of the task is 512.0 MiB.";
        assert_eq!(ran.exception().message, hint, "{code}");
    }
    let ran = run("def f():\n    x = [0] * (1 << 30)\nf()").await;
    assert_eq!(ran.exception().line_number, Some(2));
    assert!(ran.description().ends_with("512.0 MiB."), "{}", ran.description());
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
async fn an_exit_with_a_failure_says_what_to_do() {
    for (code, message) in [
        ("import sys\nsys.exit(2)", "Process exited with code 2"),
        ("import sys\ndef f(): sys.exit(3)\nf()", "Process exited with code 3"),
        ("raise SystemExit(-1)", "Process exited with code -1"),
        ("exit(1)", "Process exited with code 1"),
    ] {
        let ran = run(code).await;
        let exception = ran.exception();
        let hint = exception.message.strip_prefix(message).expect("the message begins so");
        assert!(hint.starts_with("\nHint: Use `return` to end the code early"), "{code}: {hint}");
        assert_eq!(exception.description.as_ref(), Some(&exception.message), "{code}");
    }
}
