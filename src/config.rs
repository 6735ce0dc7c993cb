//! Every setting, once: its name, default, range and help. Flags and environment variables come from one definition.
//!
//! [`RunnerArgs`] is what an operator wrote, [`RunnerConfig`] what the runner works with. Nothing below this file reads
//! the environment.

use std::{num::NonZeroUsize, str::FromStr, time::Duration};

use bytesize::ByteSize;
use clap::Args;
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use tracing::level_filters::LevelFilter;

use crate::{
    fuel::parse_fuel,
    ids::random_id,
    sandbox::{Exceeded, FUEL_PER_SECOND, Limits, MAX_MEMORY},
};

/// The variable of the task time-out.
pub const TASK_TIMEOUT_VAR: &str = "N8N_RUNNERS_TASK_TIMEOUT";
/// The variable of the largest WebSocket message.
pub const MAX_PAYLOAD_VAR: &str = "N8N_RUNNERS_MAX_PAYLOAD";
/// The variable of the fuel limit.
pub const FUEL_VAR: &str = "SERPENTARIUM_FUEL";
/// The variable of the memory limit.
pub const MEMORY_VAR: &str = "SERPENTARIUM_MEMORY";
/// The variable of the input limit.
pub const MAX_INPUT_VAR: &str = "SERPENTARIUM_MAX_INPUT";
/// The variable of the output limit.
pub const MAX_OUTPUT_VAR: &str = "SERPENTARIUM_MAX_OUTPUT";
/// The variable of the standard error limit.
pub const MAX_STDERR_VAR: &str = "SERPENTARIUM_MAX_STDERR";
/// The variable of the number of host calls.
pub const MAX_CALLS_VAR: &str = "SERPENTARIUM_MAX_CALLS";
/// The variable of the size of one host call.
pub const MAX_CALL_BYTES_VAR: &str = "SERPENTARIUM_MAX_CALL_BYTES";
/// The variable of the size of all prints together.
pub const MAX_PRINT_VAR: &str = "SERPENTARIUM_MAX_PRINT";

/// The most standard error that is kept: it must fit into a frame between worker and runner, escaped.
const MAX_STDERR: u64 = 512 << 10;

/// The least memory limit: the interpreter takes about 31 MiB, and it needs room to work.
pub const MIN_MEMORY: u64 = 64 << 20;

