//! Settings of the runner: their sources, and the errors for invalid values.

use std::fs;

use crate::support::script_broker::{Broker, Runner, settings};
use serde_json::{Value, json};

const TOKEN: (&str, &str) = ("N8N_RUNNERS_AUTH_TOKEN", "secret");

#[test]
fn a_value_may_stand_in_a_file_that_another_variable_names() {
    let directory = tempfile::tempdir().unwrap();
    let token = directory.path().join("token");
    fs::write(&token, "secret\n").unwrap();
    let limit = directory.path().join("concurrency");
    fs::write(&limit, "1").unwrap();
    let mut broker = Broker::start();
    let files = [
        ("N8N_RUNNERS_AUTH_TOKEN_FILE", token.to_str().unwrap()),
        ("N8N_RUNNERS_MAX_CONCURRENCY", ""),
        ("N8N_RUNNERS_MAX_CONCURRENCY_FILE", limit.to_str().unwrap()),
    ];
    let _runner = Runner::start_with(broker.port, &files);
    broker.register();
    assert_eq!(broker.types_within(std::time::Duration::from_millis(400)), ["runner:taskoffer"]);
}

#[test]
fn a_variable_comes_before_its_file() {
    let mut broker = Broker::start();
    let _runner = Runner::start_with(
        broker.port,
        &[TOKEN, ("N8N_RUNNERS_AUTH_TOKEN_FILE", "/does/not/exist")],
    );
    broker.register();
}

