//! Countable costs of ordinary tasks (fuel, page faults, memory), and the sizes of image and
//! binary. `fuel_corpus.rs` checks exact fuel; `src/workers/pipe.rs` counts bytes on the pipe.
//!
//! A golden file holds each count, with a tolerance on both sides: a regression must be intended,
//! and an improvement must not be lost. `UPDATE_GOLDEN=1 cargo test --release --test it cost`
//! rewrites it.

use std::{fmt::Write, fs, path::Path, sync::Arc, task::Poll};

use crate::support::{Silent, job, own_process};
use serpentarium::sandbox::{Failure, NoHost, Sandbox};
use wasmtime::PoolingAllocationConfig;

/// Number of tasks per count.
const TASKS: usize = 32;
/// Largest size of the binary in bytes.
const MAX_BINARY: u64 = 70_000_000;

/// A named count.
struct Count {
    name: &'static str,
    /// Allowed difference in percent, for other kernels and small changes.
    tolerance: u64,
    /// None if this kernel lacks the feature that the count measures.
    count: Option<u64>,
}

impl Count {
    /// Returns a line of text if the count differs from the golden file.
    fn differs_from(&self, golden: &str) -> Option<String> {
        let Self { name, tolerance, count } = self;
        let expected = golden
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")?.parse::<u64>().ok());
        let Some(expected) = expected else {
            return Some(format!("{name}: {count:?}, which the file does not have"));
        };
        let count = (*count)?;
        let differs = count.abs_diff(expected) * 100 > expected * tolerance;
        differs
            .then(|| format!("{name}: {count}, not {expected} with a tolerance of {tolerance} %"))
    }
}

/// Returns a line for each difference, including entries of the golden file without a count.
fn differences(counts: &[Count], golden: &str) -> Vec<String> {
    let counted = |line: &str| {
        counts.iter().any(|count| line.split_once(": ").is_some_and(|(name, _)| name == count.name))
    };
    let uncounted =
        golden.lines().filter(|line| !counted(line)).map(|line| format!("{line}, without a count"));
    counts.iter().filter_map(|count| count.differs_from(golden)).chain(uncounted).collect()
}

const TRIVIAL: &str = "return 1 + 2";
/// Ordinary tasks. Their memory is reused in place only if they write to few ranges of pages.
const ORDINARY: [(&str, &str, &str); 3] = [
    ("fuel of a trivial task", "page faults of a task in used memory", TRIVIAL),
    (
        "fuel of a task that imports",
        "page faults of a task that imports, in used memory",
        "import json, re, datetime\nreturn re.sub('a', 'b', json.dumps({'a': 1}))",
    ),
    (
        "fuel of a task that raises",
        "page faults of a task that raises, in used memory",
        "def f(): raise ValueError('x')\nf()",
    ),
];

