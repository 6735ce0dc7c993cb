//! Text of others at a terminal and in logs: control and format characters are escaped, long texts
//! are cut.

use std::{
    io::{Read, Write},
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};

use crate::support::script_broker::{Broker, command, python, settings};

/// Clears the screen, sets the clipboard and the title, colours by C1, reorders, begins lines.
const HOSTILE: &str = "a\x1b[2J\x1b]52;c;ZXZpbA==\x07\x1b]0;t\x07\u{9b}31m\u{7f}\u{85}\u{202e}\
    \u{2066}\u{200b}\u{feff}\u{2028}\u{2029}\r\nFAKE LINE\tz";

const TOKEN: (&str, &str) = ("N8N_RUNNERS_AUTH_TOKEN", "secret");

/// Returns the characters that must not reach a terminal. The list is independent of the project's.
fn hidden(text: &str) -> Vec<char> {
    let is_format = |c: char| {
        matches!(c,
            '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{180e}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0001}' | '\u{e0020}'..='\u{e007f}')
    };
    let is_hidden = |c: &char| (c.is_control() && !matches!(c, '\n' | '\t')) || is_format(*c);
    text.chars().filter(is_hidden).collect()
}

fn assert_clean(text: &str) {
    assert_eq!(hidden(text), Vec::<char>::new(), "{text:?}");
}

/// Returns a text as a literal of Python.
fn literal(text: &str) -> String {
    let escape = |c: char| format!("\\U{:08x}", u32::from(c));
    format!("'{}'", text.chars().map(escape).collect::<String>())
}

/// Returns what `exec FILE` shows at a terminal: both streams.
fn at_terminal(file: &Path, arguments: &str) -> String {
    let binary = env!("CARGO_BIN_EXE_serpentarium");
    let line = format!("exec {binary} exec {} {arguments}", file.display());
    let mut command = Command::new("/usr/bin/script");
    command.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
    let out = command.env("NO_COLOR", "1").stdin(Stdio::null()).output().unwrap();
    // A terminal's driver writes newlines as CR and LF.
    String::from_utf8(out.stdout).unwrap().replace("\r\n", "\n")
}

fn exec(code: &str, arguments: &[&str]) -> (String, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_serpentarium"))
        .args([&["exec", "-"], arguments].concat())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(code.as_bytes()).unwrap();
    let out = child.wait_with_output().unwrap();
    (String::from_utf8(out.stdout).unwrap(), String::from_utf8(out.stderr).unwrap())
}

#[test]
fn at_a_terminal_all_that_code_says_is_escaped() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let hostile = literal(HOSTILE);
    let prints = format!("import sys\nprint({hostile})\nsys.stderr.write({hostile})\n");
    for (end, shown) in [
        (format!("return {{{hostile}: [{hostile}]}}"), r"\u001b[2J"),
        (format!("raise ValueError({hostile})"), r"ValueError: a\u{1b}[2J"),
        (format!("class E(Exception): pass\nE.__name__ = {hostile}\nraise E"), r"a\u{1b}[2J"),
        (format!("_execution.custom_data.set('k', {hostile})"), r"custom data k: a\u{1b}[2J"),
        (format!("raise SystemExit({hostile})"), r"\u{1b}[2J"),
    ] {
        std::fs::write(file.path(), format!("{prints}{end}")).unwrap();
        let screen = at_terminal(file.path(), "");
        assert_clean(&screen);
        // The line of the code is a line; a tab is a tab.
        assert!(screen.contains("a\\u{1b}[2J\\u{1b}]52;c;ZXZpbA==\\u{7}"), "{screen}");
        assert!(screen.contains("\\u{2029}\\r\nFAKE LINE") && screen.contains(shown), "{screen}");
    }
}

#[test]
fn at_a_terminal_json_keeps_its_value() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let text = literal(HOSTILE);
    std::fs::write(file.path(), format!("print({text})\nreturn {{{text}: {text}}}")).unwrap();
    let screen = at_terminal(file.path(), "--json");
    assert_clean(&screen);
    let report: Value = serde_json::from_str(&screen).unwrap();
    assert_eq!(report["result"][HOSTILE], HOSTILE);
    assert_eq!(report["prints"], format!("{HOSTILE}\n"));
}

