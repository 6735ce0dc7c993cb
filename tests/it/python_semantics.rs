//! Python semantics beyond the conformance cases (tests/conformance/cases), which own the form of
//! values, prints and errors: generated, large and hostile programs, and the standard library.

mod archives;
mod asyncio;
mod code;
mod counts;
mod databases;
mod errors;
mod files;
mod forms;
mod hostile;
mod items;
mod library;
mod local_time;
mod modules;
mod printing;
mod results;
mod threads;

use std::sync::Arc;

use crate::support::{Echo, job, job_with, own_text, sandbox};
use serde_json::Value;
use serpentarium::{
    protocol::NodeMode,
    sandbox::{Exception, Job, Outcome},
};

/// The outcome of a task and its notifications.
struct TaskRun {
    outcome: Outcome,
    notified: Vec<(String, Value)>,
}

impl TaskRun {
    /// Returns the value that the code returned.
    fn value(&self) -> Value {
        crate::support::returned(&self.outcome)
    }

    /// Returns the exception that the code raised.
    fn exception(&self) -> &Exception {
        crate::support::raised(&self.outcome)
    }

    fn description(&self) -> &str {
        self.exception().description.as_deref().unwrap_or_default()
    }

    /// Returns the parameters of notifications with this name, in order.
    fn notified(&self, name: &str) -> Vec<Value> {
        self.notified
            .iter()
            .filter(|(notified, _)| notified == name)
            .map(|(_, params)| params.clone())
            .collect()
    }

    /// Returns the printed statements: notifications for the node's log.
    fn printed(&self) -> Vec<Value> {
        self.notified("logNodeOutput")
    }
}

async fn run_job(job: Job) -> TaskRun {
    let host = Arc::new(Echo::default());
    let outcome = sandbox().run(job, host.clone()).await;
    let notified = host.notified.lock().expect("no test panics here");
    let notified = notified
        .iter()
        .map(|(name, params)| (name.clone(), serde_json::from_str(params).expect("JSON")))
        .collect();
    TaskRun { outcome, notified }
}

/// Runs code once, without items.
async fn run(code: &str) -> TaskRun {
    run_job(job(code)).await
}

/// Runs code once, for all these items.
async fn run_all(code: &str, items: &Value) -> TaskRun {
    run_job(job_with(code, NodeMode::AllItems, &items.to_string())).await
}

/// Runs code once for each of these items.
async fn run_each(code: &str, items: &Value) -> TaskRun {
    run_job(job_with(code, NodeMode::EachItem, &items.to_string())).await
}

/// Runs code with further fields in its settings.
async fn run_with(code: &str, more: Value) -> TaskRun {
    let mut job = job(code);
    let mut settings: Value = serde_json::from_slice(&job.input).expect("settings are JSON");
    let fields = settings.as_object_mut().expect("settings are an object");
    fields.extend(more.as_object().expect("more fields are an object").clone());
    job.input = settings.to_string().into();
    run_job(job).await
}

/// Runs raw settings.
async fn run_settings(settings: &str) -> TaskRun {
    let mut job = job("");
    job.input = settings.to_owned().into();
    run_job(job).await
}

/// Runs code without items and returns its result.
async fn value(code: &str) -> Value {
    run(code).await.value()
}

/// Checks that each program returns its value.
async fn all_return(cases: &[(&str, Value)]) {
    for (code, expected) in cases {
        assert_eq!(&value(code).await, expected, "{code}");
    }
}

/// Checks that each program fails with its message.
async fn all_fail(cases: &[(&str, &str)]) {
    for (code, message) in cases {
        assert_eq!(own_text(&run(code).await.exception().message), *message, "{code}");
    }
}
