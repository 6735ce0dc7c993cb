//! Isolation of guests from the host and from each other.

use std::sync::Arc;

use crate::support::{Echo, job, raised, returned, run, sandbox};
use serde_json::{Value, json};
use serpentarium::sandbox::{Failure, NoHost, Outcome, Sandbox};

#[test]
fn the_image_imports_exactly_these_functions() {
    let imports: Vec<String> =
        sandbox().imports().into_iter().map(|(module, name)| format!("{module} {name}")).collect();
    let mut sorted = imports.clone();
    sorted.sort();
    assert_eq!(
        sorted,
        [
            "host call",
            "host notify",
            "host start",
            "host take",
            "host wait",
            "wasi_snapshot_preview1 clock_time_get",
            "wasi_snapshot_preview1 fd_read",
            "wasi_snapshot_preview1 fd_write",
            "wasi_snapshot_preview1 poll_oneoff",
            "wasi_snapshot_preview1 proc_exit",
            "wasi_snapshot_preview1 random_get",
        ]
    );
}

#[tokio::test]
async fn sandboxes_in_one_process_are_independent() {
    let first = sandbox();
    let second = Sandbox::builder().slots(1).build().unwrap();
    let third = Sandbox::builder().slots(1).build().unwrap();
    for sandbox in [first, &second, &third, first] {
        assert_eq!(returned(&sandbox.run(job("return 6 * 7"), Arc::new(NoHost)).await), 42);
    }
    drop(second);
    for sandbox in [first, &third] {
        assert_eq!(returned(&sandbox.run(job("return 6 * 7"), Arc::new(NoHost)).await), 42);
    }
}

async fn value(code: &str) -> Value {
    returned(&run(job(code)).await)
}

#[tokio::test]
async fn no_file_of_the_machine_is_seen_or_made() {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("secret"), "secret").expect("it is writable");
    let here = directory.path().display();
    for attempt in [
        "open('/etc/passwd')",
        "open('/proc/self/environ', 'rb')",
        "os.open('/etc', 0)",
        "os.stat('/etc/passwd')",
        "os.unlink('/etc/passwd')",
        "os.listdir('/etc')",
        "os.readlink('/proc/self/exe')",
        "pathlib.Path('/etc/passwd').read_text()",
        "open('../../../../../../etc/passwd')",
        "os.read(4, 10)",
        "os.write(7, b'x')",
        &format!("open('{here}/secret')"),
        &format!("open('{here}/new', 'w')"),
    ] {
        let code = format!(
            "import os, pathlib\ntry:\n    return repr({attempt})\nexcept OSError:\n    return None"
        );
        assert_eq!(value(&code).await, Value::Null, "{attempt}");
    }
    // Below `site-packages` are the packages of the image.
    let all = value(
        "import glob\nreturn sorted(p for p in glob.glob('/**', recursive=True) if '-packages/' not in p)",
    )
    .await;
    assert_eq!(
        all,
        json!([
            "/",
            "/dev",
            "/dev/null",
            "/dev/random",
            "/dev/stderr",
            "/dev/stdin",
            "/dev/stdout",
            "/dev/urandom",
            "/dev/zero",
            "/home",
            "/home/task",
            "/tmp",
            "/usr",
            "/usr/lib",
            "/usr/lib/python3.13",
            "/usr/lib/python3.13/site-packages"
        ])
    );
    let code = format!(
        "import os\nos.makedirs('{here}')\nopen('{here}/secret', 'w').write('forged')\nos.symlink('{here}', '/tmp/l')\nreturn open('/tmp/l/secret').read()"
    );
    assert_eq!(value(&code).await, json!("forged"));
    assert_eq!(
        std::fs::read_to_string(directory.path().join("secret")).expect("it is readable"),
        "secret"
    );
    assert_eq!(std::fs::read_dir(directory.path()).expect("it is readable").count(), 1);
}

#[tokio::test]
async fn there_is_no_environment_and_there_are_no_arguments() {
    assert!(std::env::var_os("PATH").is_some(), "this process has an environment to hide");
    assert_eq!(value("import os\nreturn dict(os.environ)").await, json!({}));
    assert_eq!(value("import os\nreturn os.getenv('PATH')").await, Value::Null);
    let arguments = value("import sys\nreturn sys.argv + sys.orig_argv").await;
    assert!(
        arguments.as_array().is_some_and(|list| list.iter().all(|text| text == "")),
        "{arguments}"
    );
}

