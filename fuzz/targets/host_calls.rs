//! Calls of a guest with any arguments and in any order. `guest.wat` makes those of the input.
#![no_main]

use std::{
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;
use serpentarium::{
    fuzzing::Guest,
    sandbox::{HostCalls, Limits, PendingAnswer},
};

static GUEST: LazyLock<Guest> = LazyLock::new(|| {
    // SAFETY: build.rs has made the file with wasmtime.
    unsafe { Guest::load(include_bytes!(concat!(env!("OUT_DIR"), "/guest.cwasm"))) }.unwrap()
});

const CALLS: u32 = 50;
const CALL_BYTES: u64 = 4096;
const NOTIFIED: u64 = 10_000;

/// Checks what the sandbox promises of a call.
#[derive(Default)]
struct Host {
    calls: AtomicU64,
    notified: AtomicU64,
}

impl Host {
    fn check(&self, name: &str, params: &RawValue) {
        assert!((1..=64).contains(&name.len()));
        assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)));
        assert!(params.get().len() as u64 <= CALL_BYTES);
        serde_json::from_str::<&RawValue>(params.get()).unwrap();
        assert!(self.calls.fetch_add(1, Ordering::Relaxed) < u64::from(CALLS));
    }
}

impl HostCalls for Host {
    fn call(&self, name: &str, params: Box<RawValue>) -> PendingAnswer {
        self.check(name, &params);
        match name {
            "echo" => Box::pin(std::future::ready(Ok(params))),
            "slow" => Box::pin(async {
                tokio::time::sleep(Duration::from_millis(5)).await;
                Ok(params)
            }),
            "never" => Box::pin(std::future::pending()),
            "large" => Box::pin(std::future::ready(Err("x".repeat(CALL_BYTES as usize + 1)))),
            _ => Box::pin(std::future::ready(Err("no".into()))),
        }
    }

    fn notify(&self, name: &str, params: Box<RawValue>) {
        self.check(name, &params);
        let bytes = params.get().len() as u64;
        assert!(self.notified.fetch_add(bytes, Ordering::Relaxed) + bytes <= NOTIFIED);
        assert_ne!(name, "sandbox.forget");
    }
}

/// Runs the input; returns how it ended and the fuel.
fn run(input: &[u8]) -> (String, u64) {
    // With a paused clock, tokio skips the time that everything waits for.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let limits = Limits::default()
        .calls(CALLS)
        .call_bytes(CALL_BYTES)
        .notified(NOTIFIED)
        .in_flight(8)
        .output(4096)
        .stderr(4096)
        .fuel(100_000_000)
        .call_time(Duration::from_millis(100));
    let host = Arc::new(Host::default());
    let outcome = runtime.block_on(GUEST.run(input, limits, host));
    (format!("{:?} {:?}", outcome.result, outcome.stderr), outcome.usage.fuel)
}

fuzz_target!(|input: &[u8]| {
    // Deterministic: the same input ends the same, with the same fuel.
    assert_eq!(run(input), run(input));
});
