//! `serpentarium exec` has no n8n behind it.

use std::process::Command;

/// Runs code with `exec`. Returns the exit code and what it wrote.
fn exec(code: &str) -> (Option<i32>, String, String) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), code).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_serpentarium"))
        .args(["exec", file.path().to_str().unwrap()])
        .env_remove("TZ")
        .env_remove("GENERIC_TIMEZONE")
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn names_that_need_n8n_say_so() {
    for (code, name) in [
        ("x = 1\nreturn _execution.id", "_execution"),
        ("return _node['Webhook'].all()", "_node"),
        ("return _workflow.name", "_workflow"),
        ("return _getWorkflowStaticData('global')", "_getWorkflowStaticData"),
        ("return _helpers.http_request('http://localhost/')", "_helpers.http_request"),
        ("return _helpers.get_binary_data(0)", "_helpers.get_binary_data"),
    ] {
        let (status, _, stderr) = exec(code);
        let text = format!(
            "CallError: {name} needs n8n, and `serpentarium exec` runs the code without it. Run \
             the code in n8n, or with `serpentarium broker`, which answers in n8n's place"
        );
        assert!(status == Some(1) && stderr.contains(&text), "{code}: {stderr}");
        assert!(stderr.contains("File \"<code>\", line "), "{code}: {stderr}");
    }
}

#[test]
fn time_and_run_are_local() {
    let code = "
from datetime import datetime
return [abs((_now - datetime.now().astimezone()).total_seconds()) < 9, _today.hour, _run_index,
        _today.date() == _now.date(), _now.utcoffset() == datetime.now().astimezone().utcoffset()]";
    let (status, stdout, stderr) = exec(code);
    assert_eq!(status, Some(0), "{stderr}");
    let stdout: String = stdout.split_whitespace().collect();
    assert_eq!(stdout, "[true,0,0,true,true]");
}

#[test]
fn help_is_printed_to_the_end() {
    let (status, stdout, _) = exec("help('keywords')\nhelp(str)");
    assert_eq!(status, Some(0));
    assert!(stdout.contains("list of the Python keywords") && stdout.contains("zfill("));
}
