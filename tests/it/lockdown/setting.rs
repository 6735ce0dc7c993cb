//! The setting of the lockdown, where the kernel refuses a part of it.

use std::{io::Read, process::Stdio};

use super::refuse;
use crate::support::script_broker::{PATIENCE, command};

/// Runs the runner where Landlock is missing, as in an old container. Returns its exit code, and
/// its log and standard error, once it ended or `until` is in the log.
fn without_landlock(lockdown: &str, until: &str) -> (Option<i32>, String, String) {
    let variables = [
        ("N8N_RUNNERS_AUTH_TOKEN", "x"),
        ("SERPENTARIUM_WORKERS", "1"),
        ("SERPENTARIUM_LOCKDOWN", lockdown),
    ];
    let mut command = command(9, &variables);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    refuse(&mut command, libc::SYS_landlock_create_ruleset);
    let mut child = command.spawn().unwrap();
    let (mut output, mut log) = (child.stdout.take().unwrap(), String::new());
    let by = std::time::Instant::now() + PATIENCE;
    let mut chunk = [0; 4096];
    loop {
        let size = output.read(&mut chunk).unwrap();
        log.push_str(&String::from_utf8_lossy(&chunk[..size]));
        if size == 0 || log.contains(until) {
            break;
        }
        assert!(std::time::Instant::now() < by, "{log}");
    }
    if log.contains(until) {
        let _ = child.kill();
    }
    let mut text = String::new();
    child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    (child.wait().unwrap().code(), log, text)
}

#[test]
fn a_required_lockdown_refuses_to_start_without_a_part() {
    let (code, _, text) = without_landlock("required", "Connected");
    assert_eq!((code, text.lines().count()), (Some(1), 1), "{text}");
    assert!(
        text.contains("SERPENTARIUM_LOCKDOWN") && text.contains("missing: Landlock (Function not"),
        "{text}"
    );
}

#[test]
fn a_best_effort_names_what_is_missing() {
    let (_, log, _) = without_landlock("best-effort", "in force: ");
    assert!(
        log.contains("missing: Landlock (Function not implemented")
            && log.contains("in force: no core dumps, no new privileges, resource limits, system"),
        "{log}"
    );
}