/// Returns the number after this name in a file of `/proc`.
fn proc_number(path: &str, name: &str) -> u64 {
    let text = fs::read_to_string(path).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// Returns the page faults of this thread so far.
fn faults() -> u64 {
    let stat = fs::read_to_string("/proc/thread-self/stat").unwrap();
    stat.rsplit(')').next().unwrap().split_whitespace().nth(7).unwrap().parse().unwrap()
}

/// Returns the fuel and the page faults (median) of a task in a sandbox that runs only this task.
async fn fuel_and_faults_of(code: &str, sandbox: Sandbox) -> (u64, u64) {
    let (mut fuel, mut each) = (0, Vec::new());
    for _ in 0..TASKS {
        let before = faults();
        let outcome = sandbox.run(job(code).seed(1), Arc::new(NoHost)).await;
        each.push(faults() - before);
        assert!(matches!(outcome.result, Ok(_) | Err(Failure::Raised(_))), "{outcome:?}");
        fuel = outcome.usage.fuel;
    }
    each.sort_unstable();
    (fuel, each[TASKS / 2])
}

/// Returns the KiB of the image that a slot maps for this task. None if the image is not mapped
/// page by page (flag `uw`, proc_pid_smaps(5)): without `userfaultfd(2)`, fault-around also maps
/// neighbouring pages.
async fn mapped_by(code: &str, sandbox: Sandbox) -> Option<u64> {
    for _ in 0..TASKS {
        let outcome = sandbox.run(job(code).seed(1), Arc::new(NoHost)).await;
        assert!(outcome.result.is_ok(), "{outcome:?}");
    }
    let smaps = fs::read_to_string("/proc/self/smaps").unwrap();
    let images = smaps.split("wasm-memory-image").skip(1);
    let resident = images.map(|image| {
        let field = |name| image.split_once(name).unwrap().1.lines().next().unwrap();
        let resident = field("Rss:").trim().trim_end_matches(" kB").parse().unwrap();
        field("VmFlags:").split_whitespace().any(|flag| flag == "uw").then_some(resident)
    });
    // One of these mappings belongs to an instance that runs nothing.
    resident.max().expect("the image is mapped")
}

/// Returns the private KiB of a task that waits for an answer, in unused memory.
async fn memory_of_a_task() -> u64 {
    let sandbox = Sandbox::builder().slots(TASKS + 1).build().unwrap();
    let waits = job("import _host\nreturn _host.call('x', '[]')").seed(1);
    let mut waiting = Vec::new();
    let mut start = async || {
        let mut task = Box::pin(sandbox.run(waits.clone(), Arc::new(Silent)));
        // The task yields a few times before it waits for its answer.
        for _ in 0..100 {
            let ended =
                std::future::poll_fn(|context| Poll::Ready(task.as_mut().poll(context).is_ready()))
                    .await;
            assert!(!ended, "the task waits");
        }
        waiting.push(task);
    };
    start().await;
    let private = || proc_number("/proc/self/smaps_rollup", "Anonymous:");
    let before = private();
    for _ in 0..TASKS {
        start().await;
    }
    (private() - before) / TASKS as u64
}

/// Returns all counts. Reusing memory in place needs `PAGEMAP_SCAN` (Linux 6.7), which reports
/// written pages.
async fn counts() -> Vec<Count> {
    let (_, unused) =
        fuel_and_faults_of(TRIVIAL, Sandbox::builder().slots(1).pooled(false).build().unwrap())
            .await;
    let private = memory_of_a_task().await;
    let mut counts = vec![
        Count {
            name: "page faults of a task in unused memory",
            tolerance: 10,
            count: Some(unused),
        },
        Count { name: "private KiB of a running task", tolerance: 5, count: Some(private) },
    ];
    for (fuel_name, faults_name, code) in ORDINARY {
        let (fuel, faults) =
            fuel_and_faults_of(code, Sandbox::builder().slots(1).build().unwrap()).await;
        let faults = PoolingAllocationConfig::is_pagemap_scan_available().then_some(faults);
        counts.push(Count { name: fuel_name, tolerance: 2, count: Some(fuel) });
        // 100 %: one fault may be two on another kernel, but no fault stays none.
        counts.push(Count { name: faults_name, tolerance: 100, count: faults });
    }
    let mapped = mapped_by(TRIVIAL, Sandbox::builder().slots(1).build().unwrap()).await;
    counts.push(Count {
        name: "KiB of the image that a trivial task has mapped",
        tolerance: 10,
        count: mapped,
    });
    for (name, file) in [("KB of the module", "python.wasm"), ("KB of the image", "python.cwasm")] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("wasm/build").join(file);
        counts.push(Count {
            name,
            tolerance: 3,
            count: Some(fs::metadata(path).unwrap().len() / 1000),
        });
    }
    counts
}

#[test]
fn costs_are_those_of_the_golden_file() {
    own_process::run(concat!(module_path!(), "::costs_are_those_of_the_golden_file"), || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.unwrap().block_on(compare_with_the_golden_file());
    });
}

async fn compare_with_the_golden_file() {
    // The golden file holds for the image that ships, not for one that is built otherwise.
    for variable in
        ["SERPENTARIUM_BUILD_PYTHON", "SERPENTARIUM_CODEGEN", "SERPENTARIUM_BUILD_IMAGE"]
    {
        if std::env::var_os(variable).is_some() {
            eprintln!(
                "{variable} is set: the golden file is for the image that ships, and was not compared"
            );
            return;
        }
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/cost.golden");
    let counts = counts().await;
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let mut text = String::new();
        for Count { name, count, .. } in &counts {
            writeln!(text, "{name}: {}", count.expect("a kernel that can do all that is counted"))
                .unwrap();
        }
        fs::write(&path, text).unwrap();
        return;
    }
    let golden = fs::read_to_string(&path).unwrap();
    let different = differences(&counts, &golden);
    assert!(
        different.is_empty(),
        "{different:#?}\nWhere that is meant: UPDATE_GOLDEN=1 cargo test --release --test it cost"
    );
}

#[test]
fn the_binary_is_at_most_70_mb() {
    let size = fs::metadata(env!("CARGO_BIN_EXE_serpentarium")).unwrap().len();
    assert!(cfg!(debug_assertions) || size <= MAX_BINARY, "the binary has {size} bytes");
}

#[test]
fn a_count_outside_its_tolerance_is_reported() {
    let golden = "pages: 100\n";
    for (count, differs) in [(94, true), (95, false), (105, false), (106, true)] {
        let count = Count { name: "pages", tolerance: 5, count: Some(count) };
        assert_eq!(!differences(&[count], golden).is_empty(), differs);
    }
}

#[test]
fn a_count_missing_on_either_side_is_reported() {
    let count = |name, count| Count { name, tolerance: 5, count };
    assert_eq!(
        differences(&[count("pages", Some(1)), count("others", Some(1))], "pages: 1\n").len(),
        1
    );
    assert_eq!(differences(&[count("pages", Some(1))], "pages: 1\nothers: 1\n").len(), 1);
    // A kernel without the feature has nothing to compare.
    assert!(differences(&[count("pages", None)], "pages: 1\n").is_empty());
}
