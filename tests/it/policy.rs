//! The policy: allowed imports and built-ins, and attempts to bypass it.

mod attributes;
mod defaults;
mod guards;
mod imports;
mod ways_round;

use std::collections::BTreeSet;

use crate::support::{own_text, raised, returned, run};
use serde_json::{Value, json, value::RawValue};
use serpentarium::{
    protocol::{HostSettings, NodeMode, Policy, TaskSettings},
    sandbox::{Exception, Failure, Job, Limits, Outcome},
};

fn list(names: &str) -> Option<BTreeSet<String>> {
    Some(names.split_whitespace().map(str::to_owned).collect())
}

/// Allows only these imports. Everything else is open.
fn allow(stdlib: &str) -> Policy {
    Policy { stdlib_allow: list(stdlib), ..Policy::default() }
}

async fn run_under(policy: Policy, code: &str) -> Outcome {
    let mut settings =
        TaskSettings::new(code, NodeMode::AllItems, RawValue::from_string("[]".into()).unwrap());
    settings.serpentarium = Some(HostSettings { policy: Some(policy), ..HostSettings::default() });
    run(Job::new(settings.to_input().unwrap(), Limits::default())).await
}

async fn result_under(policy: Policy, code: &str) -> Value {
    returned(&run_under(policy, code).await)
}

async fn refused(policy: Policy, code: &str) -> Exception {
    raised(&run_under(policy, code).await).clone()
}

fn violations(exception: &Exception) -> Vec<&str> {
    assert_eq!(exception.message, "Security violations detected", "{exception:?}");
    own_text(exception.description.as_ref().unwrap()).lines().collect()
}
