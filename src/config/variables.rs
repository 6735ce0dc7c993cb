//! Environment variables with a special treatment.

/// The allowed modules of the standard library.
pub(crate) const STDLIB_ALLOW_VAR: &str = "N8N_RUNNERS_STDLIB_ALLOW";
/// The allowed packages outside the standard library.
pub(crate) const EXTERNAL_ALLOW_VAR: &str = "N8N_RUNNERS_EXTERNAL_ALLOW";
/// The denied built-ins.
pub(crate) const BUILTINS_DENY_VAR: &str = "N8N_RUNNERS_BUILTINS_DENY";
/// The Sentry project.
pub(crate) const SENTRY_DSN_VAR: &str = "N8N_SENTRY_DSN";

/// Variables with a meaning when empty: an empty list. Every other empty variable counts as unset.
pub(crate) const MAY_BE_EMPTY: [&str; 3] =
    [STDLIB_ALLOW_VAR, EXTERNAL_ALLOW_VAR, BUILTINS_DENY_VAR];

/// Variables with secret values: never shown, and never in the environment of user code.
pub(crate) const SECRET_VARS: [&str; 3] =
    ["N8N_RUNNERS_GRANT_TOKEN", "N8N_RUNNERS_AUTH_TOKEN", SENTRY_DSN_VAR];