/// The settings of the runner, as flags or environment variables.
#[derive(Debug, Clone, Args)]
pub struct RunnerArgs {
    /// Where n8n's task broker listens: http://host:port or https://host:port
    #[arg(
        long,
        env = "N8N_RUNNERS_TASK_BROKER_URI",
        default_value = "http://127.0.0.1:5679",
        value_name = "URI",
        value_parser = broker_uri
    )]
    pub task_broker_uri: Url,

    /// A grant token for one connection, as n8n's launcher passes it; prefer the variable, flags are visible to other users
    #[arg(long, env = "N8N_RUNNERS_GRANT_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub grant_token: Option<SecretString>,

    /// The token shared with n8n, to fetch a grant token for each connection; prefer the variable, flags are visible to other users
    #[arg(long, env = "N8N_RUNNERS_AUTH_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub auth_token: Option<SecretString>,

    /// Tasks that run at once
    #[arg(long, env = "N8N_RUNNERS_MAX_CONCURRENCY", default_value = "5", value_name = "N", value_parser = count)]
    pub max_concurrency: NonZeroUsize,

    /// The largest WebSocket message, in bytes or as 64MiB
    #[arg(long, env = MAX_PAYLOAD_VAR, default_value = "1073741824", value_name = "BYTES", value_parser = size)]
    pub max_payload: u64,

    /// Seconds that finishing tasks are waited for after SIGTERM or SIGINT
    #[arg(
        long,
        env = "N8N_RUNNERS_GRACEFUL_SHUTDOWN_TIMEOUT",
        default_value = "10",
        value_name = "SECONDS",
        value_parser = seconds
    )]
    pub graceful_shutdown_timeout: Duration,

    /// Seconds without a task after which the runner ends; 0 for never
    #[arg(
        long,
        env = "N8N_RUNNERS_AUTO_SHUTDOWN_TIMEOUT",
        default_value = "0",
        value_name = "SECONDS",
        value_parser = seconds_or_never
    )]
    pub auto_shutdown_timeout: Duration,

    /// Seconds between signs of life on the connection; without any for as long, it is made anew
    #[arg(
        long,
        env = "N8N_RUNNERS_HEARTBEAT_INTERVAL",
        default_value = "30",
        value_name = "SECONDS",
        value_parser = seconds
    )]
    pub heartbeat_interval: Duration,

    /// Answer health checks over HTTP: true or false
    #[arg(
        long,
        env = "N8N_RUNNERS_HEALTH_CHECK_SERVER_ENABLED",
        default_value = "false",
        default_missing_value = "true",
        num_args = 0..=1,
        value_name = "BOOL",
        value_parser = boolean
    )]
    pub health_check_server_enabled: bool,

    /// Where health checks are answered: an address or a name
    #[arg(long, env = "N8N_RUNNERS_HEALTH_CHECK_SERVER_HOST", default_value = "127.0.0.1", value_name = "HOST")]
    pub health_check_server_host: String,

    /// The port of the health checks; 0 picks a free one
    #[arg(
        long,
        env = "N8N_RUNNERS_HEALTH_CHECK_SERVER_PORT",
        default_value = "5681",
        value_name = "PORT",
        value_parser = port
    )]
    pub health_check_server_port: u16,

    /// This runner's id at the broker; a second runner with the same id replaces the first [default: random]
    #[arg(long, env = "N8N_RUNNERS_ID", value_name = "ID")]
    pub id: Option<String>,

    /// What to log: error, warn, info, debug, trace or silent
    #[arg(
        long,
        env = "N8N_RUNNERS_LAUNCHER_LOG_LEVEL",
        default_value = "info",
        value_name = "LEVEL",
        value_parser = log_level
    )]
    pub log_level: LevelFilter,

    /// Worker processes [default: one for each core]
    #[arg(long, env = "SERPENTARIUM_WORKERS", value_name = "N", value_parser = count)]
    pub workers: Option<NonZeroUsize>,

    /// What each task may use.
    #[command(flatten)]
    pub limits: LimitArgs,
}

/// The limits of one task, as flags or environment variables.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Limits of one task")]
pub struct LimitArgs {
    /// Seconds that a task may take
    #[arg(long, env = TASK_TIMEOUT_VAR, default_value = "60", value_name = "SECONDS", value_parser = seconds)]
    pub task_timeout: Duration,

    /// Fuel that a task may burn (WebAssembly operations, roughly), such as 500M or 180G [default: about as much as the time-out allows]
    #[arg(long, env = FUEL_VAR, value_name = "UNITS", value_parser = parse_fuel)]
    pub fuel: Option<u64>,

    /// Memory of a task, its interpreter (about 31 MiB) included; from 64MiB to 4GiB
    #[arg(long, env = MEMORY_VAR, default_value = "512MiB", value_name = "SIZE", value_parser = memory)]
    pub memory: u64,

    /// The largest input (code and items)
    #[arg(long, env = MAX_INPUT_VAR, default_value = "256MiB", value_name = "SIZE", value_parser = size)]
    pub max_input: u64,

    /// The largest result
    #[arg(long, env = MAX_OUTPUT_VAR, default_value = "256MiB", value_name = "SIZE", value_parser = size)]
    pub max_output: u64,

    /// How much of a task's standard error is kept
    #[arg(long, env = MAX_STDERR_VAR, default_value = "64KiB", value_name = "SIZE", value_parser = stderr)]
    pub max_stderr: u64,

