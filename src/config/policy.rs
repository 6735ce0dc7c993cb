//! What user code may import and call, and what it finds in its environment.

use std::{collections::BTreeMap, ffi::OsString};

use clap::Args;

use super::{
    SECRET_VARS,
    values::{Allowed, Names, allow_list, boolean, deny_list},
};
use crate::protocol::Policy;

/// The variable of the allowed modules of the standard library.
pub const STDLIB_ALLOW_VAR: &str = "N8N_RUNNERS_STDLIB_ALLOW";
/// The variable of the allowed other packages.
pub const EXTERNAL_ALLOW_VAR: &str = "N8N_RUNNERS_EXTERNAL_ALLOW";
/// The variable of the denied built-ins.
pub const BUILTINS_DENY_VAR: &str = "N8N_RUNNERS_BUILTINS_DENY";

/// What holds where a list is not set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnsetPolicy {
    /// Everything is allowed.
    Open,
    /// What n8n's own runner allows: no imports, few built-ins.
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
pub struct PolicyArgs {
    /// Modules of the standard library that code may import, comma-separated; * alone for all; empty for none [default: all]
    #[arg(long, env = STDLIB_ALLOW_VAR, value_name = "MODULES", value_parser = allow_list)]
    pub stdlib_allow: Option<Names>,

    /// Other packages that code may import, likewise [default: all]
    #[arg(long, env = EXTERNAL_ALLOW_VAR, value_name = "PACKAGES", value_parser = allow_list)]
    pub external_allow: Option<Names>,

    /// Built-in functions that code does not find, comma-separated [default: none]
    #[arg(long, env = BUILTINS_DENY_VAR, value_name = "NAMES", value_parser = deny_list)]
    pub builtins_deny: Option<Names>,

    /// Let an allowed package import what is on no list: true or false
    #[arg(
        long,
        env = "N8N_RUNNERS_ALLOW_TRANSITIVE_IMPORTS",
        default_value = "false",
        default_missing_value = "true",
        num_args = 0..=1,
        value_name = "BOOL",
        value_parser = boolean
    )]
    pub allow_transitive_imports: bool,

    /// What holds where a list is not set: open (everything is allowed) or n8n (what n8n's own runner allows)
    #[arg(long, env = "SERPENTARIUM_POLICY", default_value = "open", value_name = "NAME", value_parser = unset_policy)]
    pub policy: UnsetPolicy,

    /// Hide the runner's environment from code: true or false. Tokens are hidden in any case
    #[arg(
        long,
        env = "N8N_BLOCK_RUNNER_ENV_ACCESS",
        default_value = "true",
        default_missing_value = "true",
        num_args = 0..=1,
        value_name = "BOOL",
        value_parser = boolean
    )]
    pub block_runner_env_access: bool,
}

impl PolicyArgs {
    /// What limits user code, if anything does.
    pub fn policy(&self) -> Option<Policy> {
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

    /// What user code finds in its environment: the runner's own where it may, without what is secret.
    pub fn env(&self) -> Option<BTreeMap<String, String>> {
        let is_secret =
            |name: &str| SECRET_VARS.contains(&name.strip_suffix("_FILE").unwrap_or(name));
        let text = |(name, value): (OsString, OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        let given =
            || std::env::vars_os().filter_map(text).filter(|(name, _)| !is_secret(name)).collect();
        (!self.block_runner_env_access).then(given)
    }
}
