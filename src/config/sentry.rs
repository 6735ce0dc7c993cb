//! Where faults of the runner are reported.

use std::str::FromStr;

use clap::Args;
use secrecy::{ExposeSecret, SecretString};
use sentry::types::Dsn;

use super::values::Allowed;

/// The variable of Sentry's address.
pub const SENTRY_DSN_VAR: &str = "N8N_SENTRY_DSN";

/// Where faults of the runner are reported, as flags or environment variables.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Error reports")]
pub struct SentryArgs {
    /// Report faults of the runner, never those of user code, to this Sentry project [default: report nothing]
    #[arg(long, env = SENTRY_DSN_VAR, hide_env_values = true, value_name = "DSN", value_parser = dsn)]
    pub sentry_dsn: Option<SecretString>,

    /// n8n's version, for the reports
    #[arg(long, env = "N8N_VERSION", value_name = "VERSION")]
    pub n8n_version: Option<String>,

    /// The name of the environment, for the reports
    #[arg(long, env = "ENVIRONMENT", value_name = "NAME")]
    pub environment: Option<String>,

    /// The name of the deployment, for the reports
    #[arg(long, env = "DEPLOYMENT_NAME", value_name = "NAME")]
    pub deployment_name: Option<String>,
}

/// Where faults are reported, and what is said with each.
#[derive(Debug, Clone)]
pub struct SentryConfig {
    /// The project's address.
    pub dsn: Dsn,
    /// n8n's version.
    pub version: Option<String>,
    /// The environment's name.
    pub environment: Option<String>,
    /// The deployment's name.
    pub deployment: Option<String>,
}

impl SentryArgs {
    /// Where faults are reported, if anywhere.
    pub fn config(&self) -> Option<SentryConfig> {
        // The value was parsed before it became a secret.
        let dsn = Dsn::from_str(self.sentry_dsn.as_ref()?.expose_secret()).ok()?;
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        Some(SentryConfig {
            dsn,
            version: given(&self.n8n_version),
            environment: given(&self.environment),
            deployment: given(&self.deployment_name),
        })
    }
}

fn dsn(text: &str) -> Result<SecretString, Allowed> {
    let text = text.trim();
    let allowed = Allowed::new("the address of a Sentry project, such as https://key@host/1");
    Dsn::from_str(text).map(|_| text.into()).map_err(|_| allowed)
}