    /// Host calls (prints among them) that a task may make
    #[arg(
        long,
        env = MAX_CALLS_VAR,
        default_value = "100000",
        value_name = "N",
        value_parser = calls
    )]
    pub max_calls: u32,

    /// The largest parameters, and the largest answer, of one host call
    #[arg(long, env = MAX_CALL_BYTES_VAR, default_value = "64MiB", value_name = "SIZE", value_parser = size)]
    pub max_call_bytes: u64,

    /// What a task may print in all
    #[arg(long, env = MAX_PRINT_VAR, default_value = "16MiB", value_name = "SIZE", value_parser = size)]
    pub max_print: u64,
}

impl LimitArgs {
    /// The limits, as the sandbox takes them.
    pub fn limits(&self) -> Limits {
        let by_time = (self.task_timeout.as_secs_f64() * FUEL_PER_SECOND as f64) as u64;
        Limits {
            time: self.task_timeout,
            fuel: self.fuel.unwrap_or(by_time.max(1)),
            memory: self.memory,
            input: self.max_input,
            output: self.max_output,
            stderr: self.max_stderr,
            calls: self.max_calls,
            call_bytes: self.max_call_bytes,
            told: self.max_print,
        }
    }
}

/// The variable that raises a limit.
pub fn variable_of(exceeded: &Exceeded) -> &'static str {
    match exceeded {
        Exceeded::Time(_) => TASK_TIMEOUT_VAR,
        Exceeded::Fuel(_) => FUEL_VAR,
        Exceeded::Memory(_) => MEMORY_VAR,
        Exceeded::Input(_) => MAX_INPUT_VAR,
        Exceeded::Output(_) => MAX_OUTPUT_VAR,
        Exceeded::Calls(_) => MAX_CALLS_VAR,
        Exceeded::CallBytes(_) => MAX_CALL_BYTES_VAR,
        Exceeded::Told(_) => MAX_PRINT_VAR,
    }
}

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
    /// What each task may use.
    pub limits: Limits,
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
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// No token at all.
    #[error(
        "no token: set N8N_RUNNERS_AUTH_TOKEN to the token that n8n has, or N8N_RUNNERS_GRANT_TOKEN under a launcher"
    )]
    NoToken,
    /// A token that cannot travel in a header.
    #[error("{0} holds characters that a token cannot have: printable ASCII is allowed")]
    BadToken(&'static str),
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
            id: args.id.clone().filter(|id| !id.is_empty()).unwrap_or_else(random_id),
            limits: args.limits.limits(),
        })
    }
}

/// A token without the white space around it, which files and shells like to add.
fn token(variable: &'static str, value: Option<&SecretString>) -> Result<Option<SecretString>, ConfigError> {
    let Some(text) = value.map(|secret| secret.expose_secret().trim()).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let printable = text.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
    if printable { Ok(Some(text.into())) } else { Err(ConfigError::BadToken(variable)) }
}

/// Whether colours are welcome on a terminal: `NO_COLOR` is not set to anything.
pub fn colour() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// What a setting allows, for the message that refuses a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be {0}")]
pub(crate) struct Allowed(&'static str);

fn broker_uri(text: &str) -> Result<Url, Allowed> {
    let allowed = Allowed("an http:// or https:// address such as http://127.0.0.1:5679");
    let uri = Url::parse(text.trim()).map_err(|_| allowed)?;
    let plain = uri.has_host() && uri.username().is_empty() && uri.password().is_none();
    if plain && matches!(uri.scheme(), "http" | "https") { Ok(uri) } else { Err(allowed) }
}

fn number<T: FromStr>(text: &str, allowed: Allowed) -> Result<T, Allowed> {
    text.trim().parse().map_err(|_| allowed)
}

fn count(text: &str) -> Result<NonZeroUsize, Allowed> {
    number(text, Allowed("a whole number above 0"))
}

fn calls(text: &str) -> Result<u32, Allowed> {
    number(text, Allowed("a whole number from 0 to 4294967295"))
}

fn seconds(text: &str) -> Result<Duration, Allowed> {
    /// A month: far above any use, and far below where clocks overflow.
    const MOST: f64 = 2_592_000.0;
    let allowed = Allowed("a number of seconds above 0, at most 2592000 (30 days)");
    let value: f64 = number(text, allowed)?;
    if (0.001..=MOST).contains(&value) { Ok(Duration::from_secs_f64(value)) } else { Err(allowed) }
}

fn seconds_or_never(text: &str) -> Result<Duration, Allowed> {
    match text.trim().parse() {
        Ok(0.0) => Ok(Duration::ZERO),
        _ => seconds(text).map_err(|_| Allowed("a number of seconds, at most 2592000 (30 days), or 0 for never")),
    }
}

fn boolean(text: &str) -> Result<bool, Allowed> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err(Allowed("true or false")),
    }
}

