//! The harness of `bench` and `profile`: it runs programs deterministically in this process, and
//! reads the fuel counter at the marks that the guest sets.

use std::{
    fmt::Write,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::runtime::Runtime;

use super::{
    exit_code,
    program::{ProgramImage, name_flag},
};
use crate::{
    protocol::{HostSettings, TaskSettings},
    sandbox::{
        self, Answer, HostCalls, Job, Limits, METHOD_NOT_ALLOWED, PendingAnswer, Sandbox,
        SandboxError,
    },
    sync::lock,
};

/// The measurement that the guest makes (wasm/guest/_serpentarium/measure).
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub(crate) enum Measure<'a> {
    /// Lists the benchmarks of a file.
    Plan,
    /// Runs one benchmark with the parameter of this index. `empty`: runs an empty function in its
    /// place, which measures the harness.
    Bench { name: &'a str, param: Option<usize>, empty: bool },
    /// Runs a whole program between two marks.
    Span,
    /// Runs a whole program, and traces its lines.
    Profile,
    /// Runs the programs that measure the cost of tracing.
    Calibrate,
}

/// Factor by which the time limit grows for a traced program: tracing takes time for every line.
const TRACED_FACTOR: u32 = 25;

/// A program failed. The text names the program and the reason.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub(crate) struct ProgramFailure {
    pub text: String,
    /// The exit code of the process.
    pub code: u8,
}

/// Runs programs one after the other.
pub(crate) struct Harness {
    sandbox: Sandbox,
    runtime: Runtime,
    limits: Limits,
    seed: u64,
}

/// The harness could not be built.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HarnessError {
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    #[error("cannot start a runtime: {0}")]
    Runtime(#[from] std::io::Error),
}

impl Harness {
    pub(crate) fn new(
        image: &ProgramImage,
        limits: Limits,
        seed: u64,
    ) -> Result<Self, HarnessError> {
        let sandbox = image.sandbox()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .event_interval(1)
            .build()?;
        Ok(Self { sandbox, runtime, limits, seed })
    }

    /// Runs a program, with a measurement if there is one. Errors name it `name`.
    ///
    /// # Errors
    /// The program raised an exception or exceeded a limit, or the sandbox failed.
    pub(crate) fn run(
        &self,
        name: &str,
        settings: &TaskSettings,
        measure: Option<Measure>,
        host: Arc<dyn HostCalls>,
    ) -> anyhow::Result<CompletedRun> {
        // Tracing consumes time and fuel of its own, and the calibration is not the program's.
        let limits = match measure {
            Some(Measure::Profile) => {
                let Limits { time, .. } = self.limits;
                Limits {
                    time: time.saturating_mul(TRACED_FACTOR),
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
                    input: standard.input.max(self.limits.input),
                    memory: standard.memory.max(self.limits.memory),
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
            Ok(completed) => Ok(CompletedRun {
                value: completed.value,
                fuel: usage.fuel,
                memory: usage.memory,
                took: usage.duration,
            }),
            Err(why) => Err(failure(name, why, &outcome.stderr).into()),
        }
    }

    /// Returns the conditions that make fuel reproducible, as one line of text.
    pub(crate) fn mode(&self) -> String {
        let seed = self.seed;
        format!(
            "deterministic: clock from 2023-11-14 22:13:20 UTC, which passes only when it is read or slept; randomness from \
             seed {seed}; hash seed 0; image {}",
            self.image_version()
        )
    }

    pub(crate) fn image_version(&self) -> &str {
        &self.sandbox.image().version
    }
}

/// A program that returned.
#[derive(Debug)]
pub(crate) struct CompletedRun {
    /// Its result, JSON.
    pub value: Box<RawValue>,
    /// Units of fuel from the first instruction of the task to the last.
    pub fuel: u64,
    /// Peak size of its memory in bytes.
    pub memory: u64,
    pub took: std::time::Duration,
}

/// The settings of the host that a measured program gets.
#[derive(Serialize)]
struct Measured<'a> {
    #[serde(flatten)]
    host: HostSettings,
    measure: Measure<'a>,
}

/// Returns the settings for the guest, with the measurement.
fn input(settings: &TaskSettings, measure: Option<Measure>) -> serde_json::Result<Bytes> {
    let Some(measure) = measure else { return settings.to_input() };
    let mut settings = settings.clone();
    let HostSettings { files, file_bytes, .. } = settings.serpentarium.take().unwrap_or_default();
    let host = HostSettings { files, file_bytes, ..HostSettings::default() };
    let mut text = serde_json::to_string(&settings)?;
    // Remove the closing brace, to append one more member.
    text.pop();
    let host = serde_json::to_string(&Measured { host, measure })?;
    text.push_str(&format!(r#","serpentarium":{host}}}"#));
    Ok(text.into())
}

fn failure(name: &str, mut why: sandbox::Failure, stderr: &str) -> ProgramFailure {
    name_flag(&mut why);
    use sandbox::Failure::{Broken, Exceeded, HostFault, Raised, WorkerLost};
    let mut text = format!("{name}: ");
    match &why {
        Raised(exception) => {
            text.push_str(exception.description.as_ref().unwrap_or(&exception.message).trim_end());
        }
        Exceeded(limit) => text.push_str(&limit.to_string()),
        Broken(reason) | HostFault(reason) | WorkerLost(reason) => text.push_str(reason),
    }
    if !stderr.is_empty() {
        // Writing to a String cannot fail.
        let _ = write!(text, "\n{}", stderr.trim_end());
    }
    ProgramFailure { text, code: exit_code::of_result::<()>(&Err(why)) }
}

/// A host that adds up the fuel between marks, and ignores all other notifications.
#[derive(Debug, Default)]
pub(crate) struct SpanHost(Mutex<(Option<u64>, u64)>);

impl SpanHost {
    /// Returns the units consumed between the marks, over all spans.
    pub(crate) fn fuel(&self) -> u64 {
        lock(&self.0).1
    }
}

impl HostCalls for SpanHost {
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

/// Returns the answer to every host call: measured programs have no host to call.
pub(crate) fn refuse() -> PendingAnswer {
    let answer: Answer = Err(METHOD_NOT_ALLOWED.into());
    Box::pin(std::future::ready(answer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::NodeMode;

    #[test]
    fn the_measurement_is_a_member_of_the_settings() {
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
    fn spans_add_up_and_a_lone_end_is_ignored() {
        let (span, nothing) = (SpanHost::default(), || RawValue::from_string("0".into()).unwrap());
        for (name, fuel) in
            [("end", 5), ("begin", 10), ("line", 11), ("end", 15), ("begin", 20), ("end", 22)]
        {
            span.notify_at(name, nothing(), fuel);
        }
        assert_eq!(span.fuel(), 7);
    }
}
