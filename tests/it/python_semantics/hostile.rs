//! Code that attacks its own reply. Each task still has exactly one outcome.

use serde_json::json;
use serpentarium::sandbox::Failure;

use super::{all_fail, all_return, run};

#[tokio::test]
async fn replaced_modules_and_builtins_do_not_break_the_reply() {
    all_return(&[
        ("import json\njson.dumps = json.JSONEncoder = json.encoder.c_make_encoder = None\nreturn 1", json!(1)),
        ("import sys, builtins\nsys.stdout = builtins.print = None\nreturn 1", json!(1)),
        ("import sys\nsys.modules.clear()\nreturn 1", json!(1)),
        ("globals().clear()\nreturn 1", json!(1)),
        ("import _host\nhost = _host.__dict__\nhost['write_output'] = None\nreturn 1", json!(1)),
        ("import random, os\nos.urandom = None\nreturn random.random() < 1", json!(true)),
    ])
    .await;
    all_fail(&[
        (
            "import traceback\ntraceback.TracebackException = traceback.format_exc = None\n1 / 0",
            "division by zero",
        ),
        (
            "import linecache\nlinecache.cache.clear()\nlinecache.getlines = None\n1 / 0",
            "division by zero",
        ),
        ("import sys\nsys.setrecursionlimit(30)\n1 / 0", "division by zero"),
        ("import sys\nsys.modules.clear()\n1 / 0", "division by zero"),
        ("import sys\nsys.stdout = sys.stderr = None\n1 / 0", "division by zero"),
        ("import sys\nsys.excepthook = None\n1 / 0", "division by zero"),
    ])
    .await;
}

#[tokio::test]
async fn exceptions_that_lie_are_reported() {
    all_fail(&[
        (
            "class E(Exception):\n    __class__ = __cause__ = __traceback__ = property(lambda self: 1 / 0)\nraise E('hi')",
            "hi",
        ),
        ("class M(type):\n    __name__ = property(lambda self: 1 / 0)\nclass E(Exception, metaclass=M): pass\nraise E", "E"),
        ("class S(str):\n    def __len__(self): return 1 / 0\nclass E(Exception):\n    def __str__(self): return S('hi')\nraise E", "hi"),
        ("class E(SyntaxError): lineno = filename = text = property(lambda self: 1 / 0)\nraise E('hi')", "hi"),
        ("class E(SystemExit): code = property(lambda self: 1 / 0)\nraise E('hi')", "E"),
        ("e = ValueError('hi')\ne.__context__ = TypeError()\ne.__context__.__context__ = e\nraise e", "hi"),
        ("raise ValueError('hi').with_traceback(None)", "hi"),
    ])
    .await;
}

#[tokio::test]
async fn a_reply_survives_tracing() {
    for hook in ["settrace", "setprofile"] {
        for ending in ["return 1", "1 / 0"] {
            let ran = run(&format!(
                "import sys\ndef t(*a): raise ValueError('t')\nsys.{hook}(t)\n{ending}"
            ))
            .await;
            assert!(
                matches!(ran.outcome.result, Err(Failure::Raised(_))),
                "{hook}, {ending}: {:?}",
                ran.outcome.result
            );
        }
    }
}

#[tokio::test]
async fn a_monitor_that_raises_breaks_only_its_own_task() {
    let monitor = "import sys\ndef t(*a): raise ValueError('t')\nm = sys.monitoring\nm.use_tool_id(0, 'x')\n\
        m.register_callback(0, m.events.LINE, t)\nm.set_events(0, m.events.LINE)\nreturn 1";
    let ran = run(monitor).await;
    assert!(
        matches!(ran.outcome.result, Err(Failure::Raised(_) | Failure::Broken(_))),
        "{:?}",
        ran.outcome.result
    );
    assert_eq!(run("return 1").await.value(), 1);
}

#[tokio::test]
async fn writing_to_the_reply_itself_is_caught() {
    for code in [
        "import _host, os\n_host.write_output('')\nos.write(1, b'{\"result\": 2}')\nreturn 1",
        "import _host\n_host.write_output('{\"result\": 2}')\nreturn 1",
        "import posix\nposix._exit(0)",
        "import posix\nposix.abort()",
    ] {
        let ran = run(code).await;
        assert!(
            matches!(ran.outcome.result, Err(Failure::Broken(_))),
            "{code}: {:?}",
            ran.outcome.result
        );
    }
}

#[tokio::test]
async fn callbacks_at_exit_are_ignored() {
    all_return(&[
        ("import asyncio\nasync def f(): pass\nf()\nreturn 1", json!(1)),
        ("def g():\n    try: yield 1\n    finally: raise ValueError\nglobal x\nx = g()\nnext(x)\nreturn 1", json!(1)),
        ("import weakref, gc\ngc.disable()\nreturn 1", json!(1)),
    ])
    .await;
}

#[tokio::test]
async fn a_failure_with_hostile_data_is_reported() {
    let big = "class E(Exception): pass\nraise E(['x' * 100_000_000] * 5)";
    assert_eq!(run(big).await.exception().message, "E");
    let ran = run("# \u{1f40d}\nraise ValueError('ü' * 100_000)").await;
    assert!(ran.exception().message.ends_with("… truncated"));
}
