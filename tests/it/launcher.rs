//! The runner under n8n's launcher, and in n8n's internal mode.

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::symlink,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::support::script_broker::{Broker, Reports, Runner, python, settings, signal};
use serde_json::{Value, json};

/// Returns the configuration of docs/n8n.md, for the binary under test.
fn documented() -> Value {
    let text = include_str!("../../docs/n8n.md");
    let text = text
        .split("```json")
        .nth(1)
        .and_then(|text| text.split("```").next())
        .expect("the document has one");
    let mut config: Value = serde_json::from_str(text).expect("which is JSON");
    let runner = &mut config["task-runners"][0];
    runner["command"] = env!("CARGO_BIN_EXE_serpentarium").into();
    runner["workdir"] = env!("CARGO_TARGET_TMPDIR").into();
    // A port that was free just before.
    let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    runner["health-check-server-port"] = port.to_string().into();
    config
}

/// A stand-in for n8n's launcher, with its reports. Dropping it kills it and its runner.
struct Launcher {
    child: Child,
    reports: Reports,
}

impl Launcher {
    fn start(broker: &Broker, config: &Value, variables: &[(&str, &str)]) -> Self {
        let file = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("task-runners-{}.json", broker.port));
        fs::write(&file, config.to_string()).unwrap();
        let mut child = Command::new(python())
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers/launcher.py"))
            .arg(file)
            .args(["python", &format!("http://127.0.0.1:{}", broker.port)])
            .env("N8N_RUNNERS_AUTH_TOKEN", "secret")
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python starts");
        let reports = Reports::of(child.stdout.take().unwrap());
        Self { child, reports }
    }

    /// Accepts the launcher's offer; the launcher defers the task.
    fn defer(&self, broker: &mut Broker, task_id: &str) {
        broker.register();
        let offer = broker.message("runner:taskoffer");
        assert_eq!(offer["validFor"], -1);
        broker.send(json!({ "type": "broker:taskofferaccept", "taskId": task_id, "offerId": offer["offerId"] }));
        assert_eq!(broker.message("runner:taskdeferred")["taskId"], task_id);
        assert_eq!(self.reports.next("deferred"), task_id);
    }
}

impl Drop for Launcher {
    fn drop(&mut self) {
        // The runner is the launcher's child, so it must end first.
        signal(&self.child, "TERM");
        std::thread::sleep(Duration::from_millis(200));
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn under_the_launcher_a_start_serves_tasks_until_idle() {
    let mut broker = Broker::start();
    let variables = [("N8N_RUNNERS_AUTO_SHUTDOWN_TIMEOUT", "1"), ("SECRET_OF_THE_LAUNCHER", "x")];
    let launcher = Launcher::start(&broker, &documented(), &variables);
    for task_id in ["t1", "t2"] {
        launcher.defer(&mut broker, task_id);
        launcher.reports.next("started");
        let start = Instant::now();
        broker.register();
        broker.submit(task_id, settings("import os\nreturn [len(_items), dict(os.environ)]"));
        let answered = start.elapsed();
        assert_eq!(broker.message("runner:taskdone")["data"]["result"], json!([1, {}]));
        assert!(answered < Duration::from_secs(2), "{answered:?}");
        assert_eq!(launcher.reports.next("healthy"), true);
        assert_eq!(launcher.reports.next("ended"), 0);
    }
}

#[test]
fn n8ns_configuration_works_with_only_the_command_replaced() {
    let mut config = documented();
    let runner = &mut config["task-runners"][0];
    runner["args"] = json!(["-I", "-B", "-X", "disable_remote_debug", "-m", "src.main"]);
    runner["env-overrides"] = json!({
        "PYTHONPATH": "/opt/runners/task-runner-python",
        "N8N_RUNNERS_STDLIB_ALLOW": "",
        "N8N_RUNNERS_EXTERNAL_ALLOW": "",
    });
    let mut broker = Broker::start();
    let launcher = Launcher::start(&broker, &config, &[]);
    launcher.defer(&mut broker, "t1");
    broker.register();
    broker.submit("t1", settings("import json"));
    assert_eq!(broker.answer()["error"]["message"], "Security violations detected");
    broker.submit("t2", settings("return [1]"));
    assert_eq!(broker.answer()["data"]["result"], json!([1]));
}

#[test]
fn the_lines_for_the_launcher_are_bare_messages() {
    let mut broker = Broker::start();
    let launcher = Launcher::start(&broker, &documented(), &[]);
    launcher.defer(&mut broker, "t1");
    broker.register();
    broker.submit("t1", settings("return []"));
    let mut lines =
        std::iter::from_fn(|| launcher.reports.next("said").as_str().map(str::to_owned));
    let image = lines.next().unwrap();
    assert!(image.starts_with("image base ") && image.contains("requests 2."), "{image}");
    let health = lines.next().unwrap();
    assert!(health.starts_with("Health check server listening on 127.0.0.1, port "), "{health}");
    let done = lines.find(|line| line.contains("task t1")).unwrap();
    assert!(done.starts_with("Completed task t1 in ") && done.contains(" fuel="), "{done}");
}

#[test]
fn a_launcher_that_stops_lets_its_runner_finish() {
    let mut broker = Broker::start();
    let launcher = Launcher::start(&broker, &documented(), &[]);
    launcher.defer(&mut broker, "t1");
    broker.register();
    broker.submit("t1", settings("import time\ntime.sleep(0.5)\nreturn [1]"));
    std::thread::sleep(Duration::from_millis(100));
    signal(&launcher.child, "TERM");
    assert_eq!(broker.answer()["data"]["result"], json!([1]));
    assert_eq!(broker.report("closed"), 1000);
    assert_eq!(launcher.reports.next("ended"), 0);
}

#[test]
fn in_internal_mode_it_runs_in_the_place_of_pythons_executable() {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("internal/.venv/bin");
    fs::create_dir_all(&place).unwrap();
    let python = place.join("python");
    let _ = fs::remove_file(&python);
    symlink(env!("CARGO_BIN_EXE_serpentarium"), &python).unwrap();
    let mut broker = Broker::start();
    let mut command = Command::new(python);
    command
        .args(["-m", "src.main"])
        .env_clear()
        .env("N8N_RUNNERS_TASK_BROKER_URI", format!("http://127.0.0.1:{}", broker.port))
        .env("N8N_RUNNERS_GRANT_TOKEN", "given")
        .env("N8N_RUNNERS_ID", "n8n-knows-me")
        .env("N8N_RUNNERS_HEARTBEAT_INTERVAL", "30");
    let _runner = Runner::run(command);
    assert_eq!(broker.report("connected"), "n8n-knows-me");
    broker.send(json!({ "type": "broker:inforequest" }));
    broker.message("runner:info");
    broker.send(json!({ "type": "broker:runnerregistered" }));
    broker.submit("t1", settings("return [1]"));
    assert_eq!(broker.answer()["data"]["result"], json!([1]));
}
