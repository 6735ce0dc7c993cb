//! Provokes every error of a task and compares it with the table in `docs/errors.md`.

use std::{collections::BTreeMap, time::Duration};

use crate::support::script_broker::{Broker, Runner, settings};
use serde_json::{Value, json};

const TOKEN: (&str, &str) = ("N8N_RUNNERS_AUTH_TOKEN", "secret");

/// A row of the table.
struct Row {
    message: String,
    has_line: bool,
    advice: String,
}

/// Returns the rows of the table, by name.
fn table() -> BTreeMap<String, Row> {
    let text = include_str!("../../docs/errors.md");
    let rows = text.lines().filter(|line| line.starts_with("| ")).skip(1);
    rows.map(|line| {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [name, message, line, _, _, advice] = cells[..] else {
            panic!("a row of six cells: {line}")
        };
        (
            name.to_owned(),
            Row { message: message.into(), has_line: line == "yes", advice: advice.into() },
        )
    })
    .collect()
}

/// Returns whether a message matches the table, in which `…` stands for any text.
fn fits(pattern: &str, message: &str) -> bool {
    let parts: Vec<_> = pattern.split('…').collect();
    let mut rest = message;
    for (at, part) in parts.iter().enumerate() {
        let found = if at + 1 == parts.len() && rest.ends_with(part) {
            Some(rest.len() - part.len())
        } else {
            rest.find(part)
        };
        match found {
            Some(place) if at > 0 || place == 0 => rest = &rest[place + part.len()..],
            _ => return false,
        }
    }
    rest.is_empty()
}

/// Runs one task under these variables and returns its error.
fn error(variables: &[(&str, &str)], task: Value) -> Value {
    let mut broker = Broker::start();
    let _runner = Runner::start_with(broker.port, &[&[TOKEN], variables].concat());
    broker.register();
    broker.submit("t1", task);
    broker.message("runner:taskerror")["error"].take()
}

/// Runs one task for each name, on one runner with small limits.
fn errors() -> Vec<(&'static str, Value)> {
    let limits = [
        TOKEN,
        ("N8N_RUNNERS_TASK_TIMEOUT", "4"),
        ("N8N_RUNNERS_MAX_PAYLOAD", "200000"),
        ("SERPENTARIUM_FUEL", "1G"),
        ("SERPENTARIUM_MEMORY", "64MiB"),
        ("SERPENTARIUM_MAX_INPUT", "100KB"),
        ("SERPENTARIUM_MAX_OUTPUT", "300KB"),
        ("SERPENTARIUM_MAX_CALLS", "50"),
        ("SERPENTARIUM_MAX_CALLS_IN_FLIGHT", "10"),
        ("SERPENTARIUM_CALL_TIMEOUT", "0.5"),
        ("SERPENTARIUM_MAX_CALL_BYTES", "50KB"),
        ("SERPENTARIUM_MAX_PRINT", "80KB"),
    ];
    let mut broker = Broker::start();
    let _runner = Runner::start_with(broker.port, &limits);
    broker.register();
    let code = |code: &str| settings(code);
    let cases = [
        ("exception", code("x = 1\nraise ValueError('boom')")),
        ("syntax", code("x = 1\nif x\n  return 2")),
        ("exit", code("import sys\nsys.exit('enough')")),
        ("memory", code("x = []\nwhile True: x.append(bytes(100_000))")),
        ("time", code("import time\ntime.sleep(60)")),
        ("fuel", code("while True: pass")),
        ("input", code(&format!("return '{}'", "x".repeat(100_000)))),
        ("output", code("return 'x' * 400_000")),
        ("payload", code("return 'x' * 250_000")),
        ("calls", code("import _host\nfor i in range(100): _host.notify('x', '[]')")),
        (
            "in flight",
            code("import _host\nfor i in range(20): _host.start('helpers.request', '[]')"),
        ),
        ("call time", code("import _host\n_host.call('helpers.request', '[]')")),
        ("call size", code("print('x' * 60_000)")),
        (
            "call refused",
            code("import _host\n_host.call('helpers.request', '[\"' + 'x' * 60_000 + '\"]')"),
        ),
        ("prints", code("for i in range(10): print('x' * 20_000)")),
        ("circular", code("a = []\na.append(a)\nreturn a")),
        ("form", code("return [{'json': {'total': print}}]")),
        ("deep", code("a = []\nfor i in range(100_000): a = [a]\nreturn a")),
        ("call deep", code("import _host\n_host.call('helpers.request', '[' * 1001 + ']' * 1001)")),
        ("call failed", code("import _host\n_host.call('helpers.nothing', '[]')")),
        ("settings field", json!({ "nodeMode": "runOnceForAllItems", "items": [] })),
        ("settings mode", json!({ "code": "", "nodeMode": "sometimes", "items": [] })),
        ("settings", json!({ "code": 7, "nodeMode": "runOnceForAllItems", "items": [] })),
        ("broken", code("import posix\nposix._exit(3)")),
    ];
    cases
        .into_iter()
        .map(|(name, task)| {
            broker.submit(name, task);
            (name, broker.message("runner:taskerror")["error"].take())
        })
        .collect()
}

