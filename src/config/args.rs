//! The settings of the runner, each once: its flag, its variable, default and help.

use std::{num::NonZeroUsize, time::Duration};

use clap::Args;
use reqwest::Url;
use secrecy::SecretString;
use tracing::level_filters::LevelFilter;

use super::{
    LimitArgs, PolicyArgs, SentryArgs,
    values::{
        boolean, broker_uri, count, log_format, log_level, payload, port, seconds,
        seconds_or_never, time_zone,
    },
};
use crate::{logging::LogFormat, runner::variables::MAX_PAYLOAD_VAR};

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
    #[arg(long, env = MAX_PAYLOAD_VAR, default_value = "1073741824", value_name = "BYTES", value_parser = payload)]
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
    #[arg(
        long,
        env = "N8N_RUNNERS_HEALTH_CHECK_SERVER_HOST",
        default_value = "127.0.0.1",
        value_name = "HOST"
    )]
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

    /// The time zone of workflows that have none of their own, such as Europe/Berlin [default: n8n's, America/New_York]
    #[arg(long, env = "GENERIC_TIMEZONE", value_name = "ZONE", value_parser = time_zone)]
    pub timezone: Option<String>,

    /// What to log: error, warn, info, debug, trace or silent
    #[arg(
        long,
        env = "N8N_RUNNERS_LAUNCHER_LOG_LEVEL",
        default_value = "info",
        value_name = "LEVEL",
        value_parser = log_level
    )]
    pub log_level: LevelFilter,

    /// How log lines look: text (for people, and for n8n's launcher) or json (an object a line)
    #[arg(long, env = "SERPENTARIUM_LOG", default_value = "text", value_name = "FORMAT", value_parser = log_format)]
    pub log: LogFormat,

    /// Worker processes [default: one for each core]
    #[arg(long, env = "SERPENTARIUM_WORKERS", value_name = "N", value_parser = count)]
    pub workers: Option<NonZeroUsize>,

    /// What each task may use.
    #[command(flatten)]
    pub limits: LimitArgs,

    /// What user code may import and call.
    #[command(flatten)]
    pub policy: PolicyArgs,

    /// Where faults of the runner are reported.
    #[command(flatten)]
    pub sentry: SentryArgs,
}