#[test]
fn standard_output_passes_unchanged_to_a_program() {
    let (out, err) = exec(&format!("print({0})\nreturn {0}", literal(HOSTILE)), &[]);
    assert!(out.starts_with(&format!("{HOSTILE}\n")), "{out:?}");
    let result: Value = serde_json::from_str(out.strip_prefix(HOSTILE).unwrap()).unwrap();
    assert_eq!(result, HOSTILE);
    assert_clean(&err);
}

#[test]
fn standard_error_is_always_escaped() {
    let (_, err) = exec(&format!("raise ValueError({})", literal(HOSTILE)), &[]);
    assert_clean(&err);
    assert!(err.contains(r"\u{1b}]52;c;"), "{err}");
    let missing = format!("/nowhere/{}", HOSTILE.replace('\n', ""));
    for command in ["exec", "bench", "profile", "broker"] {
        let out =
            Command::new(env!("CARGO_BIN_EXE_serpentarium")).args([command, &missing]).output();
        let err = String::from_utf8(out.unwrap().stderr).unwrap();
        assert_clean(&err);
        assert!(err.contains(r"\u{1b}[2J"), "{command}: {err}");
    }
}

#[test]
fn the_hidden_characters_are_those_of_pythons_unicodedata() {
    let code = "
import unicodedata
table = {}
for c in map(chr, range(0x110000)):
    table.setdefault(unicodedata.category(c), []).append(c)
hidden = ''.join(sum((table.pop(k) for k in ('Cc', 'Cf', 'Zl', 'Zp')), []))
del table['Cs'], table['Cn']
shown = ''.join(c for part in table.values() for c in part[:20])
raise ValueError(f'[{hidden}][{shown}]')
";
    let (_, err) = exec(code, &[]);
    assert_clean(&err);
    let hidden = err.rsplit("ValueError: [").next().unwrap().split("][").next().unwrap();
    // Without newline and tab, which lines keep. CPython 3.13 has Unicode 15.1.
    assert_eq!(hidden.matches('\\').count(), 65 + 170 + 2 - 2, "{hidden}");
    assert!(err.rsplit("][").next().unwrap().contains("\u{e000}"), "{err}");
    assert!(!err.rsplit("][").next().unwrap().contains("\\u"), "{err}");
}

#[test]
fn the_broker_shows_texts_of_runners_and_tasks_escaped() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let mut broker = Command::new(env!("CARGO_BIN_EXE_serpentarium"))
        .args(["broker", "-", "--auth-token", "t", "--listen", &free])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let task = settings("return 1").to_string();
    broker.stdin.take().unwrap().write_all(task.as_bytes()).unwrap();
    while std::net::TcpStream::connect(&free).is_err() {
        assert!(broker.try_wait().unwrap().is_none(), "the broker ended");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let servers = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers");
    let mut runner = Command::new(python())
        .arg(servers.join("hostile_runner.py"))
        .env("N8N_RUNNERS_TASK_BROKER_URI", format!("http://{free}"))
        .env("N8N_RUNNERS_AUTH_TOKEN", "t")
        .env("HOSTILE", HOSTILE)
        .spawn()
        .unwrap();
    let out = broker.wait_with_output().unwrap();
    runner.kill().unwrap();
    runner.wait().unwrap();
    let err = String::from_utf8(out.stderr).unwrap();
    assert_clean(&err);
    for part in
        ["unknown message type 'a\\u{1b}", "runner_id=\"a\\u{1b}", "Task 1 failed: a\\u{1b}"]
    {
        assert!(err.contains(part), "{part}: {err}");
    }
}

/// Ends a runner. Returns its log.
fn ended(runner: &mut Child) -> String {
    assert!(Command::new("kill").arg(runner.id().to_string()).status().unwrap().success());
    let mut text = String::new();
    runner.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    runner.wait().unwrap();
    text
}

