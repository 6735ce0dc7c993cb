//! The runner's settings, checked as a whole.

use clap::Args;
use secrecy::{ExposeSecret, SecretString};

use super::{args::RunnerArgs, values::local_timezone};
use crate::{
    protocol::{Addition, HostSettings, random_id},
    runner::{Credentials, HealthConfig, RunnerConfig},
    sandbox::Limits,
};

/// The settings contradict each other or miss one. clap reports a value that is wrong by itself.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// Neither token is set.
    #[error(
        "no token: set N8N_RUNNERS_AUTH_TOKEN to the token that n8n has, or \
         N8N_RUNNERS_GRANT_TOKEN under a launcher"
    )]
    NoToken,
    /// The policy or the environment of user code cannot be written as JSON.
    #[error("cannot write the policy and environment of user code as JSON: {0}")]
    Addition(#[from] serde_json::Error),
    /// The token cannot be sent in an HTTP header.
    #[error("{0} holds a control or non-ASCII character: a token is printable ASCII")]
    BadToken(&'static str),
}

impl RunnerArgs {
    /// Returns the environment variables of all settings.
    pub(crate) fn variables() -> Vec<String> {
        let command = Self::augment_args(clap::Command::new("runner"));
        command
            .get_arguments()
            .filter_map(|arg| Some(arg.get_env()?.to_str()?.to_owned()))
            .collect()
    }

    /// Checks the settings as a whole. Empty tokens count as absent.
    ///
    /// # Errors
    /// There is no token, or a token with characters that a header cannot carry.
    pub(crate) fn config(&self) -> Result<RunnerConfig, ConfigError> {
        let credentials = Credentials {
            grant: token("N8N_RUNNERS_GRANT_TOKEN", self.grant_token.as_ref())?,
            auth: token("N8N_RUNNERS_AUTH_TOKEN", self.auth_token.as_ref())?,
        };
        if credentials.grant.is_none() && credentials.auth.is_none() {
            return Err(ConfigError::NoToken);
        }
        let limits = self.limits.limits();
        Ok(RunnerConfig {
            broker: self.task_broker_uri.clone(),
            credentials,
            max_concurrency: self.max_concurrency.get(),
            max_payload: usize::try_from(self.max_payload).unwrap_or(usize::MAX),
            graceful_shutdown: self.graceful_shutdown_timeout,
            auto_shutdown: Some(self.auto_shutdown_timeout).filter(|time| !time.is_zero()),
            heartbeat: self.heartbeat_interval,
            health: self.health_check_server_enabled.then(|| HealthConfig {
                host: self.health_check_server_host.clone(),
                port: self.health_check_server_port,
            }),
            id: self.id.clone().unwrap_or_else(random_id),
            id_is_given: self.id.is_some(),
            limits: limits.clone(),
            addition: Addition::new(&HostSettings {
                policy: self.policy.policy(),
                env: self.policy.env(),
                timezone: self.timezone.clone(),
                local_timezone: local_timezone(self.local_timezone.as_deref())
                    .or_else(|| self.timezone.clone()),
                calls_in_flight: Some(limits.in_flight)
                    .filter(|most| *most != Limits::default().in_flight),
                last: false,
                file_bytes: limits.guest_file_bytes(),
                files: None,
            })?,
        })
    }
}

/// Reads a token. Trims it, because editors end a file with a newline. `None` if it is empty.
fn token(
    variable: &'static str,
    value: Option<&SecretString>,
) -> Result<Option<SecretString>, ConfigError> {
    let Some(text) =
        value.map(|secret| secret.expose_secret().trim()).filter(|text| !text.is_empty())
    else {
        return Ok(None);
    };
    let printable = text.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
    if printable { Ok(Some(text.into())) } else { Err(ConfigError::BadToken(variable)) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::Parser;

    use super::*;
    use crate::sandbox::FUEL_PER_SECOND;

    #[derive(Debug, Parser)]
    struct Flags {
        #[command(flatten)]
        args: RunnerArgs,
    }

    fn config(flags: &[&str]) -> Result<RunnerConfig, ConfigError> {
        let words = ["runner"].iter().chain(flags);
        Flags::try_parse_from(words).expect("the flags are valid").args.config()
    }

    #[test]
    fn an_empty_token_counts_as_none() {
        assert!(matches!(config(&[]), Err(ConfigError::NoToken)));
        assert!(matches!(config(&["--auth-token="]), Err(ConfigError::NoToken)));
        assert!(config(&["--grant-token=abc"]).is_ok());
        assert!(matches!(
            config(&["--auth-token=a\nb"]),
            Err(ConfigError::BadToken("N8N_RUNNERS_AUTH_TOKEN"))
        ));
    }

    #[test]
    fn the_defaults_are_those_of_n8n() {
        let config = config(&["--auth-token=x"]).unwrap();
        assert_eq!(config.broker.as_str(), "http://127.0.0.1:5679/");
        assert_eq!((config.max_concurrency, config.max_payload), (5, 1_073_741_824));
        assert_eq!(config.graceful_shutdown, Duration::from_secs(10));
        assert_eq!(config.limits, Limits::default());
        assert_eq!(config.id.len(), 22);
    }

    #[test]
    fn fuel_follows_the_timeout_unless_it_is_set() {
        let fuel = |flags: &[&str]| config(flags).unwrap().limits.fuel;
        assert_eq!(fuel(&["--auth-token=x", "--task-timeout=2"]), 2 * FUEL_PER_SECOND);
        assert_eq!(fuel(&["--auth-token=x", "--task-timeout=2", "--fuel=10M"]), 10_000_000);
    }

    #[test]
    fn values_out_of_range_are_refused() {
        for flag in [
            "--max-concurrency=0",
            "--max-concurrency=-1",
            "--max-payload=0",
            "--max-payload=255",
            "--max-concurrency=10001",
            "--task-timeout=0",
            "--task-timeout=nan",
            "--task-timeout=1e300",
            "--memory=32MiB",
            "--memory=5GiB",
            "--fuel=0",
            "--workers=0",
            "--log-level=loud",
            "--log=xml",
            "--timezone=Mars/Crater (north)",
            "--sentry-dsn=https://host/1",
            "--task-broker-uri=ftp://x",
            "--task-broker-uri=127.0.0.1:5679",
            "--task-broker-uri=http://user:secret@host",
        ] {
            assert!(Flags::try_parse_from(["runner", flag]).is_err(), "{flag}");
        }
    }

    #[test]
    fn tokens_do_not_show_in_debug_output() {
        let args =
            Flags::try_parse_from(["runner", "--auth-token=hush", "--grant-token=hush"]).unwrap();
        assert!(!format!("{args:?} {:?}", args.args.config()).contains("hush"));
    }
}