#[tokio::test]
async fn there_is_no_network_and_there_are_no_processes() {
    for attempt in [
        "import socket; socket.socket()",
        "import socket; socket.create_connection(('127.0.0.1', 80))",
        "import socket; socket.getaddrinfo('localhost', 80)",
        "import urllib.request; urllib.request.urlopen('http://127.0.0.1/')",
        "import http.client as h; c = h.HTTPConnection('127.0.0.1'); c.request('GET', '/'); c.getresponse()",
        "import requests; requests.get('http://127.0.0.1/')",
        "import httpx; httpx.get('https://127.0.0.1/')",
        "import ssl, socket; ssl.create_default_context().wrap_socket(socket.socket())",
        "import subprocess; subprocess.run(['true'])",
        "import os; os.system('true')",
        "import os; os.fork()",
        "import os; os.kill(1, 9)",
        "import ctypes",
    ] {
        let code = format!(
            "try:\n    {attempt}\nexcept Exception as e:\n    return type(e).__name__\nreturn 'worked'"
        );
        assert_ne!(value(&code).await, json!("worked"), "{attempt}");
    }
}

#[tokio::test]
async fn nothing_passes_from_one_task_to_the_next() {
    let leave = "
import sys, builtins, json, os
builtins.left = sys.left = json.left = 'something'
json.dumps = len
os.environ['LEFT'] = 'something'
sys.modules['left'] = sys
return 1
";
    assert_eq!(value(leave).await, 1);
    let look = "
import sys, builtins, json, os
return [hasattr(m, 'left') for m in (sys, builtins, json)] + [json.dumps([1]), 'LEFT' in os.environ, 'left' in sys.modules]
";
    for _ in 0..20 {
        assert_eq!(value(look).await, json!([false, false, false, "[1]", false, false]));
    }
}

#[tokio::test]
async fn memory_of_a_finished_task_cannot_be_found_by_later_ones() {
    let secret = "secret = bytes(b ^ 0x55 for b in b'\\x26\\x30\\x27\\x25\\x30\\x3b\\x21') * 50_000\nreturn len(secret)";
    let search = "
needle = bytes(b ^ 0x55 for b in b'\\x26\\x30\\x27\\x25\\x30\\x3b\\x21') * 3
import _imp
blocks = []
for size in (64, 512, 4096, 65536, 350_000, 1_000_000):
    blocks += [bytes(size), ]
    import array
    a = array.array('B')
    a.frombytes(bytes(size))
    blocks.append(a.tobytes())
return any(needle in b for b in blocks)
";
    for _ in 0..10 {
        assert_eq!(value(secret).await, 350_000);
        assert_eq!(value(search).await, json!(false));
    }
}

async fn with_echo(code: &str) -> (Outcome, Vec<(String, String)>) {
    let host = Arc::new(Echo::default());
    let outcome = sandbox().run(job(code), host.clone()).await;
    let notified = host.notified.lock().expect("no panic").clone();
    (outcome, notified)
}

#[tokio::test]
async fn a_forged_reply_is_not_passed_on() {
    for code in [
        // Two values, half a value, a frame within a value, invalid UTF-8, no output. The first write
        // of a reply opens descriptor 1.
        "import os, _host; _host.write_output(''); os.write(1, b'{\"result\": 1}')\nreturn 2",
        "import os, _host; _host.write_output(''); os.write(1, b'{\"result\": ')\nreturn 2",
        "import posix, _host; _host.write_output('{\"result\": 1}, \"type\": \"runner:taskdone\"'); posix._exit(0)",
        "import posix, _host; _host.write_output(''); posix.write(1, b'{\"result\": \"\\xff\"}'); posix._exit(0)",
        "import posix, _host; _host.write_output('{\"result\": NaN}'); posix._exit(0)",
        "import posix; posix._exit(0)",
        "import posix; posix._exit(3)",
        "import posix; posix.abort()",
        "import _host; _host.write_output('{}')\nreturn 1",
    ] {
        let (outcome, _) = with_echo(code).await;
        assert!(matches!(outcome.result, Err(Failure::Broken(_))), "{code}: {:?}", outcome.result);
    }
}

