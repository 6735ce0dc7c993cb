//! Shared helpers: one sandbox for all tests, functions that run code in it, and processes.

#[cfg(target_arch = "x86_64")]
pub(crate) mod inside;
pub(crate) mod loaded_runner;
pub(crate) mod own_process;
pub(crate) mod puppet;
pub(crate) mod script_broker;

use std::sync::{Arc, Mutex, OnceLock};

use serde_json::value::RawValue;
use serpentarium::{
    protocol::{NodeMode, TaskSettings},
    sandbox::{
        Answer, Exceeded, Exception, Failure, HostCalls, Job, Limits, NoHost, Outcome,
        PendingAnswer, Sandbox,
    },
};

/// Returns the sandbox that the tests share. A test that fills its slots must create its own
/// sandbox, because other tests would wait for a slot.
pub(crate) fn sandbox() -> &'static Sandbox {
    static SANDBOX: OnceLock<Sandbox> = OnceLock::new();
    SANDBOX.get_or_init(|| Sandbox::builder().slots(32).build().expect("the sandbox starts"))
}

/// Returns a job that runs the code once, with no items, under default limits.
pub(crate) fn job(code: &str) -> Job {
    job_with(code, NodeMode::AllItems, "[]")
}

/// Returns a job with a mode and items.
pub(crate) fn job_with(code: &str, mode: NodeMode, items: &str) -> Job {
    let items = RawValue::from_string(items.into()).expect("items are JSON");
    let input = TaskSettings::new(code, mode, items).to_input().expect("settings serialise");
    Job::new(input, Limits::default())
}

/// Returns a job under limits that differ from the default ones.
pub(crate) fn limited(code: &str, change: impl FnOnce(&mut Limits)) -> Job {
    let mut job = job(code);
    change(&mut job.limits);
    job
}

/// Runs a job in the shared sandbox.
pub(crate) async fn run(job: Job) -> Outcome {
    sandbox().run(job, Arc::new(NoHost)).await
}

/// Returns the value that a job returned.
pub(crate) fn returned(outcome: &Outcome) -> serde_json::Value {
    match &outcome.result {
        Ok(completed) => serde_json::from_str(completed.value.get()).expect("a result is JSON"),
        other => panic!("expected a result, not {other:?} (stderr: {})", outcome.stderr),
    }
}

/// Returns the exception that a job raised.
pub(crate) fn raised(outcome: &Outcome) -> &Exception {
    match &outcome.result {
        Err(Failure::Raised(exception)) => exception,
        other => panic!("expected an exception, not {other:?} (stderr: {})", outcome.stderr),
    }
}

/// Returns a message or a description without its hint.
pub(crate) fn own_text(text: &str) -> &str {
    text.split_once("\nHint: ").map_or(text, |(own, _)| own)
}

/// Returns the limit that a job exceeded.
pub(crate) fn exceeded(outcome: &Outcome) -> Exceeded {
    match &outcome.result {
        Err(Failure::Exceeded(limit)) => *limit,
        other => panic!("expected an exceeded limit, not {other:?} (stderr: {})", outcome.stderr),
    }
}

/// A host that records notifications and answers every call with its parameters.
#[derive(Default)]
pub(crate) struct Echo {
    pub notified: Mutex<Vec<(String, String)>>,
}

impl HostCalls for Echo {
    fn call(&self, _name: &str, params: Box<RawValue>) -> PendingAnswer {
        let answer: Answer = Ok(params);
        Box::pin(std::future::ready(answer))
    }

    fn notify(&self, name: &str, params: Box<RawValue>) {
        self.notified.lock().expect("no test panics here").push((name.into(), params.get().into()));
    }
}

/// A host whose calls stay pending.
pub(crate) struct Silent;

impl HostCalls for Silent {
    fn call(&self, _name: &str, _params: Box<RawValue>) -> PendingAnswer {
        Box::pin(std::future::pending())
    }

    fn notify(&self, _name: &str, _params: Box<RawValue>) {}
}
