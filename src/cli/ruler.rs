//! What `bench` and `profile` measure with: programs run deterministically, in this process, and marks that the guest sets
//! are read off the fuel counter.

use std::{
    fmt::Write,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::runtime::Runtime;

use super::program::exit_code;
use crate::{
    protocol::TaskSettings,
    sandbox::{
        self, Answer, HostCalls, IMAGE_VERSION, Job, Limits, METHOD_NOT_ALLOWED, PendingAnswer,
        Sandbox, SandboxError,
    },
    sync::lock,
};

/// What the guest is to measure (wasm/guest/_serpentarium/measure).
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub(crate) enum Measure<'a> {
    /// Which benchmarks a file has.
    Plan,
    /// One benchmark with the parameter of this index; or nothing in its place.
    Bench { name: &'a str, param: Option<usize>, empty: bool },
    /// A whole program, between marks.
    Span,
    /// A whole program, line by line.
    Profile,
    /// What watching costs.
    Calibrate,
}

/// How much longer than by itself a program may take while it is watched.
const WATCHED_TIMES: u32 = 25;

/// A program that did not come to its end as it should: the text says which and why.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub(crate) struct Failure {
    pub text: String,
    /// The process's exit code.
    pub code: u8,
}

/// Runs programs, one after the other.
pub(crate) struct Ruler {
    sandbox: Sandbox,
    runtime: Runtime,
    limits: Limits,
    seed: u64,
}

/// Why there is no ruler.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RulerError {
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    #[error("cannot start a runtime: {0}")]
    Runtime(#[from] std::io::Error),
}

impl Ruler {
    pub(crate) fn new(limits: Limits, seed: u64) -> Result<Self, RulerError> {
        let sandbox = Sandbox::builder().slots(1).build()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .event_interval(1)
            .build()?;
        Ok(Self { sandbox, runtime, limits, seed })
    }

    /// Runs a program, by itself or as it is to be measured. `name` is what a failure calls it.
    ///
    /// # Errors
    /// It raised, went over a limit, or broke.
    pub(crate) fn run(
        &self,
        name: &str,
        settings: &TaskSettings,
        measure: Option<Measure>,
        host: Arc<dyn HostCalls>,
    ) -> anyhow::Result<Run> {
        // Watching takes time and fuel of its own, and calibrating is none of the program's.
        let limits = match measure {
            Some(Measure::Profile) => {
                let Limits { time, .. } = self.limits;
                Limits {
                    time: time.saturating_mul(WATCHED_TIMES),
                    fuel: Limits::MAX_FUEL,
                    notified: u64::MAX,
                    ..self.limits.clone()
                }
            }
            Some(Measure::Calibrate | Measure::Span) => {
                let standard = Limits::default();
                Limits {
                    time: standard.time.max(self.limits.time),
                    fuel: Limits::MAX_FUEL,
                    ..standard
                }
            }
            _ => self.limits.clone(),
        };
        let input = input(settings, measure)?;
        let job = Job::new(input, limits).seed(self.seed);
        let outcome = self.runtime.block_on(self.sandbox.run(job, host));
        let usage = outcome.usage;
        match outcome.result {
            Ok(completed) => Ok(Run {
                value: completed.value,
                fuel: usage.fuel,
                memory: usage.memory,
                took: usage.duration,
            }),
            Err(why) => Err(failure(name, why, &outcome.stderr).into()),
        }
    }

    /// What makes amounts of fuel the same everywhere, in a line for people.
    pub(crate) fn mode(&self) -> String {
        let seed = self.seed;
        format!(
            "deterministic: clock from 2023-11-14 22:13:20 UTC, which passes only when it is read or slept; randomness from \
             seed {seed}; hash seed 0; image {IMAGE_VERSION}"
        )
    }
}

/// A program that returned.
#[derive(Debug)]
pub(crate) struct Run {
    /// What it returned, JSON.
    pub value: Box<RawValue>,
    /// Units of fuel burnt, from the first instruction of the task to the last.
    pub fuel: u64,
    /// The largest size of its memory in bytes.
    pub memory: u64,
    pub took: std::time::Duration,
}

/// The settings as the guest reads them, with what is to be measured.
fn input(settings: &TaskSettings, measure: Option<Measure>) -> serde_json::Result<Bytes> {
    let Some(measure) = measure else { return settings.to_input() };
    let mut text = serde_json::to_string(settings)?;
    let measure = serde_json::to_string(&measure)?;
    // The object stays open for one more member.
    text.pop();
    text.push_str(r#","serpentarium":{"measure":"#);
    text.push_str(&measure);
    text.push_str("}}");
    Ok(text.into())
}

fn failure(name: &str, why: sandbox::Failure, stderr: &str) -> Failure {
    use sandbox::Failure::{Broken, Exceeded, Raised, WorkerLost};
    let mut text = format!("{name}: ");
    match &why {
        Raised(exception) => {
            text.push_str(exception.description.as_ref().unwrap_or(&exception.message).trim_end());
        }
        Exceeded(limit) => text.push_str(&limit.to_string()),
        Broken(reason) | WorkerLost(reason) => text.push_str(reason),
    }
    if !stderr.is_empty() {
        // Writing to a String cannot fail.
        let _ = write!(text, "\n{}", stderr.trim_end());
    }
    Failure { text, code: exit_code::<()>(&Err(why)) }
}

/// A host that keeps how much fuel was burnt between marks, and nothing else that it is told.
#[derive(Debug, Default)]
pub(crate) struct Span(Mutex<(Option<u64>, u64)>);

impl Span {
    /// Units burnt between the marks, all spans together.
    pub(crate) fn fuel(&self) -> u64 {
        lock(&self.0).1
    }
}

impl HostCalls for Span {
    fn call(&self, _name: &str, _params: Box<RawValue>) -> PendingAnswer {
        refuse()
    }

    fn notify_at(&self, name: &str, _params: Box<RawValue>, fuel: u64) {
        let mut span = lock(&self.0);
        match name {
            "begin" => span.0 = Some(fuel),
            "end" => span.1 += span.0.take().map_or(0, |begun| fuel - begun),
            _ => {}
        }
    }
}

/// The answer to a host call where there is nothing to call.
pub(crate) fn refuse() -> PendingAnswer {
    let answer: Answer = Err(METHOD_NOT_ALLOWED.into());
    Box::pin(std::future::ready(answer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::NodeMode;

    #[test]
    fn what_is_to_be_measured_stands_beside_the_settings() {
        let items = RawValue::from_string("[]".into()).unwrap();
        let settings = TaskSettings::new("x", NodeMode::AllItems, items);
        let measure = Measure::Bench { name: "bench_x", param: Some(1), empty: false };
        let text = input(&settings, Some(measure)).unwrap();
        let value: serde_json::Value = serde_json::from_slice(&text).unwrap();
        let expected =
            serde_json::json!({"kind": "bench", "name": "bench_x", "param": 1, "empty": false});
        assert_eq!(value["serpentarium"]["measure"], expected);
        assert_eq!(value["code"], "x");
    }

    #[test]
    fn spans_add_up_and_an_end_without_a_beginning_is_nothing() {
        let (span, nothing) = (Span::default(), || RawValue::from_string("0".into()).unwrap());
        for (name, fuel) in
            [("end", 5), ("begin", 10), ("line", 11), ("end", 15), ("begin", 20), ("end", 22)]
        {
            span.notify_at(name, nothing(), fuel);
        }
        assert_eq!(span.fuel(), 7);
    }
}
