//! Runs 100 programs concurrently on one thread, each in an instance of its own.
//!
//! Tasks that wait for the host, or sleep, overlap. Tasks that compute share the thread: for those
//! use one thread with a runtime for each core, or worker processes (`serpentarium::workers`).
//!
//! `cargo run --release --example many_at_once`

use std::time::{Duration, Instant};

use serpentarium::sandbox::{NoHost, Program, Sandbox};
use tokio::task::JoinSet;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let sandbox = Sandbox::builder().slots(100).build()?;
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for n in 0..100_u32 {
        let sandbox = sandbox.clone();
        let program = Program::new("import time\ntime.sleep(1)\nreturn input * 2").input(n)?;
        tasks.spawn(async move { sandbox.run(program, NoHost).await });
    }
    let mut sum = 0;
    while let Some(outcome) = tasks.join_next().await {
        let completed = outcome?.result?;
        sum += serde_json::from_str::<u32>(completed.value.get())?;
    }
    println!("100 tasks, sum of the results {sum}");
    // One after the other they would take 100 s.
    println!("overlapped: {}", started.elapsed() < Duration::from_secs(50));
    Ok(())
}
