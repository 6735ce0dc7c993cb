//! Runs programs that go over their limits, and one that raises an exception.
//!
//! `cargo run --release --example limits`

use std::time::Duration;

use serpentarium::sandbox::{Failure, Limits, NoHost, Program, Sandbox};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let sandbox = Sandbox::builder().build()?;
    let limits = Limits::default().memory(64 << 20).fuel(50_000_000);
    let short = limits.clone().time(Duration::from_millis(200));
    for (code, limits) in [
        ("while True: pass", &limits),
        ("import time; time.sleep(60)", &short),
        ("return len('x' * 100_000_000)", &limits),
        ("return 1 / 0", &limits),
        ("return 1", &limits),
    ] {
        let outcome = sandbox.run(Program::new(code).limits(limits.clone()), NoHost).await;
        match outcome.result {
            Ok(completed) => println!("returned {}", completed.value),
            Err(Failure::Exceeded(limit)) => println!("exceeded {}: {limit}", limit.name()),
            Err(Failure::Raised(exception)) => {
                println!("raised in line {:?}: {exception}", exception.line_number);
            }
            Err(failure) => println!("failed: {failure}"),
        }
    }
    Ok(())
}
