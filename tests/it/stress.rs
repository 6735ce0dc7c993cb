//! The runner under load, on the wire: it answers every task exactly once, answers pings while
//! guests occupy every core, and does not leak memory.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    ops::Range,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::support::loaded_runner::LoadedRunner;

fn settings(code: &str) -> Value {
    json!({"code": code, "nodeMode": "runOnceForAllItems", "items": [{"json": {"n": 1}}], "continueOnFail": false,
        "workflowName": "w", "workflowId": "1", "nodeName": "n", "nodeId": "2"})
}

/// The programs of the mix, each with a part of its expected answer.
const MIX: &[(&str, &str)] = &[
    (
        "return [{'json': {'n': i['json']['n'] + 1}} for i in _items]",
        r#"{"result":[{"json":{"n":2}}]}"#,
    ),
    ("print('hello')\nreturn []", r#"{"result":[]}"#),
    ("raise ValueError('on purpose')", "on purpose"),
    ("while True: pass", "fuel"),
    ("x = []\nwhile True: x.append(bytes(1_000_000))", "emory"),
    ("import time\ntime.sleep(30)", "Task was cancelled"),
    ("return (", "line 1"),
    (
        "import json\nreturn [{'json': {'t': json.dumps(list(range(1000)))}}]",
        r#"{"result":[{"json":{"t":"[0, 1"#,
    ),
];

/// Answers of the runner to tasks of the mix.
#[derive(Default)]
struct Answers {
    /// The data or the error of each answer, by task.
    of: HashMap<String, Vec<String>>,
    /// Tasks that ran when the connection was cut.
    cut: HashSet<String>,
}

/// Runs tasks of the mix, eight at a time, to their end. Cuts the connection every 500 answers.
async fn run_mix(runner: &mut LoadedRunner, tasks: Range<usize>, seen: &mut Answers) {
    const CUT_EVERY: usize = 500;
    let (mut waiting, mut running) = (VecDeque::new(), HashSet::new());
    let (mut next, mut answered) = (tasks.start, seen.of.len());
    while next < tasks.end || !running.is_empty() {
        // Offers may expire while eight tasks run, so the newest is used.
        while next < tasks.end && running.len() < 8 {
            let Some(offer) = waiting.pop_back() else { break };
            let task = next.to_string();
            runner
                .send(json!({"type": "broker:taskofferaccept", "taskId": task, "offerId": offer}))
                .await;
            running.insert(task);
            next += 1;
        }
        let message = runner.next().await;
        let task = message["taskId"].as_str().unwrap_or_default().to_owned();
        match message["type"].as_str().unwrap() {
            "runner:taskoffer" => waiting.push_back(message["offerId"].clone()),
            "runner:taskaccepted" => {
                let (code, _) = MIX[task.parse::<usize>().unwrap() % MIX.len()];
                runner.send(json!({"type": "broker:tasksettings", "taskId": task, "settings": settings(code)})).await;
                if code.contains("sleep") {
                    runner
                        .send(
                            json!({"type": "broker:taskcancel", "taskId": task, "reason": "test"}),
                        )
                        .await;
                }
            }
            "runner:rpc" => {
                assert!(
                    !seen.of.contains_key(&task),
                    "an rpc came after the answer of task {task}"
                );
            }
            "runner:taskdone" => seen.of.entry(task).or_default().push(message["data"].to_string()),
            "runner:taskerror" => {
                seen.of.entry(task).or_default().push(message["error"].to_string())
            }
            other => panic!("unexpected {other}"),
        }
        if seen.of.len() > answered {
            answered = seen.of.len();
            running.retain(|task: &String| !seen.of.contains_key(task));
            if answered.is_multiple_of(CUT_EVERY) {
                runner.cut().await;
                waiting.clear();
                seen.cut.extend(running.drain());
            }
        }
    }
}

#[tokio::test]
async fn ten_thousand_tasks_are_answered_once_each_without_a_leak() {
    const TASKS: usize = 10_000;
    // Tasks after which every slot has run every program and has mapped its pages of the image.
    const FIRST: usize = 2_000;
    let limits = [
        ("SERPENTARIUM_FUEL", "60M"),
        ("SERPENTARIUM_MEMORY", "64MiB"),
        ("N8N_RUNNERS_MAX_CONCURRENCY", "8"),
    ];
    let mut runner = LoadedRunner::start(&limits).await;
    let mut seen = Answers::default();
    run_mix(&mut runner, 0..FIRST, &mut seen).await;
    let base = runner.memory_at_rest().await;
    runner.cut().await;
    run_mix(&mut runner, FIRST..TASKS, &mut seen).await;
    let end = runner.memory_at_rest().await;

    for (task, answer) in &seen.of {
        assert!(!seen.cut.contains(task), "task {task} was answered after its connection was gone");
        let (code, expected) = MIX[task.parse::<usize>().unwrap() % MIX.len()];
        assert_eq!(answer.len(), 1, "task {task} was answered more than once: {answer:?}");
        assert!(answer[0].contains(expected), "task {task} ({code}): {}", answer[0]);
    }
    let (answered, cut) = (seen.of.len(), seen.cut.len());
    assert_eq!(answered + cut, TASKS);
    println!("{answered} answered, {cut} cut; memory at rest {base:.1} MiB, then {end:.1} MiB");
    assert!(
        end < base + 4.0,
        "memory at rest was {base:.1} MiB after {FIRST} tasks, and is {end:.1} MiB after {TASKS}"
    );
}

#[tokio::test]
async fn pings_take_at_most_50_ms_while_guests_spin_on_every_core() {
    let mut runner = LoadedRunner::start(&[
        ("N8N_RUNNERS_TASK_TIMEOUT", "30"),
        ("N8N_RUNNERS_MAX_CONCURRENCY", "6"),
    ])
    .await;
    let mut running = 0;
    while running < 6 {
        let message = runner.next().await;
        match message["type"].as_str().unwrap() {
            "runner:taskoffer" => {
                let task = message["offerId"].clone();
                runner
                    .send(
                        json!({"type": "broker:taskofferaccept", "taskId": task, "offerId": task}),
                    )
                    .await;
            }
            "runner:taskaccepted" => {
                let task = message["taskId"].clone();
                let spin = settings("while True: pass");
                runner
                    .send(json!({"type": "broker:tasksettings", "taskId": task, "settings": spin}))
                    .await;
                running += 1;
            }
            other => panic!("unexpected {other}"),
        }
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    // A delay of the runner itself recurs in each round; a delay by other processes does not.
    let mut slowest = Vec::new();
    while slowest.len() < 3 && slowest.last().is_none_or(|time| *time >= Duration::from_millis(50))
    {
        let times = runner.ping_times().await;
        println!("ping while six guests spin: median {:?}, slowest {:?}", times[50], times[99]);
        slowest.push(times[99]);
    }
    assert!(
        slowest.last().is_some_and(|time| *time < Duration::from_millis(50)),
        "the slowest of 100 pings in each round took {slowest:?}"
    );
}

#[tokio::test]
async fn a_thousand_tasks_wait_for_their_calls_at_once_on_two_workers() {
    const TASKS: usize = 1000;
    let limits = [("N8N_RUNNERS_MAX_CONCURRENCY", "1000"), ("N8N_RUNNERS_TASK_TIMEOUT", "120")];
    let mut runner = LoadedRunner::start(&limits).await;
    let code = settings(
        "import _host, json\nreturn json.loads(_host.call('helpers.binaryToString', '[1]'))",
    );
    let mut base = None;
    let mut waiting = HashMap::new();
    let started = Instant::now();
    let mut accepted = 0;
    while waiting.len() < TASKS {
        let message = runner.next().await;
        match message["type"].as_str().unwrap() {
            "runner:taskoffer" if accepted < TASKS => {
                base.get_or_insert_with(|| runner.memory());
                accepted += 1;
                let task = message["offerId"].clone();
                runner
                    .send(
                        json!({"type": "broker:taskofferaccept", "taskId": task, "offerId": task}),
                    )
                    .await;
            }
            "runner:taskoffer" => {}
            "runner:taskaccepted" => {
                let task = message["taskId"].clone();
                runner
                    .send(json!({"type": "broker:tasksettings", "taskId": task, "settings": code}))
                    .await;
            }
            "runner:rpc" => {
                let task = message["taskId"].as_str().unwrap().to_owned();
                assert!(waiting.insert(task, message["callId"].clone()).is_none());
            }
            other => panic!("unexpected {other}: {message}"),
        }
    }
    let begun = started.elapsed();
    let before = runner.cpu_seconds();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (consumed, memory) = (runner.cpu_seconds() - before, runner.memory());
    let each = (memory - base.unwrap()) * 1024.0 / TASKS as f64;
    println!(
        "{TASKS} tasks wait after {begun:?}: {memory:.0} MiB, {each:.0} KiB each; {consumed:.2} s of CPU time in 2 s"
    );
    for (task, call) in &waiting {
        let answer = json!({"type": "broker:rpcresponse", "taskId": task, "callId": call, "status": "success", "data": task});
        runner.send(answer).await;
    }
    while !waiting.is_empty() {
        let message = runner.next().await;
        if message["type"] != "runner:taskoffer" {
            assert_eq!(
                (&message["type"], &message["data"]["result"]),
                (&json!("runner:taskdone"), &message["taskId"])
            );
            assert!(
                waiting.remove(message["taskId"].as_str().unwrap()).is_some(),
                "answered twice: {message}"
            );
        }
    }
    assert!(consumed < 0.5, "{TASKS} waiting tasks consumed {consumed:.2} s of CPU time in 2 s");
    assert!(each < 1024.0, "a task that waits holds {each:.0} KiB");
}
