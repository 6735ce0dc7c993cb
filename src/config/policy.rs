//! The settings of the policy for user code: imports, built-ins, environment variables.

use std::{collections::BTreeMap, ffi::OsString};

use clap::Args;

use super::{
    values::{Allowed, Names, allow_list, boolean, deny_list},
    variables::{BUILTINS_DENY_VAR, EXTERNAL_ALLOW_VAR, SECRET_VARS, STDLIB_ALLOW_VAR},
};
use crate::protocol::Policy;

/// The meaning of an unset list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UnsetPolicy {
    /// Everything is allowed.
    Open,
    /// The default of n8n's own runner: no imports, few built-ins.
    N8n,
}

fn unset_policy(text: &str) -> Result<UnsetPolicy, Allowed> {
    match text.trim().to_ascii_lowercase().as_str() {
        "open" => Ok(UnsetPolicy::Open),
        "n8n" => Ok(UnsetPolicy::N8n),
        _ => Err(Allowed::new("open or n8n")),
    }
}

/// The policy for user code, as flags or environment variables.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Policy")]
pub(crate) struct PolicyArgs {
    /// Modules of the standard library that user code may import, separated by commas; * alone
    /// allows all, an empty list none [default: all]
    #[arg(long, env = STDLIB_ALLOW_VAR, value_name = "MODULES", value_parser = allow_list)]
    pub(crate) stdlib_allow: Option<Names>,

    /// Packages outside the standard library that user code may import; a list like the one of
    /// --stdlib-allow [default: all]
    #[arg(long, env = EXTERNAL_ALLOW_VAR, value_name = "PACKAGES", value_parser = allow_list)]
    pub(crate) external_allow: Option<Names>,

    /// Built-in functions that user code cannot use, separated by commas [default: none]
    #[arg(long, env = BUILTINS_DENY_VAR, value_name = "NAMES", value_parser = deny_list)]
    pub(crate) builtins_deny: Option<Names>,

    /// Let an allowed package import modules that no list allows: true or false. Has no effect:
    /// imports by packages are never limited
    #[arg(
        long,
        env = "N8N_RUNNERS_ALLOW_TRANSITIVE_IMPORTS",
        default_value = "false",
        default_missing_value = "true",
        num_args = 0..=1,
        value_name = "BOOL",
        value_parser = boolean
    )]
    pub(crate) allow_transitive_imports: bool,

    /// Meaning of an unset list: open (allow everything) or n8n (the default of n8n's own runner:
    /// no imports, few built-ins)
    #[arg(
        long,
        env = "SERPENTARIUM_POLICY",
        default_value = "open",
        value_name = "NAME",
        value_parser = unset_policy
    )]
    pub(crate) policy: UnsetPolicy,

    /// Hide the runner's environment variables from user code: true or false. Secrets are always
    /// hidden
    #[arg(
        long,
        env = "N8N_BLOCK_RUNNER_ENV_ACCESS",
        default_value = "true",
        default_missing_value = "true",
        num_args = 0..=1,
        value_name = "BOOL",
        value_parser = boolean
    )]
    pub(crate) block_runner_env_access: bool,
}

impl PolicyArgs {
    /// Returns the policy; `None` if it limits nothing.
    pub(crate) fn policy(&self) -> Option<Policy> {
        let unset = match self.policy {
            UnsetPolicy::Open => Policy::default(),
            UnsetPolicy::N8n => Policy::n8n(),
        };
        let list = |set: &Option<Names>, unset| set.as_ref().map(|names| names.0.clone()).or(unset);
        let policy = Policy {
            stdlib_allow: list(&self.stdlib_allow, unset.stdlib_allow),
            external_allow: list(&self.external_allow, unset.external_allow),
            builtins_deny: list(&self.builtins_deny, unset.builtins_deny),
            allow_transitive_imports: self.allow_transitive_imports,
        };
        policy.limiting()
    }

    /// Returns the environment of user code: the runner's own without its secrets. `None` if it is
    /// hidden.
    pub(crate) fn env(&self) -> Option<BTreeMap<String, String>> {
        let is_secret =
            |name: &str| SECRET_VARS.contains(&name.strip_suffix("_FILE").unwrap_or(name));
        let text = |(name, value): (OsString, OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        let visible =
            || std::env::vars_os().filter_map(text).filter(|(name, _)| !is_secret(name)).collect();
        (!self.block_runner_env_access).then(visible)
    }
}