/// Returns the log of a runner to which a broker sends hostile texts.
fn log(variables: &[(&str, &str)]) -> String {
    let mut broker = Broker::start();
    let mut runner = command(broker.port, &[&[TOKEN], variables].concat());
    let mut child = runner.stdout(Stdio::piped()).stdin(Stdio::null()).spawn().unwrap();
    broker.register();
    let named = |code: &str, name: &str| {
        let mut task = settings(code);
        for key in ["nodeName", "nodeId", "workflowName", "workflowId"] {
            task[key] = json!(name);
        }
        task
    };
    broker.submit(HOSTILE, named("return 1", HOSTILE));
    assert_eq!(broker.answer()["type"], "runner:taskdone");
    let fails = format!("print({0})\nraise ValueError({0})", literal(HOSTILE));
    broker.submit("t2", named(&fails, HOSTILE));
    broker.message("runner:taskerror");
    let bad = HOSTILE;
    for message in [
        json!({"type": bad}),
        json!({"type": "broker:tasksettings", "taskId": bad, "settings": {"code": 1, bad: bad}}),
        json!({"type": "broker:rpcresponse", "taskId": bad, "callId": bad, "status": bad, "data": 1}),
        json!({"type": "broker:rpcresponse", "taskId": bad, "callId": bad, "status": "success", "data": 1}),
        json!({"type": "broker:taskdataresponse", "taskId": bad, "requestId": bad, "data": 1}),
        json!({"type": "broker:nodetypes", "taskId": bad, "nodeTypes": [bad]}),
        json!({"type": "broker:taskcancel", "taskId": bad, "reason": bad}),
        json!({"type": "broker:taskofferaccept", "taskId": bad, "offerId": bad}),
    ] {
        broker.send(message);
    }
    broker.place(bad);
    broker.send(json!({"type": "broker:taskcancel", "taskId": bad, "reason": bad}));
    broker.submit("last", settings("return 2"));
    broker.message("runner:taskdone");
    ended(&mut child)
}

#[test]
fn a_log_of_any_format_has_no_hidden_characters() {
    for format in ["text", "json"] {
        let log = log(&[("SERPENTARIUM_LOG", format), ("N8N_RUNNERS_LAUNCHER_LOG_LEVEL", "debug")]);
        assert_clean(&log);
        assert!(!log.lines().any(|line| line.starts_with("FAKE")), "{log}");
        for part in ["Completed task a", "unknown task: a", "unknown message type 'a"] {
            assert!(log.contains(part), "{part}: {log}");
        }
        if format == "json" {
            let lines: Vec<Value> =
                log.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
            let done = lines.iter().find(|line| line["task.node"] != Value::Null).unwrap();
            assert!(done["task.node"].as_str().unwrap().contains(r"\u{1b}[2J"), "{done}");
        }
    }
}

#[test]
fn a_long_name_is_cut_in_a_log_of_any_format() {
    for format in ["text", "json"] {
        let mut broker = Broker::start();
        let mut runner = command(broker.port, &[TOKEN, ("SERPENTARIUM_LOG", format)]);
        let mut child = runner.stdout(Stdio::piped()).stdin(Stdio::null()).spawn().unwrap();
        broker.register();
        let mut task = settings("return 1");
        task["nodeName"] = json!("n\x1b\u{202e}".repeat(1_500_000));
        broker.submit("t", task);
        broker.message("runner:taskdone");
        let long = "\x1b".repeat(100_000);
        broker.send(json!({"type": "broker:taskcancel", "taskId": long, "reason": long}));
        broker.submit("last", settings("return 2"));
        broker.message("runner:taskdone");
        let log = ended(&mut child);
        assert_clean(&log);
        let longest = log.lines().map(str::len).max().unwrap();
        assert!(longest < 12_000, "a line of {longest} bytes");
        for part in ["… (7500000 bytes)", "… (100000 bytes)"] {
            assert!(log.contains(part), "{log}");
        }
    }
}
