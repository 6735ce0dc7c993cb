//! Every setting, once: its name, default, range and help. Flags and environment variables come from one definition.
//!
//! [`RunnerArgs`] is what an operator wrote, [`RunnerConfig`] what the runner works with. Nothing below this room reads
//! the environment.

mod args;
mod files;
mod limits;
mod policy;
mod sentry;
mod values;

use std::time::Duration;

use clap::Args;
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};

use crate::{
    protocol::{Addition, HostSettings, random_id},
    sandbox::Limits,
};

pub use args::{MAX_PAYLOAD_VAR, RunnerArgs};
pub use files::{FileError, Files};
pub use limits::*;
pub use policy::{
    BUILTINS_DENY_VAR, EXTERNAL_ALLOW_VAR, PolicyArgs, STDLIB_ALLOW_VAR, UnsetPolicy,
};
pub use sentry::{SENTRY_DSN_VAR, SentryArgs, SentryConfig};
pub(crate) use values::memory;
pub use values::{MIN_MEMORY, Names};

/// Variables that mean something where they are empty: a list of nothing.
pub const MAY_BE_EMPTY: [&str; 3] = [STDLIB_ALLOW_VAR, EXTERNAL_ALLOW_VAR, BUILTINS_DENY_VAR];

/// Variables whose values are secret: shown nowhere, and never handed to user code.
pub const SECRET_VARS: [&str; 3] =
    ["N8N_RUNNERS_GRANT_TOKEN", "N8N_RUNNERS_AUTH_TOKEN", SENTRY_DSN_VAR];

/// What the runner works with.
#[derive(Debug, Clone)]
pub struct RunnerConfig {
    /// The broker's base address, `http` or `https`.
    pub broker: Url,
    /// How to get into the broker.
    pub credentials: Credentials,
    /// Tasks that run at once.
    pub max_concurrency: usize,
    /// The largest WebSocket message in bytes, both ways.
    pub max_payload: usize,
    /// How long running tasks may finish after a request to shut down.
    pub graceful_shutdown: Duration,
    /// How long there may be nothing to do before the runner ends; for ever where there is none.
    pub auto_shutdown: Option<Duration>,
    /// How often the broker is asked for a sign of life. Nothing heard in between ends the connection.
    pub heartbeat: Duration,
    /// Where health checks are answered, if they are.
    pub health: Option<HealthConfig>,
    /// This runner's id at the broker.
    pub id: String,
    /// Whether that id was given, and so may be another runner's as well.
    pub id_is_given: bool,
    /// What each task may use.
    pub limits: Limits,
    /// What is added to the settings of each task: the policy, and its environment.
    pub addition: Addition,
}

/// Where health checks are answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthConfig {
    /// An address or a name.
    pub host: String,
    /// The port; 0 for any that is free.
    pub port: u16,
}

/// The tokens that an operator gave: one of the two at least.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// A grant token; good for one connection.
    pub grant: Option<SecretString>,
    /// Fetches a grant token for each connection.
    pub auth: Option<SecretString>,
}

/// Why settings do not go together. A setting that is wrong by itself is clap's to report.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// No token at all.
    #[error(
        "no token: set N8N_RUNNERS_AUTH_TOKEN to the token that n8n has, or N8N_RUNNERS_GRANT_TOKEN under a launcher"
    )]
    NoToken,
    /// What is to be handed to user code cannot be written as JSON.
    #[error("cannot write what is handed to user code: {0}")]
    Addition(#[from] serde_json::Error),
    /// A token that cannot travel in a header.
    #[error("{0} holds characters that a token cannot have: printable ASCII is allowed")]
    BadToken(&'static str),
}

impl RunnerArgs {
    /// The variables of all settings.
    pub fn variables() -> Vec<String> {
        let command = Self::augment_args(clap::Command::new("runner"));
        command
            .get_arguments()
            .filter_map(|arg| Some(arg.get_env()?.to_str()?.to_owned()))
            .collect()
    }
}

impl RunnerConfig {
    /// Checks what an operator wrote as a whole. Empty tokens count as absent.
    ///
    /// # Errors
    /// There is no token, or one with control characters.
    pub fn new(args: &RunnerArgs) -> Result<Self, ConfigError> {
        let credentials = Credentials {
            grant: token("N8N_RUNNERS_GRANT_TOKEN", args.grant_token.as_ref())?,
            auth: token("N8N_RUNNERS_AUTH_TOKEN", args.auth_token.as_ref())?,
        };
        if credentials.grant.is_none() && credentials.auth.is_none() {
            return Err(ConfigError::NoToken);
        }
        let limits = args.limits.limits();
        Ok(Self {
            broker: args.task_broker_uri.clone(),
            credentials,
            max_concurrency: args.max_concurrency.get(),
            max_payload: usize::try_from(args.max_payload).unwrap_or(usize::MAX),
            graceful_shutdown: args.graceful_shutdown_timeout,
            auto_shutdown: Some(args.auto_shutdown_timeout).filter(|time| !time.is_zero()),
            heartbeat: args.heartbeat_interval,
            health: args.health_check_server_enabled.then(|| HealthConfig {
                host: args.health_check_server_host.clone(),
                port: args.health_check_server_port,
            }),
            id: args.id.clone().unwrap_or_else(random_id),
            id_is_given: args.id.is_some(),
            limits: limits.clone(),
            addition: Addition::new(&HostSettings {
                policy: args.policy.policy(),
                env: args.policy.env(),
                timezone: args.timezone.clone(),
                calls_in_flight: Some(limits.in_flight)
                    .filter(|most| *most != Limits::default().in_flight),
            })?,
        })
    }
}

/// A token without the white space around it, which files and shells like to add.
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

/// Whether colours are welcome on a terminal: `NO_COLOR` is not set to anything.
pub fn colour() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::sandbox::FUEL_PER_SECOND;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        args: RunnerArgs,
    }

    fn config(flags: &[&str]) -> Result<RunnerConfig, ConfigError> {
        let words = ["runner"].iter().chain(flags);
        RunnerConfig::new(&Cli::try_parse_from(words).expect("the flags are valid").args)
    }

    #[test]
    fn a_token_is_needed_and_an_empty_one_is_none() {
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
            assert!(Cli::try_parse_from(["runner", flag]).is_err(), "{flag}");
        }
    }

    #[test]
    fn tokens_do_not_show_in_debug_output() {
        let args =
            Cli::try_parse_from(["runner", "--auth-token=hush", "--grant-token=hush"]).unwrap();
        assert!(!format!("{args:?} {:?}", RunnerConfig::new(&args.args)).contains("hush"));
    }
}
