//! Deterministic mode: the same code and input consume exactly the same fuel in every run and
//! process.

use std::process::Command;

use crate::support::{job, run};
use serpentarium::sandbox::Job;

/// Uses the usual sources of variation: hashes, ids, sets, randomness, clocks, sleep, allocation.
const CODE: &str = "
import asyncio, random, time, uuid, secrets, json, re, datetime, tempfile
names = {str(uuid.uuid4()) for _ in range(50)} | {secrets.token_hex(4) for _ in range(20)}
started = time.perf_counter()
time.sleep(0.5)
async def wait(n):
    await asyncio.sleep(n / 1000)
    return id(n) % 16
async def main():
    return await asyncio.gather(*(wait(random.randint(1, 50)) for _ in range(20)))
waited = asyncio.run(main())
text = json.dumps({n: [random.random() for _ in range(5)] for n in names})
parts = re.findall(r'[a-f]+', text)
random.shuffle(parts)
while time.monotonic() - started < 0.6: pass
print(len(parts), datetime.datetime.now().isoformat())
return [sorted(names)[0], parts[0], sum(waited), hash('x'), time.time()]
";

fn deterministic(seed: u64) -> Job {
    job(CODE).seed(seed)
}

#[tokio::test]
async fn a_hundred_runs_consume_and_return_the_same() {
    let first = run(deterministic(7)).await;
    let expected = crate::support::returned(&first);
    for _ in 0..100 {
        let outcome = run(deterministic(7)).await;
        assert_eq!(outcome.usage.fuel, first.usage.fuel);
        assert_eq!(outcome.usage.memory, first.usage.memory);
        assert_eq!(crate::support::returned(&outcome), expected);
    }
}

#[tokio::test]
async fn runs_beside_others_consume_the_same_fuel_as_alone() {
    let alone = run(deterministic(7)).await.usage.fuel;
    let tasks: Vec<_> = (0..8).map(|_| tokio::spawn(run(deterministic(7)))).collect();
    for task in tasks {
        assert_eq!(task.await.expect("no panic").usage.fuel, alone);
    }
}

#[tokio::test]
async fn another_seed_gives_other_randomness() {
    let values: Vec<_> = [run(deterministic(1)).await, run(deterministic(2)).await]
        .iter()
        .map(crate::support::returned)
        .collect();
    assert_ne!(values[0], values[1]);
}

#[tokio::test]
async fn without_the_mode_randomness_differs_from_task_to_task() {
    let code =
        "import random, uuid, os\nreturn [random.random(), str(uuid.uuid4()), os.urandom(8).hex()]";
    let values: Vec<_> =
        [run(job(code)).await, run(job(code)).await].iter().map(crate::support::returned).collect();
    let [first, second] = [values[0].as_array().unwrap(), values[1].as_array().unwrap()];
    assert!(first.iter().zip(second).all(|(one, other)| one != other), "{values:?}");
}

#[test]
fn two_processes_consume_the_same_fuel() {
    let file = tempfile::NamedTempFile::with_suffix(".py").expect("a temporary file");
    std::fs::write(file.path(), CODE).expect("it can be written");
    let fuel = || {
        let out = Command::new(env!("CARGO_BIN_EXE_serpentarium"))
            .args(["exec", "--deterministic", "--seed", "7", "--json"])
            .arg(file.path())
            .output()
            .expect("serpentarium starts");
        let report: serde_json::Value =
            serde_json::from_slice(&out.stdout).expect("--json prints JSON");
        assert_eq!(report["status"], "returned", "{report}");
        report["fuel"].as_u64().expect("fuel is a number")
    };
    assert_eq!(fuel(), fuel());
}
