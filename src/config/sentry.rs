//! The settings of error reports to Sentry.

use std::str::FromStr;

use clap::Args;
use secrecy::{ExposeSecret, SecretString};
use sentry::types::Dsn;

use super::{values::Allowed, variables::SENTRY_DSN_VAR};

/// The settings of error reports, as flags or environment variables.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Error reports")]
pub(crate) struct SentryArgs {
    /// Sentry project (https://key@host/1) for reports of the runner's own errors, never those of
    /// user code [default: no reports]
    #[arg(
        long,
        env = SENTRY_DSN_VAR,
        hide_env_values = true,
        value_name = "DSN",
        value_parser = dsn
    )]
    pub(crate) sentry_dsn: Option<SecretString>,

    /// n8n's version, as a tag of the reports
    #[arg(long, env = "N8N_VERSION", value_name = "VERSION")]
    pub(crate) n8n_version: Option<String>,

    /// Name of the environment, as a tag of the reports
    #[arg(long, env = "ENVIRONMENT", value_name = "NAME")]
    pub(crate) environment: Option<String>,

    /// Name of the deployment, as a tag of the reports
    #[arg(long, env = "DEPLOYMENT_NAME", value_name = "NAME")]
    pub(crate) deployment_name: Option<String>,
}

/// The configuration of error reports.
#[derive(Debug, Clone)]
pub(crate) struct SentryConfig {
    /// The project's address.
    pub(crate) dsn: Dsn,
    /// n8n's version.
    pub(crate) version: Option<String>,
    /// The environment's name.
    pub(crate) environment: Option<String>,
    /// The deployment's name.
    pub(crate) deployment: Option<String>,
}

impl SentryArgs {
    /// Returns the configuration; `None` without a DSN.
    pub(crate) fn config(&self) -> Option<SentryConfig> {
        // `dsn` parsed it before, so this never fails.
        let dsn = Dsn::from_str(self.sentry_dsn.as_ref()?.expose_secret()).ok()?;
        let non_empty = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        Some(SentryConfig {
            dsn,
            version: non_empty(&self.n8n_version),
            environment: non_empty(&self.environment),
            deployment: non_empty(&self.deployment_name),
        })
    }
}

fn dsn(text: &str) -> Result<SecretString, Allowed> {
    let text = text.trim();
    let allowed = Allowed::new("the address of a Sentry project, such as https://key@host/1");
    Dsn::from_str(text).map(|_| text.into()).map_err(|_| allowed)
}