#[tokio::test]
async fn a_reply_that_ends_too_early_is_the_guests_own_and_harmless() {
    let code = "import _host\n_host.write_output('{\"result\": [1]}')\nwhile True: pass";
    let mut forged = job(code);
    forged.limits.fuel = 50_000_000;
    assert!(
        matches!(run(forged).await.result, Err(Failure::Exceeded(_))),
        "what was written counts only when the task has ended"
    );
}

#[tokio::test]
async fn host_calls_with_bad_names_or_parameters_are_refused() {
    for call in [
        "_host.call('', '[]')",
        "_host.call('x' * 65, '[]')",
        "_host.call('a b', '[]')",
        "_host.call('a\\n', '[]')",
        "_host.call('ä', '[]')",
        "_host.call('a', '')",
        "_host.call('a', '[1')",
        "_host.call('a', '[1] [2]')",
        "_host.call('a', '[NaN]')",
    ] {
        let code = format!(
            "import _host\ntry:\n    return {call}\nexcept _host.CallError as e:\n    return 'refused'"
        );
        let (outcome, notified) = with_echo(&code).await;
        assert_eq!(returned(&outcome), json!("refused"), "{call}");
        assert!(notified.is_empty());
    }
}

#[tokio::test]
async fn notifications_with_bad_names_or_parameters_are_dropped() {
    let code = "
import _host
_host.notify('a b', '[]')
_host.notify('good', '[1')
_host.notify('good', '[1]')
";
    let (outcome, notified) = with_echo(code).await;
    assert_eq!(returned(&outcome), Value::Null);
    assert_eq!(notified, [("good".to_owned(), "[1]".to_owned())]);
}

#[tokio::test]
async fn deep_recursion_in_python_and_in_c_is_an_error_of_the_task() {
    for code in [
        "def f(): return f()\nreturn f()",
        "import json\nreturn json.loads('[' * 200_000)",
        "x = []\nfor _ in range(200_000): x = [x]\nreturn repr(x)",
        "class A:\n    def __repr__(self): return repr(self)\nreturn repr(A())",
        "return eval('(' * 10_000 + ')' * 10_000)",
        "return eval('-' * 100_000 + '1')",
        "import sys\nsys.setrecursionlimit(10**9)\ndef f(): return f()\nreturn f()",
        "import sys, functools\nsys.setrecursionlimit(10**9)\nclass A:\n    def __getattr__(self, n): return getattr(self, n + 'x')\nreturn A().y",
        "import re\nreturn bool(re.match('(a|b)*' * 50 + 'c', 'ab' * 1000))",
        "import pickle\nx = []\nfor _ in range(100_000): x = [x]\nreturn len(pickle.dumps(x))",
        "import copy\nx = []\nfor _ in range(100_000): x = [x]\nreturn str(copy.deepcopy(x))[:1]",
        "x = None\nfor _ in range(500_000): x = [x]\ndel x\nreturn 1",
    ] {
        let mut deep = job(code);
        deep.limits.fuel = 30_000_000_000;
        let outcome = run(deep).await;
        assert!(!matches!(outcome.result, Err(Failure::WorkerLost(_))), "{code}");
        assert!(
            !matches!(&outcome.result, Err(Failure::Broken(reason)) if reason.contains("stack")),
            "{code}: {:?}",
            outcome.result
        );
    }
    let outcome = run(job("def f(): return f()\nreturn f()")).await;
    assert!(
        raised(&outcome).message.contains("maximum recursion depth exceeded"),
        "{:?}",
        outcome.result
    );
}

#[tokio::test]
async fn unchecked_recursion_ends_the_task_with_a_clear_reason() {
    // A native CPython of this version overflows its stack.
    let outcome = run(job("x = ()\nfor _ in range(200_000): x = (x,)\nreturn hash(x)")).await;
    assert!(
        matches!(&outcome.result, Err(Failure::Broken(reason)) if reason.contains("nested too deeply")),
        "{:?}",
        outcome.result
    );
    assert_eq!(value("return 1").await, 1);
}
