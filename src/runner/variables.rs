//! The environment variables of the limits. `config` reads them, and the error of a task that
//! exceeds a limit names the variable that raises it.

use crate::sandbox::Exceeded;

/// The largest WebSocket message.
pub(crate) const MAX_PAYLOAD_VAR: &str = "N8N_RUNNERS_MAX_PAYLOAD";
pub(crate) const TASK_TIMEOUT_VAR: &str = "N8N_RUNNERS_TASK_TIMEOUT";
pub(crate) const FUEL_VAR: &str = "SERPENTARIUM_FUEL";
pub(crate) const MEMORY_VAR: &str = "SERPENTARIUM_MEMORY";
pub(crate) const MAX_INPUT_VAR: &str = "SERPENTARIUM_MAX_INPUT";
pub(crate) const MAX_OUTPUT_VAR: &str = "SERPENTARIUM_MAX_OUTPUT";
pub(crate) const MAX_CALLS_VAR: &str = "SERPENTARIUM_MAX_CALLS";
pub(crate) const MAX_CALLS_IN_FLIGHT_VAR: &str = "SERPENTARIUM_MAX_CALLS_IN_FLIGHT";
/// The largest parameters, and the largest answer, of one host call.
pub(crate) const MAX_CALL_BYTES_VAR: &str = "SERPENTARIUM_MAX_CALL_BYTES";
/// The size of all prints of a task together.
pub(crate) const MAX_PRINT_VAR: &str = "SERPENTARIUM_MAX_PRINT";

/// The size of the standard error of a task.
pub(crate) const MAX_STDERR_VAR: &str = "SERPENTARIUM_MAX_STDERR";

/// Returns the variable that raises a limit.
pub(crate) fn variable_of(exceeded: &Exceeded) -> &'static str {
    match exceeded {
        Exceeded::Time(_) => TASK_TIMEOUT_VAR,
        Exceeded::Fuel(_) => FUEL_VAR,
        Exceeded::Memory(_) => MEMORY_VAR,
        Exceeded::Input(_) => MAX_INPUT_VAR,
        // The runner asks for no files: they are a part of the output.
        Exceeded::Output(_) | Exceeded::OutFiles(_) | Exceeded::OutBytes(_) => MAX_OUTPUT_VAR,
        Exceeded::Calls(_) => MAX_CALLS_VAR,
        Exceeded::InFlight(_) => MAX_CALLS_IN_FLIGHT_VAR,
        Exceeded::CallBytes(_) => MAX_CALL_BYTES_VAR,
        Exceeded::Notified(_) => MAX_PRINT_VAR,
    }
}
