//! Large messages: they keep their order, delay nothing else, and leave no memory behind.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::support::loaded_runner::LoadedRunner;

const MB: usize = 1_000_000;

/// Returns the frame with the settings of a task. `items` is JSON.
fn settings(task_id: &str, code: &str, items: &str) -> Message {
    let code = json!(code);
    let settings = format!(r#"{{"code":{code},"nodeMode":"runOnceForAllItems","items":{items}}}"#);
    let frame =
        format!(r#"{{"type":"broker:tasksettings","taskId":"{task_id}","settings":{settings}}}"#);
    Message::text(frame)
}

/// Returns the frame with the answer to a call. `data` is JSON.
fn answer(call: &Value, data: &str) -> Message {
    let (task, call) = (&call["taskId"], &call["callId"]);
    Message::text(format!(
        r#"{{"type":"broker:rpcresponse","taskId":{task},"callId":{call},"status":"success","data":{data}}}"#
    ))
}

/// Returns items of this many bytes that take long to parse.
fn small_items(size: usize) -> String {
    format!("[{}0]", r#"{"n":1},"#.repeat(size / 8))
}

#[tokio::test]
async fn a_cancel_behind_large_settings_stops_their_task() {
    let mut runner = LoadedRunner::start(&[]).await;
    runner.place("t1").await;
    runner.send_frame(settings("t1", "while True: pass", &small_items(8 * MB))).await;
    runner.send(json!({"type": "broker:taskcancel", "taskId": "t1", "reason": "test"})).await;
    // A cancel before the settings would leave the task without an answer.
    let error = runner.message("runner:taskerror").await;
    assert_eq!(error["error"]["message"], "Task was cancelled");
}

#[tokio::test]
async fn the_first_of_two_answers_counts_however_large_it_is() {
    let mut runner = LoadedRunner::start(&[]).await;
    runner.place("t1").await;
    let code = "import _host\nreturn len(_host.call('helpers.request', '[]'))";
    runner.send_frame(settings("t1", code, "[]")).await;
    let call = runner.message("runner:rpc").await;
    let large = small_items(8 * MB);
    runner.send_frame(answer(&call, &large)).await;
    runner.send_frame(answer(&call, "7")).await;
    assert_eq!(runner.message("runner:taskdone").await["data"]["result"], large.len());
}

/// A runner that reads frames in its loop never answers the ping first. On a busy machine the ping
/// may leave late, so one round of ten suffices.
#[tokio::test]
async fn a_ping_is_answered_while_a_large_frame_is_read() {
    let mut runner = LoadedRunner::start(&[]).await;
    let items = small_items(64 * MB);
    for round in 0..10 {
        let task = format!("t{round}");
        runner.place(&task).await;
        let frame = settings(&task, "", &items).into_text().unwrap();
        let bad = frame.replace("runOnceForAllItems", "never");
        runner.send_frame(Message::text(bad)).await;
        runner.send_frame(Message::Ping(Default::default())).await;
        let (mut ponged, mut refused) = (false, false);
        while !refused {
            match runner.next_frame().await {
                Message::Pong(_) => ponged = true,
                frame => refused = frame.to_text().unwrap().contains("Unknown nodeMode: never"),
            }
        }
        if ponged {
            return;
        }
    }
    panic!("no ping was answered before the frame in front of it");
}

/// Asks a health endpoint every 5 ms until the end, and records the longest time to an answer.
struct HealthProbe {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Duration>,
}

impl HealthProbe {
    fn start(port: u16) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = thread::spawn(move || {
            let mut longest = Duration::ZERO;
            while !stopped.load(Ordering::Relaxed) {
                let asked = Instant::now();
                let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
                stream
                    .write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                    .unwrap();
                let mut text = String::new();
                stream.read_to_string(&mut text).unwrap();
                assert!(text.starts_with("HTTP/1.1 200"), "{text}");
                longest = longest.max(asked.elapsed());
                thread::sleep(Duration::from_millis(5));
            }
            longest
        });
        Self { stop, thread }
    }

    fn longest(self) -> Duration {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// Runs a task. Answers its calls with `data`.
async fn run(runner: &mut LoadedRunner, task_id: &str, code: &str, items: &str, data: &str) {
    runner.place(task_id).await;
    runner.send_frame(settings(task_id, code, items)).await;
    loop {
        let Message::Text(text) = runner.next_frame().await else { continue };
        // Parsing a large message would take long here as well.
        let (begin, end) = (&text[..text.len().min(300)], &text[text.len().saturating_sub(300)..]);
        if begin.contains("runner:rpc") && begin.contains("helpers.request") {
            let field = |name: &str| {
                let at = begin.find(name).unwrap() + name.len() + 3;
                &begin[at..at + begin[at..].find('"').unwrap()]
            };
            let call = json!({"taskId": task_id, "callId": field("callId")});
            runner.send_frame(answer(&call, data)).await;
        } else if begin.contains("runner:taskdone") {
            return;
        } else {
            assert!(!begin.contains("runner:taskerror"), "{begin} … {end}");
        }
    }
}

#[tokio::test]
async fn health_checks_wait_at_most_20_ms_for_large_messages() {
    /// Rounds of a case: a delay of the runner itself recurs in each, a delay by other processes
    /// does not.
    const ROUNDS: usize = 12;
    let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let settings = [
        ("N8N_RUNNERS_HEALTH_CHECK_SERVER_ENABLED", "true"),
        ("N8N_RUNNERS_HEALTH_CHECK_SERVER_PORT", &port.to_string()),
        ("SERPENTARIUM_MEMORY", "2GiB"),
    ];
    let mut runner = LoadedRunner::start(&settings).await;
    let call = "import _host\nfor _ in range(3): _host.call('helpers.request', '[]')\nreturn []";
    let text = format!("\"{}\"", "é".repeat(30 * MB));
    let deep = "[".repeat(30 * MB) + &"]".repeat(30 * MB);
    let caught = call
        .replace("): _host", "):\n  try: _host")
        .replace("\nreturn", "\n  except _host.CallError: pass\nreturn");
    let params = "import _host\np = '[\"' + 'x' * 60_000_000 + '\"]'\nfor _ in range(3): _host.call('helpers.request', p)\nreturn []";
    let items = format!("[{{\"json\":{{\"t\":\"{}\"}}}}]", "x".repeat(200 * MB));
    let cases = [
        ("a small task", "return []", "[]", "1"),
        ("answers of 60 MB", call, "[]", &*text),
        ("answers of 60 MB, nested deeply", &*caught, "[]", &*deep),
        ("parameters of 60 MB", params, "[]", "1"),
        ("a print of 15 MB", "print('x' * 15_000_000)\nreturn []", "[]", "1"),
        ("a result of 200 MB", "return 'x' * 200_000_000", "[]", "1"),
        ("settings of 200 MB", "return []", &*items, "1"),
    ];
    let mut idle = Duration::ZERO;
    for (name, code, items, data) in cases {
        let mut delays = Vec::new();
        let limit = || Duration::from_millis(20) + idle;
        while delays.len() < ROUNDS && delays.last().is_none_or(|delay| *delay > limit()) {
            let probe = HealthProbe::start(port);
            for n in 0..if name == "a small task" { 200 } else { 1 } {
                run(&mut runner, &format!("{name} {} {n}", delays.len()), code, items, data).await;
            }
            delays.push(probe.longest());
        }
        println!("health checks beside {name}: {delays:?}");
        let least = delays.iter().min().copied().unwrap_or_default();
        if idle.is_zero() {
            idle = least;
        }
        assert!(least <= Duration::from_millis(20) + idle, "{name}: {delays:?}, idle {idle:?}");
    }
}

/// Returns the resident memory of a process in MB (`VmRSS` in proc_pid_status(5)).
fn resident(process: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() / 1000
}

#[tokio::test]
async fn memory_of_large_messages_is_given_back() {
    let mut runner = LoadedRunner::start(&[]).await;
    run(&mut runner, "first", "return []", "[]", "1").await;
    let before = resident(runner.id());
    // Settings of an unknown task, an answer over its limit, and a task.
    let text = format!("\"{}\"", "x".repeat(200 * MB));
    let items = format!("[{{\"json\":{{\"t\":{text}}}}}]");
    runner.send_frame(settings("unknown", "return []", &items)).await;
    let call =
        "import _host\ntry: _host.call('helpers.request', '[]')\nexcept _host.CallError: return []";
    run(&mut runner, "answer", call, "[]", &text).await;
    run(&mut runner, "large", "return len(_items)", &items, "1").await;
    let by = Instant::now() + Duration::from_secs(10);
    while resident(runner.id()) > before + 50 {
        let now = resident(runner.id());
        assert!(Instant::now() < by, "{before} MB before large messages, {now} MB after them");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
