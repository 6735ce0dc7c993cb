//! The binary as a runner, and a broker that follows orders of the test and reports messages
//! (`tests/servers/broker.py`). The broker shares no code with the project.

use std::{
    io::{BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    sync::{
        OnceLock,
        mpsc::{Receiver, channel},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

/// Longest wait for an expected event.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The reports of a script: one JSON object with one field per line of standard output.
pub(crate) struct Reports(Receiver<Value>);

impl Reports {
    /// Starts a thread that reads them.
    pub(crate) fn of(output: ChildStdout) -> Self {
        let (sender, reports) = channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let _ = sender.send(serde_json::from_str(&line).expect("a report is JSON"));
            }
        });
        Self(reports)
    }

    /// Returns the next report of a kind. Skips others.
    pub(crate) fn next(&self, kind: &str) -> Value {
        let by = Instant::now() + PATIENCE;
        loop {
            let left = by.saturating_duration_since(Instant::now());
            let mut report =
                self.0.recv_timeout(left).unwrap_or_else(|_| panic!("no '{kind}' was reported"));
            if let Some(value) = report.get_mut(kind) {
                return value.take();
            }
        }
    }
}

/// A broker that follows orders. Dropping it kills it.
pub(crate) struct Broker {
    child: Child,
    reports: Reports,
    /// The TCP port on which it listens.
    pub port: u16,
}

impl Broker {
    /// Starts one on a free port.
    pub(crate) fn start() -> Self {
        Self::start_at(0)
    }

    /// Starts one on this port.
    pub(crate) fn start_at(port: u16) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers/broker.py");
        let mut child = Command::new(python())
            .arg(script)
            .arg(port.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python starts");
        let reports = Reports::of(child.stdout.take().unwrap());
        let mut broker = Self { child, reports, port };
        broker.port = broker.report("listening").as_u64().unwrap() as u16;
        broker
    }

    /// Returns the next report of a kind. Skips others.
    pub(crate) fn report(&self, kind: &str) -> Value {
        self.reports.next(kind)
    }

    /// Returns the next message of a type. Skips others.
    pub(crate) fn message(&self, kind: &str) -> Value {
        loop {
            let frame = self.report("frame");
            if frame["type"] == kind {
                return frame;
            }
        }
    }

    /// Returns the next message that is no offer.
    pub(crate) fn answer(&self) -> Value {
        loop {
            let frame = self.report("frame");
            if frame["type"] != "runner:taskoffer" {
                return frame;
            }
        }
    }

    /// Returns the types of messages that arrive within this time.
    pub(crate) fn types_within(&self, time: Duration) -> Vec<String> {
        let by = Instant::now() + time;
        let mut types = Vec::new();
        while let Ok(report) =
            self.reports.0.recv_timeout(by.saturating_duration_since(Instant::now()))
        {
            types.extend(report["frame"]["type"].as_str().map(str::to_owned));
        }
        types
    }

    /// Sends an order to the broker; see `broker.py`.
    pub(crate) fn order(&mut self, order: &Value) {
        writeln!(self.child.stdin.as_ref().unwrap(), "{order}").expect("the broker listens");
    }

    /// Sends the broker's process a signal.
    pub(crate) fn signal(&self, name: &str) {
        signal(&self.child, name);
    }

    /// Sends a message to the runner.
    pub(crate) fn send(&mut self, message: Value) {
        self.order(&json!({ "send": message }));
    }

    /// Registers a connected runner.
    pub(crate) fn register(&mut self) {
        self.report("connected");
        self.send(json!({ "type": "broker:inforequest" }));
        let info = self.message("runner:info");
        assert_eq!(info["types"], json!(["python"]));
        assert!(info["name"].is_string());
        self.send(json!({ "type": "broker:runnerregistered" }));
    }

