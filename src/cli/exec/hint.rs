//! The hint for code whose value nobody sees: it ends in an expression, as in a notebook.

use super::print_host::PrintHost;
use crate::{
    runner::effects::{CheckedOutcome, Effects, Returned},
    sandbox::{NoHost, Program, Sandbox},
};

/// The only hint. Python's own rule is that a script shows no value.
const HINT: &str =
    "The code ends in an expression, whose value is not shown: return it, or run with --last.";

/// Asks the guest package whether the code drops the value of its last expression.
const QUESTION: &str = "from _serpentarium.core.last import drops_value\nreturn drops_value(input)";

/// Shows the hint if the code returned and wrote nothing, and ends in an expression.
pub(crate) async fn print_hint(
    sandbox: &Sandbox,
    host: &PrintHost,
    outcome: &CheckedOutcome,
    code: &str,
) {
    let Ok(Returned { value, effects: Effects { custom_data: None, static_data: None } }) =
        &outcome.result
    else {
        return;
    };
    // A run for each item gives an empty list.
    if host.has_output() || !matches!(value.get(), "null" | "[]") {
        return;
    }
    let Ok(question) = Program::new(QUESTION).input(code) else { return };
    if let Ok(answer) = sandbox.run(question, NoHost).await.result
        && answer.value.get() == "true"
    {
        host.console.note(HINT);
    }
}
