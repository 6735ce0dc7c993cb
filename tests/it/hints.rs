//! Hints: the last line of an error, in each place where code runs.

use std::{
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::support::{
    raised, sandbox,
    script_broker::{Broker, Runner, command, settings},
};
use serde_json::Value;
use serpentarium::sandbox::{Exceeded, Limits, NoHost, Program};

const TOKEN: (&str, &str) = ("N8N_RUNNERS_AUTH_TOKEN", "secret");

/// Runs code with `exec` and returns the object that `--json` prints.
fn exec(code: &str, arguments: &[&str]) -> Value {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), code).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_serpentarium"))
        .args(["exec", "--json"])
        .arg(file.path())
        .args(arguments)
        .output()
        .unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Runs one task of n8n and returns its error.
fn error(variables: &[(&str, &str)], code: &str) -> Value {
    let mut broker = Broker::start();
    let _runner = Runner::start_with(broker.port, &[&[TOKEN], variables].concat());
    broker.register();
    broker.submit("t1", settings(code));
    broker.message("runner:taskerror")["error"].take()
}

#[test]
fn a_caught_error_of_the_platform_says_what_is_missing() {
    let code = r#"
import http.client, os, shutil, socket, subprocess, urllib.request, xmlrpc.client
found = []
def ask(connection):
    connection.request("GET", "/")
    return connection.getresponse()
for attempt in (
    lambda: urllib.request.urlopen("http://example.com/"),
    lambda: urllib.request.urlopen("https://example.com/"),
    lambda: ask(http.client.HTTPSConnection("example.com")),
    lambda: xmlrpc.client.ServerProxy("https://example.com/").call(),
    lambda: socket.create_connection(("example.com", 443)),
    lambda: socket.gethostbyname("example.com"),
    lambda: socket.socket(),
    lambda: subprocess.run(["ls"]),
    lambda: os.system("ls"),
    lambda: os.popen("ls"),
    lambda: os.fork(),
    lambda: os.getloadavg(),
    lambda: shutil.disk_usage("/"),
):
    try:
        found.append(attempt())
    except OSError as error:
        found.append(str(error).split("this sandbox ")[1].partition(":")[0].rstrip(">"))
return found
"#;
    let found = exec(code, &[])["result"].take();
    let network = std::iter::repeat_n("has no network", 4);
    let network = network.chain(std::iter::repeat_n("has no sockets", 3));
    let processes = std::iter::repeat_n("starts no processes", 4);
    let expected: Vec<_> =
        network.chain(processes).chain(["has no load average", "has no disk"]).collect();
    assert_eq!(found, serde_json::json!(expected));
}

#[test]
fn questions_about_the_machine_have_an_answer() {
    let code = "import os, socket, email.utils, time\n\
        return [socket.gethostname(), socket.getfqdn(), os.getuid() == os.geteuid() == os.getgid(),\n\
        os.getppid(), '@localhost>' in email.utils.make_msgid(), time.thread_time() >= 0]";
    let result = exec(code, &[])["result"].take();
    assert_eq!(result, serde_json::json!(["localhost", "localhost", true, 0, true, true]));
}

#[test]
fn a_failed_import_says_why_also_where_it_is_caught() {
    let code = "import importlib\nfound = []\n\
        for name in ('cgi', 'ctypes', 'tkinter', 'pandas', 'jsno', 'http.nothing', 'urllib2'):\n\
        \x20   try: importlib.import_module(name)\n\
        \x20   except ModuleNotFoundError as e: found.append([e.name, str(e)])\n\
        return found + [importlib.util.find_spec('pandas')]";
    let found = exec(code, &[])["result"].take();
    for (at, (name, end)) in [
        ("cgi", ": Python 3.13 removed it from the standard library"),
        ("ctypes", ": this sandbox has no native libraries"),
        ("tkinter", ": this sandbox has no display"),
        ("pandas", ": this image has no such package"),
        ("jsno", "; did you mean 'json'?"),
        ("http.nothing", ": the package 'http' has no such module"),
        ("urllib2", ": Python 3 calls it 'urllib.request'"),
    ]
    .into_iter()
    .enumerate()
    {
        let text = format!("No module named '{name}'{end}");
        assert_eq!(found[at], serde_json::json!([name, text]));
    }
    assert!(found[7].is_null());
}

#[test]
fn every_module_of_the_image_is_known_to_it() {
    let code = "import sys\nfrom _serpentarium.core.hints import modules as m\n\
        from _serpentarium.core.hints.packages import ALTERNATIVES\n\
        absent = {n for n in sys.stdlib_module_names if not m.is_here(n) and n[0] != '_'}\n\
        known = {*m.CANNOT_HAVE, *m.REMOVED}\n\
        here = [n for n in (*known, *m.PYTHON_2, *ALTERNATIVES) if m.is_here(n)]\n\
        return [sorted(absent - known), here, m.PACKAGES]";
    assert_eq!(
        exec(code, &[])["result"].take(),
        serde_json::json!([
            [],
            [],
            [
                "certifi",
                "charset_normalizer",
                "httpcore",
                "httpx",
                "idna",
                "jmespath",
                "requests",
                "urllib3"
            ]
        ])
    );
}

