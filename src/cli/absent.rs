//! Warns of modules that the policy allows and the image does not have.
//!
//! Otherwise an operator who allows a package believes that tasks can import it.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tracing::warn;

use crate::{
    config::{EXTERNAL_ALLOW_VAR, STDLIB_ALLOW_VAR},
    protocol::Policy,
    sandbox::{Job, Limits, NoHost, Program},
    text::brief,
    workers::Pool,
};

/// Returns those of the names in `input` whose package does not exist. A search for a submodule
/// would import its package.
const SEARCH: &str = "\
from importlib.util import find_spec

def is_absent(name):
    try:
        return find_spec(name.partition('.')[0]) is None
    except ValueError:
        # A module without a specification, such as __main__.
        return False

return [name for name in input if is_absent(name)]
";

/// Time limit of the search. It takes milliseconds, unless the workers are overloaded.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Names in one warning.
const MAX_NAMES: usize = 20;

/// Warns of names in the policy's lists of modules that the image does not have.
pub(crate) async fn warn_of_absent(pool: Pool, policy: Policy) {
    for (variable, list) in
        [(STDLIB_ALLOW_VAR, policy.stdlib_allow), (EXTERNAL_ALLOW_VAR, policy.external_allow)]
    {
        let mut names = list.unwrap_or_default();
        names.remove("*");
        let absent = if names.is_empty() { names } else { absent(&pool, names).await };
        if absent.is_empty() {
            continue;
        }
        let shown: Vec<_> =
            absent.iter().take(MAX_NAMES).map(|name| brief(name).to_string()).collect();
        let more = if absent.len() > MAX_NAMES { ", …" } else { "" };
        warn!(
            "{variable} allows modules that the image does not have, so no task can import them: \
             {}{more}",
            shown.join(", ")
        );
    }
}

/// Returns the names that the image does not have; none if the search fails.
async fn absent(pool: &Pool, names: BTreeSet<String>) -> BTreeSet<String> {
    let Ok(program) = Program::new(SEARCH).input(&names) else { return BTreeSet::new() };
    let limits = Limits { time: TIMEOUT, ..Limits::default() };
    let outcome = pool.run(Job::from(program.limits(limits)), Arc::new(NoHost)).await;
    let found: Vec<String> = outcome
        .result
        .ok()
        .and_then(|completed| serde_json::from_str(completed.value.get()).ok())
        .unwrap_or_default();
    // A worker is not trusted: keep the operator's own names.
    names.into_iter().filter(|name| found.contains(name)).collect()
}
