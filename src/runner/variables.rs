//! The environment variables of the limits. `config` reads them, and the error of a task that
//! exceeds a limit names the variable that raises it.

use crate::sandbox::Exceeded;

/// The variable of the largest WebSocket message.
pub(crate) const MAX_PAYLOAD_VAR: &str = "N8N_RUNNERS_MAX_PAYLOAD";
/// The variable of the task time-out.
pub(crate) const TASK_TIMEOUT_VAR: &str = "N8N_RUNNERS_TASK_TIMEOUT";
/// The variable of the fuel limit.
pub(crate) const FUEL_VAR: &str = "SERPENTARIUM_FUEL";
/// The variable of the memory limit.
pub(crate) const MEMORY_VAR: &str = "SERPENTARIUM_MEMORY";
/// The variable of the input limit.
pub(crate) const MAX_INPUT_VAR: &str = "SERPENTARIUM_MAX_INPUT";
/// The variable of the output limit.
pub(crate) const MAX_OUTPUT_VAR: &str = "SERPENTARIUM_MAX_OUTPUT";
/// The variable of the number of host calls.
pub(crate) const MAX_CALLS_VAR: &str = "SERPENTARIUM_MAX_CALLS";
/// The variable of the number of host calls in flight at once.
pub(crate) const MAX_CALLS_IN_FLIGHT_VAR: &str = "SERPENTARIUM_MAX_CALLS_IN_FLIGHT";
/// The variable of the size of one host call.
pub(crate) const MAX_CALL_BYTES_VAR: &str = "SERPENTARIUM_MAX_CALL_BYTES";
/// The variable of the size of all prints together.
pub(crate) const MAX_PRINT_VAR: &str = "SERPENTARIUM_MAX_PRINT";

/// The variable that raises a limit.
pub(crate) fn variable_of(exceeded: &Exceeded) -> &'static str {
    match exceeded {
        Exceeded::Time(_) => TASK_TIMEOUT_VAR,
        Exceeded::Fuel(_) => FUEL_VAR,
        Exceeded::Memory(_) => MEMORY_VAR,
        Exceeded::Input(_) => MAX_INPUT_VAR,
        Exceeded::Output(_) => MAX_OUTPUT_VAR,
        Exceeded::Calls(_) => MAX_CALLS_VAR,
        Exceeded::InFlight(_) => MAX_CALLS_IN_FLIGHT_VAR,
        Exceeded::CallBytes(_) => MAX_CALL_BYTES_VAR,
        Exceeded::Notified(_) => MAX_PRINT_VAR,
    }
}