#[test]
fn exec_speaks_of_flags_and_the_runner_of_variables() {
    let code = "x = []\nwhile True: x.append(bytes(1_000_000))";
    let report = exec(code, &["--memory", "64MiB"]);
    let hint =
        "\nHint: The memory limit of the task is 64.0 MiB. Use less memory at once, or raise";
    let message = report["error"]["message"].as_str().unwrap();
    assert_eq!(message, format!("MemoryError{hint} it with --memory."));
    assert!(report["error"]["description"].as_str().unwrap().ends_with(message), "{report}");
    assert_eq!(report["error"]["limit"], "memory");

    let error = error(&[("SERPENTARIUM_MEMORY", "64MiB")], code);
    let message = error["message"].as_str().unwrap();
    assert_eq!(message, format!("MemoryError{hint} SERPENTARIUM_MEMORY."));
    assert!(error["description"].as_str().unwrap().ends_with(message), "{error}");
}

#[tokio::test]
async fn the_library_names_the_limit_itself() {
    let code = "x = []\nwhile True: x.append(bytes(1_000_000))";
    let program = Program::new(code).limits(Limits::default().memory(64 << 20));
    let outcome = sandbox().run(program, NoHost).await;
    let exception = raised(&outcome);
    assert_eq!(exception.message, "MemoryError\nHint: The memory limit of the task is 64.0 MiB.");
    assert_eq!(exception.limit, Some(Exceeded::Memory(64 << 20)));
    let outcome = sandbox().run(Program::new("raise MemoryError('mine')"), NoHost).await;
    assert_eq!((&*raised(&outcome).message, raised(&outcome).limit), ("mine", None));
}

#[test]
fn a_missing_key_is_a_whole_message_for_n8n() {
    let error = error(&[], "return _items[0]['json']['missing']");
    let text = "KeyError: 'missing'\nHint: _items[0]['json'] has the key 'a'.";
    assert_eq!(error["message"], text);
    assert!(error["description"].as_str().unwrap().ends_with(text), "{error}");
}

#[test]
fn a_missing_key_in_a_comprehension_shows_the_first_dict() {
    let error = error(&[], "return [item['json']['b'] for item in [*_items] if item]");
    assert_eq!(error["message"], "KeyError: 'b'");
    let error = self::error(&[], "return [item['json']['b'] for item in _items]");
    let text = "KeyError: 'b'\nHint: The first item['json'] without it has the key 'a'.";
    assert_eq!(error["message"], text);
}

#[test]
fn a_policy_names_its_settings() {
    let hint = |variables: &[(&str, &str)], code: &str| {
        let error = error(variables, code);
        let text = error["description"].as_str().unwrap().to_owned();
        text.split_once("\nHint: ").map(|(_, hint)| hint.to_owned()).unwrap_or(text)
    };
    let strict = [("SERPENTARIUM_POLICY", "n8n")];
    assert!(hint(&strict, "import re, json").contains("add re,json to it"));
    assert!(hint(&strict, "import pandas").contains("Allowing pandas would not help"));
    let classes = "denies classes (the built-in __build_class__). N8N_RUNNERS_BUILTINS_DENY";
    assert!(hint(&strict, "class A:\n    x = 1").contains(classes));
    let text = hint(&[("N8N_RUNNERS_STDLIB_ALLOW", "json")], "return ().__class__");
    assert!(text.contains("N8N_RUNNERS_EXTERNAL_ALLOW are both *"), "{text}");
}

#[test]
fn the_runner_warns_of_allowed_modules_that_are_absent() {
    let mut broker = Broker::start();
    let log = tempfile::NamedTempFile::new().unwrap();
    let lists = [
        TOKEN,
        ("N8N_RUNNERS_STDLIB_ALLOW", "json,ssl,xml.dom,cgi,ctypes"),
        ("N8N_RUNNERS_EXTERNAL_ALLOW", "numpy,jmespath,pandas.core"),
    ];
    let mut runner = command(broker.port, &lists)
        .stdout(log.reopen().unwrap())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    broker.register();
    let expected = [
        "N8N_RUNNERS_STDLIB_ALLOW allows modules that the image does not have, so no task can \
         import them: cgi, ctypes",
        "N8N_RUNNERS_EXTERNAL_ALLOW allows modules that the image does not have, so no task can \
         import them: numpy, pandas.core",
    ];
    let by = Instant::now() + Duration::from_secs(60);
    loop {
        let text = std::fs::read_to_string(log.path()).unwrap();
        if expected.iter().all(|line| text.contains(line)) {
            break;
        }
        assert!(Instant::now() < by, "{text}");
        thread::sleep(Duration::from_millis(20));
    }
    runner.kill().unwrap();
    runner.wait().unwrap();
}