/// Aborts the interpreter as CPython does when it cannot allocate an exception.
fn memory_limit() -> Value {
    let code = "import posix\ntry:\n  x = bytes(1 << 30)\nexcept MemoryError:\n  posix.abort()";
    error(&[("SERPENTARIUM_MEMORY", "64MiB")], settings(code))
}

/// Static data with a circular reference. The task must request static data first.
fn static_data() -> Value {
    let mut broker = Broker::start();
    let _runner = Runner::start(&mut broker);
    broker.submit(
        "t1",
        settings("data = _get_workflow_static_data('global')\ndata['itself'] = data"),
    );
    let asked = broker.message("runner:taskdatarequest");
    broker.send(json!({
        "type": "broker:taskdataresponse", "taskId": "t1", "requestId": asked["requestId"], "data": {}
    }));
    broker.message("runner:taskerror")["error"].take()
}

fn cancelled() -> Value {
    let mut broker = Broker::start();
    let _runner = Runner::start(&mut broker);
    broker.submit("t1", settings("while True: pass"));
    broker.send(json!({ "type": "broker:taskcancel", "taskId": "t1", "reason": "test" }));
    broker.message("runner:taskerror")["error"].take()
}

fn worker_lost() -> Value {
    let mut broker = Broker::start();
    let runner = Runner::start(&mut broker);
    broker.submit("t1", settings("while True: pass"));
    std::thread::sleep(Duration::from_millis(300));
    runner.kill_workers();
    broker.message("runner:taskerror")["error"].take()
}

#[test]
fn every_error_is_as_the_table_says_and_the_table_has_no_other() {
    let mut seen = errors();
    let policy = [("N8N_RUNNERS_STDLIB_ALLOW", "json")];
    seen.extend([
        ("memory limit", memory_limit()),
        ("static data", static_data()),
        ("cancelled", cancelled()),
        ("worker lost", worker_lost()),
        ("policy", error(&policy, settings("x = 1\nimport os"))),
        ("policy at run time", error(&policy, settings("load = __import__\nload('o' 's')"))),
    ]);
    let mut table = table();
    for (name, error) in seen {
        let row = table.remove(name).unwrap_or_else(|| panic!("the table has no '{name}'"));
        let message = error["message"].as_str().unwrap();
        assert!(fits(&row.message, message), "{name}: '{message}' is not '{}'", row.message);
        assert_eq!(error["lineNumber"].is_number(), row.has_line, "{name}: {error}");
        // Advice in the table names a setting if the error does.
        let description = error["description"].as_str().unwrap_or_default();
        let named = ["N8N_RUNNERS_", "SERPENTARIUM_"].iter().find_map(|prefix| {
            let from = description.find(prefix)?;
            let rest = &description[from..];
            Some(
                &rest[..rest
                    .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                    .unwrap_or(rest.len())],
            )
        });
        assert!(
            named.is_none_or(|variable| row.advice.contains(variable)),
            "{name}: {description}"
        );
    }
    assert!(table.is_empty(), "not seen: {:?}", table.keys());
}

#[test]
fn exceptions_show_the_line_and_syntax_errors_a_caret() {
    let exception = error(&[], settings("def f(x):\n    return x['a']\n\nreturn f({})"));
    assert_eq!(
        (&exception["message"], &exception["lineNumber"]),
        (&json!("KeyError: 'a'\nHint: x is empty."), &json!(2))
    );
    let description = exception["description"].as_str().unwrap();
    for part in
        ["line 4, in <module>", "return f({})", "line 2, in f", "return x['a']", "KeyError: 'a'"]
    {
        assert!(description.contains(part), "{part} is not in {description}");
    }
    let syntax = error(&[], settings("x = 1\ny = (1,\nreturn x"));
    assert_eq!(syntax["lineNumber"], 2);
    let description = syntax["description"].as_str().unwrap();
    for part in ["line 2", "y = (1,", "^", "SyntaxError: '(' was never closed"] {
        assert!(description.contains(part), "{part} is not in {description}");
    }
}

#[test]
fn an_error_for_one_item_names_the_item() {
    let mut task = settings("return 1 / (_item['json']['a'] - 2)");
    task["nodeMode"] = "runOnceForEachItem".into();
    task["items"] = json!([{ "json": { "a": 1 } }, { "json": { "a": 2 } }]);
    let error = error(&[], task);
    assert_eq!(
        (&error["message"], &error["context"]),
        (&json!("division by zero"), &json!({ "itemIndex": 1 }))
    );
}
