//! The bytes of a worker's pipe, while two of its jobs run.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;
use serpentarium::{
    fuzzing::FuzzSlot,
    sandbox::{Answer, HostCalls, Job, Limits, PendingAnswer},
};

/// A host that answers some calls at once, some later, some never.
struct Host;

impl HostCalls for Host {
    fn call(&self, name: &str, params: Box<RawValue>) -> PendingAnswer {
        match name.len() % 3 {
            0 => Box::pin(std::future::ready(Answer::Ok(params))),
            1 => Box::pin(async {
                tokio::task::yield_now().await;
                Err("no".to_owned())
            }),
            _ => Box::pin(std::future::pending()),
        }
    }

    fn notify(&self, _name: &str, params: Box<RawValue>) {
        serde_json::from_str::<&RawValue>(params.get()).unwrap();
    }
}

async fn run(input: &[u8]) {
    let slot = FuzzSlot::default();
    let limits = Limits::default().in_flight(2).call_bytes(1000).notified(1000).output(1000);
    let outcomes = [1, 2].map(|id| slot.begin(id, Job::new("{}", limits.clone()), Arc::new(Host)));
    let _broken = slot.pipe(input).await;
    for _ in 0..8 {
        tokio::task::yield_now().await;
    }
    slot.reset();
    for outcome in outcomes {
        // Every job has an outcome, whatever the worker sent.
        outcome.await.unwrap();
    }
}

fuzz_target!(|input: &[u8]| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(run(input));
});