    /// Matches a task with the runner's next offer and waits for its acceptance.
    pub(crate) fn place(&mut self, task_id: &str) {
        let offer = self.message("runner:taskoffer");
        self.send(json!({ "type": "broker:taskofferaccept", "taskId": task_id, "offerId": offer["offerId"] }));
        assert_eq!(self.message("runner:taskaccepted")["taskId"], task_id);
    }

    /// Places a task and sends its settings.
    pub(crate) fn submit(&mut self, task_id: &str, settings: Value) {
        self.place(task_id);
        self.send(
            json!({ "type": "broker:tasksettings", "taskId": task_id, "settings": settings }),
        );
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The runner under test. Dropping it kills it.
pub(crate) struct Runner {
    child: Child,
}

impl Runner {
    /// Starts one with the auth token and two places, and registers it.
    pub(crate) fn start(broker: &mut Broker) -> Self {
        let runner = Self::start_with(broker.port, &[("N8N_RUNNERS_AUTH_TOKEN", "secret")]);
        broker.register();
        runner
    }

    /// Starts one with these variables.
    pub(crate) fn start_with(port: u16, variables: &[(&str, &str)]) -> Self {
        Self::run(command(port, variables))
    }

    /// Starts one by this command.
    pub(crate) fn run(mut command: Command) -> Self {
        Self { child: command.stdout(Stdio::null()).spawn().expect("the runner starts") }
    }

    /// Returns its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, name: &str) {
        signal(&self.child, name);
    }

    /// Kills its worker processes.
    pub(crate) fn kill_workers(&self) {
        let id = self.child.id();
        let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children"))
            .expect("the runner lives");
        let killed = Command::new("kill").arg("-KILL").args(children.split_whitespace()).status();
        assert!(killed.expect("kill is there").success());
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let by = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < by, "the runner does not end");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Runs it to its end. Returns its exit code and standard error.
    pub(crate) fn failure(port: u16, variables: &[(&str, &str)]) -> (Option<i32>, String) {
        let child =
            command(port, variables).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut runner = Self { child };
        let code = runner.wait().code();
        let mut text = String::new();
        runner.child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
        (code, text)
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a process a signal.
pub(crate) fn signal(process: &Child, name: &str) {
    let sent = Command::new("kill").arg(format!("-{name}")).arg(process.id().to_string()).status();
    assert!(sent.expect("kill is there").success());
}

/// Returns the runner's command line, for a broker at this port, with these variables and two
/// places.
pub(crate) fn command(port: u16, variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_serpentarium"));
    command
        .arg("runner")
        .env_clear()
        .env("N8N_RUNNERS_TASK_BROKER_URI", format!("http://127.0.0.1:{port}"))
        .env("N8N_RUNNERS_MAX_CONCURRENCY", "2")
        .envs(variables.iter().copied());
    command
}

/// Returns the settings of a task that runs this code once, on one item.
pub(crate) fn settings(code: &str) -> Value {
    json!({
        "code": code,
        "nodeMode": "runOnceForAllItems",
        "items": [{ "json": { "a": 1 } }],
        "nodeName": "Code",
        "workflowName": "Test",
    })
}

/// Returns a Python with the `websockets` package: `SERPENTARIUM_TEST_PYTHON` (set by
/// `scripts/test`), or a virtual environment that the first use creates with pip.
pub(crate) fn python() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| {
        if let Some(path) = std::env::var_os("SERPENTARIUM_TEST_PYTHON") {
            return path.into();
        }
        let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("websockets");
        let python = place.join("bin/python");
        let requirements = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/requirements.txt");
        let run = |command: &mut Command| command.stdout(Stdio::null()).status().is_ok_and(|status| status.success());
        if !run(Command::new(&python).args(["-c", "import websockets.asyncio.server"]).stderr(Stdio::null())) {
            let made = run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&place))
                && run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "-r"]).arg(requirements));
            assert!(made, "this test needs a Python with the websockets package: name one in SERPENTARIUM_TEST_PYTHON");
        }
        python
    })
}
