//! Fuel is reproducible: a corpus of programs that use the standard library consumes the same in
//! every run, process and allocator, with any number of threads and beside other programs. A golden
//! file holds the fuel for the image.
//!
//! `UPDATE_GOLDEN=1 cargo test --release --test it fuel_corpus` rewrites that file.

use std::{
    collections::BTreeMap,
    fmt::Write,
    fs,
    future::Future,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use crate::support::{Echo, job_with};
use serpentarium::{
    protocol::NodeMode,
    sandbox::{Failure, IMAGE_VERSION, Job, Outcome, Sandbox},
    workers::{Pool, PoolConfig},
};

/// Returns a sandbox with fewer slots than `side_by_side` has programs. The shared one would be
/// full.
fn sandbox() -> &'static Sandbox {
    static SANDBOX: OnceLock<Sandbox> = OnceLock::new();
    SANDBOX.get_or_init(|| Sandbox::builder().slots(8).build().unwrap())
}

/// The result and the fuel of each program, by its name.
type Corpus = BTreeMap<String, (String, u64)>;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/corpus")
}

fn programs() -> &'static BTreeMap<String, String> {
    static PROGRAMS: OnceLock<BTreeMap<String, String>> = OnceLock::new();
    PROGRAMS.get_or_init(|| {
        let paths = fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().path());
        paths
            .filter(|path| path.extension().is_some_and(|extension| extension == "py"))
            .map(|path| {
                (
                    path.file_stem().unwrap().to_str().unwrap().to_owned(),
                    fs::read_to_string(&path).unwrap(),
                )
            })
            .collect()
    })
}

fn deterministic(code: &str) -> Job {
    job_with(code, NodeMode::AllItems, r#"[{"json":{"n":1}},{"json":{}}]"#).seed(1)
}

/// Runs the whole corpus, one program after the other.
async fn run_all<F: Future<Output = Outcome>>(run: impl Fn(Job) -> F) -> Corpus {
    let mut corpus = Corpus::new();
    for (name, code) in programs() {
        corpus.insert(name.clone(), ending(&run(deterministic(code)).await));
    }
    corpus
}

/// Returns the exact result of a program, and its fuel.
fn ending(outcome: &Outcome) -> (String, u64) {
    let end = match &outcome.result {
        Ok(completed) => completed.value.get().to_owned(),
        Err(Failure::Raised(exception)) => format!("{exception:?}"),
        other => panic!("a program of the corpus ended so: {other:?}"),
    };
    (end, outcome.usage.fuel)
}

/// Returns the reference: runs the corpus in this process, with the pool, one program after the
/// other.
async fn expected() -> Corpus {
    run_all(|job| sandbox().run(job, Arc::new(Echo::default()))).await
}

#[tokio::test]
async fn every_run_of_a_large_corpus_consumes_the_same() {
    let expected = expected().await;
    assert!(expected.len() >= 60, "{} programs", expected.len());
    assert!(expected.values().all(|(_, fuel)| *fuel > 0));
    assert_eq!(self::expected().await, expected);
}

#[tokio::test]
async fn instances_outside_the_pool_consume_the_same() {
    let without_pool = Sandbox::builder().slots(2).pooled(false).build().unwrap();
    assert_eq!(
        run_all(|job| without_pool.run(job, Arc::new(Echo::default()))).await,
        expected().await
    );
}

#[tokio::test]
async fn other_processes_consume_the_same() {
    let program = env!("CARGO_BIN_EXE_serpentarium").into();
    let pool = Pool::start(&PoolConfig { workers: 2, slots: 4, program, ..PoolConfig::default() })
        .unwrap();
    let expected = expected().await;
    for _ in 0..2 {
        assert_eq!(run_all(|job| pool.run(job, Arc::new(Echo::default()))).await, expected);
    }
}

#[test]
fn any_number_of_threads_consumes_the_same_fuel() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let expected = runtime().block_on(expected());
    for threads in [1, 2, 4] {
        let share = |thread: usize| {
            runtime().block_on(side_by_side(programs().iter().skip(thread).step_by(threads)))
        };
        let corpus: Corpus = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..threads).map(|thread| scope.spawn(move || share(thread))).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(corpus, expected, "{threads} threads");
    }
}

/// Runs programs concurrently: each yields after every few million units of fuel.
async fn side_by_side(programs: impl Iterator<Item = (&String, &String)>) -> Corpus {
    let run = |(name, code): (&String, &String)| {
        (name.clone(), tokio::spawn(sandbox().run(deterministic(code), Arc::new(Echo::default()))))
    };
    let mut corpus = Corpus::new();
    for (name, task) in programs.map(run).collect::<Vec<_>>() {
        corpus.insert(name, ending(&task.await.unwrap()));
    }
    corpus
}

#[tokio::test]
async fn the_fuel_of_the_corpus_is_that_of_the_golden_file() {
    let path = directory().join("fuel.golden");
    let mut current = format!("image {IMAGE_VERSION}\n");
    for (name, (_, fuel)) in expected().await {
        writeln!(current, "{name} {fuel}").unwrap();
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &current).unwrap();
        return;
    }
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
    let golden = fs::read_to_string(&path).unwrap();
    assert!(
        golden == current,
        "fuel differs from fuel.golden:\n{}\nWhere that is meant: UPDATE_GOLDEN=1 cargo test --release --test it fuel_corpus",
        differences(&golden, &current)
    );
}

/// Lines that differ between two golden files, with the difference of fuel in percent.
fn differences(golden: &str, current: &str) -> String {
    let values = |text: &str| -> BTreeMap<String, String> {
        text.lines()
            .filter_map(|line| line.split_once(' '))
            .map(|(name, value)| (name.into(), value.into()))
            .collect()
    };
    let (golden, current) = (values(golden), values(current));
    let mut text = String::new();
    for name in golden.keys().chain(current.keys().filter(|name| !golden.contains_key(*name))) {
        let [before, now] =
            [&golden, &current].map(|file| file.get(name).map_or("nothing", String::as_str));
        if before != now {
            let more = match (before.parse::<f64>(), now.parse::<f64>()) {
                (Ok(before), Ok(now)) => format!(" ({:+.2} %)", (now / before - 1.0) * 100.0),
                _ => String::new(),
            };
            writeln!(text, "{name}: {before} -> {now}{more}").unwrap();
        }
    }
    text
}

#[test]
fn a_difference_says_how_large_it_is() {
    let text = differences("image a\none 100\ntwo 5\ngone 1\n", "image b\none 105\ntwo 5\nnew 1\n");
    assert_eq!(
        text,
        "gone: 1 -> nothing\nimage: a -> b\none: 100 -> 105 (+5.00 %)\nnew: nothing -> 1\n"
    );
}
