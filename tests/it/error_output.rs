//! Standard error of a task under the runner: in the node's console, marked, and in the log.

use std::{
    io::Read,
    process::{Child, Stdio},
};

use crate::support::script_broker::{Broker, command, settings, signal};
use serde_json::{Value, json};

const TOKEN: (&str, &str) = ("N8N_RUNNERS_AUTH_TOKEN", "secret");

/// A runner whose log is a pipe. Dropping it kills it.
struct LoggedRunner(Child);

impl LoggedRunner {
    /// Starts a registered one with these variables.
    fn start(broker: &mut Broker, variables: &[(&str, &str)]) -> Self {
        let mut runner = command(broker.port, &[&[TOKEN], variables].concat());
        let runner = Self(runner.stdout(Stdio::piped()).stdin(Stdio::null()).spawn().unwrap());
        broker.register();
        runner
    }

    /// Ends it. Returns its log.
    fn log(mut self) -> String {
        signal(&self.0, "TERM");
        let mut text = String::new();
        self.0.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        text
    }
}

impl Drop for LoggedRunner {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs a task. Returns what the console shows, and the message that ends the task.
fn run(broker: &mut Broker, code: &str) -> (Vec<Value>, Value) {
    broker.submit("t1", settings(code));
    let mut shown = Vec::new();
    loop {
        let message = broker.answer();
        if message["type"] != "runner:rpc" {
            return (shown, message);
        }
        assert_eq!(message["name"], "logNodeOutput");
        shown.push(message["params"].clone());
    }
}

/// Runs a task in a runner of its own. Returns what the console shows.
fn console(code: &str, variables: &[(&str, &str)]) -> Vec<Value> {
    let mut broker = Broker::start();
    let _runner = LoggedRunner::start(&mut broker, variables);
    run(&mut broker, code).0
}

/// Every way of Python to standard error.
const ALL_WAYS: &str = r#"
import logging, os, sys, traceback, warnings
print("begin")
logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
logging.info("step %d", 1)
logging.getLogger("shop").warning("careful")
print("to stderr", 2, file=sys.stderr)
print("middle")
warnings.warn("is old")
try:
    int("x")
except ValueError:
    traceback.print_exc()
class Bad:
    def __del__(self): raise RuntimeError("in del")
b = Bad()
del b
os.write(2, b"raw\n")
sys.stderr.write("no end")
print("end")
sys.stderr.buffer.write(b"last")
return []
"#;

#[test]
fn every_way_to_stderr_reaches_the_console_in_order() {
    let shown = console(ALL_WAYS, &[]);
    let lines: Vec<_> = shown.iter().map(|params| params[0].as_str().unwrap()).collect();
    let expected = [
        "'begin'",
        "[stderr] INFO step 1",
        "[stderr] WARNING careful",
        "[stderr] to stderr 2",
        "'middle'",
        "[stderr] <code>:9: UserWarning: is old",
        "[stderr]   warnings.warn(\"is old\")",
        "[stderr] Traceback (most recent call last):",
        "[stderr] ValueError: invalid literal for int() with base 10: 'x'",
        "[stderr] RuntimeError: in del",
        "[stderr] raw",
        "[stderr] no end",
        "'end'",
        "[stderr] last",
    ];
    let mut rest = lines.iter();
    for line in expected {
        assert!(rest.any(|shown| *shown == line), "{line:?} in order in {lines:#?}");
    }
    assert_eq!(lines[0], "'begin'");
    assert_eq!(*lines.last().unwrap(), "[stderr] last");
}

#[test]
fn stderr_of_a_task_that_fails_reaches_the_console() {
    let mut broker = Broker::start();
    let _runner = LoggedRunner::start(&mut broker, &[("N8N_RUNNERS_TASK_TIMEOUT", "1")]);
    let write = "import logging\nlogging.error('before')\n";
    for end in ["raise ValueError('no')", "while True: pass"] {
        let (shown, message) = run(&mut broker, &format!("{write}{end}"));
        assert_eq!(shown, [json!(["[stderr] ERROR:root:before"])], "{end}");
        assert_eq!(message["type"], "runner:taskerror");
    }
}

#[test]
fn a_task_that_only_prints_has_no_marked_line() {
    assert_eq!(console("print('a')\nreturn []", &[]), [json!(["'a'"])]);
    assert_eq!(console("return []", &[]), [json!(null); 0]);
}

#[test]
fn lines_of_stderr_obeyed() {
    let code = "import sys\nfor i in range(100): print(i, file=sys.stderr)";
    let shown = console(code, &[]);
    assert_eq!((shown.len(), &shown[99]), (100, &json!(["[stderr] 99"])));
}

#[test]
fn lines_of_stderr_violated() {
    let code = "import sys\nfor i in range(150): print(i, file=sys.stderr)\nprint('seen')";
    let shown = console(code, &[]);
    let end = [json!(["'seen'"]), json!(["[stderr] [Output truncated - 50 more lines]"])];
    assert_eq!((shown.len(), &shown[100..]), (102, &end[..]));
}

#[test]
fn bytes_of_stderr_violated() {
    let code = "import sys\nfor i in range(9): sys.stderr.write('x' * 299 + '\\n')";
    let shown = console(code, &[("SERPENTARIUM_MAX_STDERR", "1KiB")]);
    let last = "[stderr] [Output truncated - the limit is 1.0 KiB: SERPENTARIUM_MAX_STDERR]";
    assert_eq!((shown.len(), &shown[4]), (5, &json!([last])));
    assert_eq!(shown[3][0].as_str().unwrap().len(), "[stderr] ".len() + 124);
}

/// Returns the message of a line of the log.
fn message(line: &str, is_json: bool) -> String {
    if !is_json {
        return line.to_owned();
    }
    let line: Value = serde_json::from_str(line).expect("JSON");
    line["message"].as_str().unwrap().to_owned()
}

/// Text that would forge lines and move the cursor.
const HOSTILE: &str = "\\x1b[2J\\x1b]0;t\\x07\\rFAKE\\u2028\\u202e\\nFAKE Completed task t1";

/// Writes it as a message, and as the name of a logger, a warning, a function and an exception.
const FORGING: &str = "
import logging, sys, traceback, warnings
logging.basicConfig()
print('HOSTILE', file=sys.stderr)
logging.getLogger('HOSTILE').error('%s', 'HOSTILE')
warnings.warn('HOSTILE', type('HOSTILE', (UserWarning,), {}))
def fail(): raise type('HOSTILE', (Exception,), {})('HOSTILE')
fail.__code__ = fail.__code__.replace(co_name='HOSTILE', co_qualname='HOSTILE')
try: fail()
except Exception: traceback.print_exc()
fail()
";

#[test]
fn text_of_stderr_forges_no_line_of_console_or_log() {
    for format in ["text", "json"] {
        let mut broker = Broker::start();
        let variables = [("SERPENTARIUM_LOG", format), ("N8N_RUNNERS_LAUNCHER_LOG_LEVEL", "debug")];
        let runner = LoggedRunner::start(&mut broker, &variables);
        let (shown, _) = run(&mut broker, &FORGING.replace("HOSTILE", HOSTILE));
        let marked: Vec<_> =
            shown.iter().filter_map(|line| line[0].as_str()?.strip_prefix("[stderr] ")).collect();
        assert!(marked.len() > 12, "{shown:?}");
        for line in &marked {
            assert!(!line.contains(|c: char| c.is_control() || "\u{2028}\u{202e}".contains(c)));
        }
        let log = runner.log();
        assert!(!log.contains(['\x1b', '\x07', '\r', '\u{2028}', '\u{202e}']), "{log}");
        assert!(!log.lines().any(|line| line.starts_with("FAKE")), "{log}");
        let is_json = format == "json";
        let told: Vec<_> = log.lines().map(|line| message(line, is_json)).collect();
        for line in marked.iter().filter(|line| line.len() < 500) {
            let expected = format!("standard error of a task: {line}");
            assert!(told.iter().any(|told| told.starts_with(&expected)), "{expected} in {log}");
        }
    }
}

#[test]
fn the_log_has_stderr_at_debug_level_only() {
    for (level, count) in [("debug", 2), ("info", 0)] {
        let mut broker = Broker::start();
        let variables = [("SERPENTARIUM_LOG", "json"), ("N8N_RUNNERS_LAUNCHER_LOG_LEVEL", level)];
        let runner = LoggedRunner::start(&mut broker, &variables);
        run(&mut broker, "import sys\nsys.stderr.write('one\\ntwo\\n')");
        let log = runner.log();
        let lines: Vec<Value> =
            log.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let is_told = |line: &&Value| {
            line["level"] == "DEBUG"
                && line["task_id"] == "t1"
                && line["message"].as_str().unwrap().starts_with("standard error of a task: ")
        };
        assert_eq!(lines.iter().filter(is_told).count(), count, "{log}");
    }
}