fn port(text: &str) -> Result<u16, Allowed> {
    number(text, Allowed("a port from 0 to 65535; 0 picks a free one"))
}

fn size(text: &str) -> Result<u64, Allowed> {
    let allowed = Allowed("a size above 0, in bytes or with a unit, such as 64MiB");
    let bytes = number::<ByteSize>(text, allowed)?.as_u64();
    if bytes > 0 { Ok(bytes) } else { Err(allowed) }
}

fn stderr(text: &str) -> Result<u64, Allowed> {
    let allowed = Allowed("a size from 1B to 512KiB, such as 64KiB");
    let bytes = number::<ByteSize>(text, allowed)?.as_u64();
    if (1..=MAX_STDERR).contains(&bytes) { Ok(bytes) } else { Err(allowed) }
}

pub(crate) fn memory(text: &str) -> Result<u64, Allowed> {
    let allowed = Allowed("a size from 64MiB to 4GiB, such as 512MiB");
    let bytes = number::<ByteSize>(text, allowed)?.as_u64();
    if (MIN_MEMORY..=MAX_MEMORY).contains(&bytes) { Ok(bytes) } else { Err(allowed) }
}

fn log_level(text: &str) -> Result<LevelFilter, Allowed> {
    Ok(match text.trim().to_ascii_lowercase().as_str() {
        "error" | "critical" => LevelFilter::ERROR,
        "warn" | "warning" => LevelFilter::WARN,
        "info" => LevelFilter::INFO,
        "debug" => LevelFilter::DEBUG,
        "trace" => LevelFilter::TRACE,
        "silent" | "off" => LevelFilter::OFF,
        _ => return Err(Allowed("one of error, warn, info, debug, trace, silent")),
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

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
        assert_eq!(config(&[]).unwrap_err(), ConfigError::NoToken);
        assert_eq!(config(&["--auth-token="]).unwrap_err(), ConfigError::NoToken);
        assert!(config(&["--grant-token=abc"]).is_ok());
        assert_eq!(config(&["--auth-token=a\nb"]).unwrap_err(), ConfigError::BadToken("N8N_RUNNERS_AUTH_TOKEN"));
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
            "--task-timeout=0",
            "--task-timeout=nan",
            "--task-timeout=1e300",
            "--memory=32MiB",
            "--memory=5GiB",
            "--fuel=0",
            "--workers=0",
            "--log-level=loud",
            "--task-broker-uri=ftp://x",
            "--task-broker-uri=127.0.0.1:5679",
            "--task-broker-uri=http://user:secret@host",
        ] {
            assert!(Cli::try_parse_from(["runner", flag]).is_err(), "{flag}");
        }
    }

    #[test]
    fn tokens_do_not_show_in_debug_output() {
        let args = Cli::try_parse_from(["runner", "--auth-token=hush", "--grant-token=hush"]).unwrap();
        assert!(!format!("{args:?} {:?}", RunnerConfig::new(&args.args)).contains("hush"));
    }
}
