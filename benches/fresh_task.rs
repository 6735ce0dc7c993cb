//! What one task costs in process: a fresh instance, a small piece of Python, the drop; and what fuel means in time.
//!
//! `cargo bench --bench fresh_task`

use std::{sync::Arc, time::Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use serde_json::value::RawValue;
use serpentarium::{
    fuel::display_fuel,
    protocol::{NodeMode, TaskSettings},
    sandbox::{End, Job, Limits, NoHost, Outcome, Sandbox, SandboxConfig},
};

/// A name, the code, its mode, and its items.
const TASKS: &[(&str, &str, NodeMode, &str)] = &[
    ("trivial", "return 1 + 2", NodeMode::AllItems, "[]"),
    (
        "one item",
        "return [{'json': {'sum': i['json']['a'] + 1}} for i in _items]",
        NodeMode::AllItems,
        r#"[{"json":{"a":1}}]"#,
    ),
    (
        "each of 3 items",
        "return {'b': _item['json']['a']}",
        NodeMode::EachItem,
        r#"[{"json":{"a":1}},{"json":{"a":2}},{"json":{"a":3}}]"#,
    ),
    ("imports", "import json, re, datetime\nreturn re.sub('a', 'b', json.dumps({'a': 1}))", NodeMode::AllItems, "[]"),
    ("exception", "def f(): raise ValueError('x')\nf()", NodeMode::AllItems, "[]"),
];

fn job(code: &str, mode: NodeMode, items: &str) -> Job {
    let items = RawValue::from_string(items.into()).expect("items are JSON");
    let input = TaskSettings::new(code, mode, items).to_input().expect("settings serialise");
    Job { input, limits: Limits::default(), deterministic: None }
}

fn benches(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let sandbox = Sandbox::new(SandboxConfig::default()).expect("the sandbox starts");
    let run = async |job: Job| -> Outcome { sandbox.run(job, Arc::new(NoHost)).await };

    let mut group = criterion.benchmark_group("fresh_task");
    for (name, code, mode, items) in TASKS {
        let job = job(code, *mode, items);
        let outcome = runtime.block_on(run(job.clone()));
        assert!(matches!(outcome.end, End::Returned(_) | End::Raised(_)), "{name}: {:?}", outcome.end);
        group.bench_function(*name, |bencher| bencher.to_async(&runtime).iter(|| run(job.clone())));
    }
    group.finish();

    let mut spin = job("n = 0\nwhile True: n += 1", NodeMode::AllItems, "[]");
    spin.limits.fuel = 3_000_000_000;
    let started = Instant::now();
    let outcome = runtime.block_on(run(spin));
    let per_second = outcome.usage.fuel as f64 / started.elapsed().as_secs_f64();
    println!("a busy loop burns {} units of fuel a second", display_fuel(per_second as u64));
}

criterion_group!(fresh_task, benches);
criterion_main!(fresh_task);