#[test]
fn an_invalid_setting_is_one_line_with_the_allowed_values() {
    let bad = [
        ("N8N_RUNNERS_TASK_BROKER_URI", "ftp://x", "must be an http:// or https:// address"),
        ("N8N_RUNNERS_MAX_CONCURRENCY", "0", "must be a whole number above 0"),
        ("N8N_RUNNERS_MAX_PAYLOAD", "much", "must be a size above 0"),
        ("N8N_RUNNERS_TASK_TIMEOUT", "-1", "must be a number of seconds above 0"),
        ("N8N_RUNNERS_AUTO_SHUTDOWN_TIMEOUT", "-1", "or 0 for never"),
        ("N8N_RUNNERS_GRACEFUL_SHUTDOWN_TIMEOUT", "0", "must be a number of seconds above 0"),
        ("N8N_RUNNERS_HEARTBEAT_INTERVAL", "often", "must be a number of seconds above 0"),
        ("N8N_RUNNERS_HEALTH_CHECK_SERVER_ENABLED", "perhaps", "must be true or false"),
        ("N8N_RUNNERS_HEALTH_CHECK_SERVER_PORT", "70000", "must be a port from 0 to 65535"),
        ("N8N_RUNNERS_STDLIB_ALLOW", "*,json", "or * alone for all of them"),
        ("N8N_RUNNERS_EXTERNAL_ALLOW", "numpy,*", "or * alone for all of them"),
        ("N8N_RUNNERS_ALLOW_TRANSITIVE_IMPORTS", "ja", "must be true or false"),
        ("N8N_BLOCK_RUNNER_ENV_ACCESS", "2", "must be true or false"),
        (
            "N8N_RUNNERS_LAUNCHER_LOG_LEVEL",
            "loud",
            "must be one of error, warn, info, debug, trace, silent",
        ),
        ("SERPENTARIUM_POLICY", "closed", "must be open or n8n"),
        ("SERPENTARIUM_MEMORY", "1MiB", "must be a size from 64MiB to 4GiB"),
        ("SERPENTARIUM_FUEL", "none", "must be"),
        ("SERPENTARIUM_WORKERS", "0", "must be a whole number above 0"),
        ("SERPENTARIUM_LOCKDOWN", "some", "must be required, best-effort or off"),
    ];
    for (name, value, allowed) in bad {
        let (code, text) = Runner::failure(1, &[TOKEN, (name, value)]);
        assert_eq!((code, text.lines().count()), (Some(1), 1), "{name}: {text}");
        assert!(
            text.contains(&format!("{name} is '{value}': ")) && text.contains(allowed),
            "{text}"
        );
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named_with_the_reason() {
    let (code, text) = Runner::failure(1, &[("N8N_RUNNERS_AUTH_TOKEN_FILE", "/does/not/exist")]);
    assert_eq!((code, text.lines().count()), (Some(1), 1));
    assert!(
        text.contains("N8N_RUNNERS_AUTH_TOKEN_FILE is '/does/not/exist': No such file"),
        "{text}"
    );
}

/// Runs one task under these variables and returns its answer.
fn answer(variables: &[(&str, &str)], code: &str) -> serde_json::Value {
    let mut broker = Broker::start();
    let _runner = Runner::start_with(broker.port, &[&[TOKEN], variables].concat());
    broker.register();
    broker.submit("t1", settings(code));
    broker.answer()
}

#[test]
fn the_policy_of_the_operator_is_obeyed() {
    let lists = [("N8N_RUNNERS_STDLIB_ALLOW", " json, re,"), ("N8N_RUNNERS_BUILTINS_DENY", "eval")];
    assert_eq!(
        answer(&lists, "import json\nreturn json.loads('[1]')")["data"]["result"],
        json!([1])
    );
    assert_eq!(answer(&[], "import os\nreturn eval('1')")["data"]["result"], 1);
    let everything = [
        ("SERPENTARIUM_POLICY", "n8n"),
        ("N8N_RUNNERS_STDLIB_ALLOW", "*"),
        ("N8N_RUNNERS_BUILTINS_DENY", ""),
    ];
    assert_eq!(answer(&everything, "import os\nreturn eval('1')")["data"]["result"], 1);
}

#[test]
fn the_policy_of_the_operator_violated() {
    let lists = [("N8N_RUNNERS_STDLIB_ALLOW", "re,json"), ("N8N_RUNNERS_EXTERNAL_ALLOW", "")];
    let error = answer(&lists, "import re\nimport os\nimport x")["error"].take();
    let expected = json!({
        "message": "Security violations detected",
        "description": "Line 2: Import of standard library module 'os' is disallowed. Allowed stdlib modules: json, re\n\
            Line 3: Import of external package 'x' is disallowed. Allowed external packages: none\n\
            Hint: The operator's setting N8N_RUNNERS_STDLIB_ALLOW decides. To allow, add os to it. \
            Allowing x would not help: it is not in the image.",
        "lineNumber": 2,
    });
    assert_eq!(error, expected);
    let error = answer(&[("SERPENTARIUM_POLICY", "n8n")], "import json")["error"].take();
    assert_eq!(error["message"], "Security violations detected");
    let error = answer(&[("N8N_RUNNERS_STDLIB_ALLOW", "")], "import json")["error"].take();
    assert_eq!(error["message"], "Security violations detected");
}

#[test]
fn tokens_are_hidden_even_in_an_open_environment() {
    let code = "import os\nreturn dict(os.environ)";
    let given = ("GREETING", "hello");
    assert_eq!(answer(&[given], code)["data"]["result"], json!({}));
    let open =
        answer(&[given, ("N8N_BLOCK_RUNNER_ENV_ACCESS", "false")], code)["data"]["result"].take();
    assert_eq!(open["GREETING"], "hello");
    assert!(open["N8N_RUNNERS_AUTH_TOKEN"].is_null(), "{open}");
}

#[test]
fn workflows_inherit_the_installations_time_zone() {
    let mut broker = Broker::start();
    let _runner = Runner::start_with(broker.port, &[TOKEN, ("GENERIC_TIMEZONE", "Asia/Tokyo")]);
    broker.register();
    for (zone, expected) in
        [(json!({}), "Asia/Tokyo"), (json!({ "timezone": "Europe/Oslo" }), "Europe/Oslo")]
    {
        broker.submit("t1", settings("return str(_now.tzinfo)"));
        let request = broker.message("runner:taskdatarequest")["requestId"].take();
        let data = json!({ "workflow": { "settings": zone } });
        broker.send(json!({ "type": "broker:taskdataresponse", "taskId": "t1", "requestId": request, "data": data }));
        assert_eq!(broker.answer()["data"]["result"], expected);
    }
}

#[test]
fn local_time_follows_tz_and_then_n8ns_zone() {
    let code = "import time\nreturn time.localtime(0).tm_hour";
    let tokyo = ("GENERIC_TIMEZONE", "Asia/Tokyo");
    for (variables, hour) in [
        (vec![], 0),
        (vec![tokyo], 9),
        (vec![tokyo, ("TZ", "Europe/Berlin")], 1),
        (vec![tokyo, ("TZ", "")], 9),
        (vec![("TZ", "EST5")], 19),
    ] {
        assert_eq!(answer(&variables, code)["data"]["result"], hour, "{variables:?}");
    }
}

/// Runs `serpentarium config`. Returns the exit code, standard output and standard error.
fn config(arguments: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_serpentarium"));
    let out = command
        .arg("config")
        .args(arguments)
        .env_clear()
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (out.status.code(), text(out.stdout), text(out.stderr))
}

#[test]
fn settings_are_shown_with_sources_and_without_secrets() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("concurrency");
    fs::write(&file, "7\n").unwrap();
    let file = file.to_str().unwrap();
    let variables = [
        ("N8N_RUNNERS_AUTH_TOKEN", "hush"),
        ("N8N_SENTRY_DSN", "https://hush@sentry.example/1"),
        ("N8N_RUNNERS_MAX_CONCURRENCY_FILE", file),
        ("N8N_RUNNERS_TASK_TIMEOUT", "2"),
        ("N8N_RUNNERS_STDLIB_ALLOW", "json, re"),
    ];
    let (code, out, err) = config(&["--json", "--memory=1GiB", "--workers", "3"], &variables);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert!(!out.contains("hush"), "{out}");
    let shown: Value = serde_json::from_str(&out).unwrap();
    let of = |name: &str| {
        (shown[name]["value"].as_str().unwrap(), shown[name]["source"].as_str().unwrap())
    };
    assert_eq!(of("N8N_RUNNERS_AUTH_TOKEN"), ("(set, not shown)", "variable"));
    assert_eq!(of("N8N_RUNNERS_GRANT_TOKEN"), ("(not set)", "default"));
    assert_eq!(of("N8N_RUNNERS_MAX_CONCURRENCY"), ("7", format!("file {file}").as_str()));
    assert_eq!(of("N8N_RUNNERS_TASK_TIMEOUT"), ("2", "variable"));
    assert_eq!(of("SERPENTARIUM_FUEL"), ("64G", "default"));
    assert_eq!(of("SERPENTARIUM_MEMORY"), ("1GiB", "flag"));
    assert_eq!(of("SERPENTARIUM_WORKERS"), ("3", "flag"));
    assert_eq!(of("N8N_RUNNERS_STDLIB_ALLOW"), ("json, re", "variable"));
    assert_eq!(of("N8N_RUNNERS_EXTERNAL_ALLOW"), ("*", "default"));
    assert_eq!(shown["SERPENTARIUM_LOG"]["flag"], "--log");
    let (_, out, _) = config(&[], &variables);
    assert!(
        out.contains("SERPENTARIUM_MEMORY") && out.contains("512MiB") && !out.contains("hush"),
        "{out}"
    );
    let (_, out, _) = config(&["--json", "--policy=n8n"], &variables);
    assert!(
        serde_json::from_str::<Value>(&out).unwrap()["N8N_RUNNERS_EXTERNAL_ALLOW"]["value"]
            == "(nothing)",
        "{out}"
    );
}

#[test]
fn invalid_settings_are_refused_in_the_runners_words() {
    let (code, out, err) = config(&[], &[]);
    assert_eq!((code, err.lines().count()), (Some(1), 1));
    assert!(
        out.contains("N8N_RUNNERS_TASK_BROKER_URI")
            && err.contains("the runner would not start: no token"),
        "{err}"
    );
    let (code, _, err) = config(&[], &[("SERPENTARIUM_LOG", "xml")]);
    assert_eq!(
        (code, err.as_str()),
        (Some(1), "serpentarium: SERPENTARIUM_LOG is 'xml': must be text or json\n")
    );
    let (_, _, err) = config(&[], &[("N8N_SENTRY_DSN", "hush")]);
    assert!(
        err.starts_with("serpentarium: N8N_SENTRY_DSN is '…': must be") && !err.contains("hush"),
        "{err}"
    );
}

#[test]
fn every_setting_is_documented_with_its_flag_and_default() {
    let (_, out, _) = config(&["--json"], &[("N8N_RUNNERS_AUTH_TOKEN", "x")]);
    let rows: Vec<Vec<&str>> = include_str!("../../docs/settings.md")
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.split('|').map(str::trim).collect())
        .collect();
    let shown: serde_json::Map<String, Value> = serde_json::from_str(&out).unwrap();
    assert_eq!(rows.len(), shown.len(), "a row for each setting");
    // The document describes these defaults; `config` shows their values.
    let words = [
        "",
        "random",
        "everything",
        "none",
        "one per core",
        "32G per second of the timeout",
        "the task's memory",
    ];
    for (variable, setting) in shown {
        let row = rows.iter().find(|row| row[1] == format!("`{variable}`"));
        let row = row.unwrap_or_else(|| panic!("{variable} is not in docs/settings.md"));
        assert_eq!(row[2].trim_matches('`'), setting["flag"], "{variable}");
        let default = row[3].trim_matches('`');
        assert!(words.contains(&default) || default == setting["value"], "{variable}: {default}");
    }
}
