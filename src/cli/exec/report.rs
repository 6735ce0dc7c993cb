//! What `exec --json` prints.

use serde::Serialize;
use serde_json::{Value, json, value::RawValue};

use crate::{
    cli::exec::files_out::Written,
    runner::effects::{CheckedOutcome, Effects},
    sandbox::Failure,
};

/// The object that `--json` prints.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ExecReport<'a> {
    status: &'static str,
    /// Raw JSON, as the code returned it.
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'a RawValue>,
    #[serde(flatten)]
    effects: Option<&'a Effects>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Value>,
    /// The files that `--out` wrote.
    #[serde(skip_serializing_if = "Option::is_none")]
    files: Option<&'a [Written]>,
    prints: &'a str,
    stderr: &'a str,
    fuel: u64,
    memory: u64,
    duration_ms: f64,
}

impl<'a> ExecReport<'a> {
    /// Creates the object for an outcome, the prints and the written files.
    pub(crate) fn new(
        outcome: &'a CheckedOutcome,
        prints: &'a str,
        files: Option<&'a [Written]>,
    ) -> serde_json::Result<Self> {
        let (status, result, error) = match &outcome.result {
            Ok(returned) => ("returned", Some(&*returned.value), None),
            Err(Failure::Raised(exception)) => {
                ("raised", None, Some(serde_json::to_value(exception)?))
            }
            Err(Failure::Exceeded(limit)) => (
                "exceeded",
                None,
                Some(json!({"message": limit.to_string(), "limit": limit.name()})),
            ),
            Err(Failure::HostFault(reason) | Failure::WorkerLost(reason)) => {
                ("failed", None, Some(json!({"message": reason})))
            }
            Err(Failure::Broken(reason)) => ("broken", None, Some(json!({"message": reason}))),
        };
        Ok(Self {
            status,
            result,
            effects: outcome.result.as_ref().ok().map(|returned| &returned.effects),
            error,
            files,
            prints,
            stderr: &outcome.stderr,
            fuel: outcome.usage.fuel,
            memory: outcome.usage.memory,
            duration_ms: outcome.usage.duration.as_secs_f64() * 1e3,
        })
    }
}
