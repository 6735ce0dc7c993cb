//! The settings of the runner: flag, variable, default and help of each.

use std::{num::NonZeroUsize, time::Duration};

use clap::Args;
use reqwest::Url;
use secrecy::SecretString;
use tracing::level_filters::LevelFilter;

use super::{
    image::{EMBEDDED, ImageChoice, image},
    limits::TaskLimitArgs,
    policy::PolicyArgs,
    sentry::SentryArgs,
    values::{
        boolean, broker_uri, count, lockdown, log_format, log_level, payload, port, seconds,
        seconds_or_never, time_zone,
    },
};
use crate::{logging::LogFormat, runner::variables::MAX_PAYLOAD_VAR, workers::Lockdown};

/// The settings of the runner, as flags or environment variables.
#[derive(Debug, Clone, Args)]
pub(crate) struct RunnerArgs {
    /// Address of n8n's task broker: http://host:port or https://host:port
    #[arg(
        long,
        env = "N8N_RUNNERS_TASK_BROKER_URI",
        default_value = "http://127.0.0.1:5679",
        value_name = "URI",
        value_parser = broker_uri
    )]
    pub(crate) task_broker_uri: Url,

    /// Grant token for one connection, as n8n's launcher passes it. Prefer the variable: other
    /// users of the machine can read flags
    #[arg(long, env = "N8N_RUNNERS_GRANT_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub(crate) grant_token: Option<SecretString>,

    /// Token shared with n8n; the runner exchanges it for a grant token per connection. Prefer the
    /// variable: other users of the machine can read flags
    #[arg(long, env = "N8N_RUNNERS_AUTH_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub(crate) auth_token: Option<SecretString>,

    /// Number of tasks that run at once, from 1 to 10000
    #[arg(
        long,
        env = "N8N_RUNNERS_MAX_CONCURRENCY",
        default_value = "5",
        value_name = "N",
        value_parser = count
    )]
    pub(crate) max_concurrency: NonZeroUsize,

    /// Maximum size of a WebSocket message, at least 256B; in bytes or with a unit, such as 64MiB
    #[arg(
        long,
        env = MAX_PAYLOAD_VAR,
        default_value = "1073741824",
        value_name = "BYTES",
        value_parser = payload
    )]
    pub(crate) max_payload: u64,

    /// Seconds for running tasks to finish after SIGTERM or SIGINT, at most 2592000 (30 days)
    #[arg(
        long,
        env = "N8N_RUNNERS_GRACEFUL_SHUTDOWN_TIMEOUT",
        default_value = "10",
        value_name = "SECONDS",
        value_parser = seconds
    )]
    pub(crate) graceful_shutdown_timeout: Duration,

    /// Seconds without a task until the runner exits, at most 2592000 (30 days); 0 for never
    #[arg(
        long,
        env = "N8N_RUNNERS_AUTO_SHUTDOWN_TIMEOUT",
        default_value = "0",
        value_name = "SECONDS",
        value_parser = seconds_or_never
    )]
    pub(crate) auto_shutdown_timeout: Duration,

    /// Seconds between pings to the broker, at most 2592000 (30 days). The runner reconnects after
    /// an interval without a frame from the broker
    #[arg(
        long,
        env = "N8N_RUNNERS_HEARTBEAT_INTERVAL",
        default_value = "30",
        value_name = "SECONDS",
        value_parser = seconds
    )]
    pub(crate) heartbeat_interval: Duration,

    /// Serve health checks over HTTP: true or false
    #[arg(
        long,
        env = "N8N_RUNNERS_HEALTH_CHECK_SERVER_ENABLED",
        default_value = "false",
        default_missing_value = "true",
        num_args = 0..=1,
        value_name = "BOOL",
        value_parser = boolean
    )]
    pub(crate) health_check_server_enabled: bool,

    /// Address or host name that serves health checks
    #[arg(
        long,
        env = "N8N_RUNNERS_HEALTH_CHECK_SERVER_HOST",
        default_value = "127.0.0.1",
        value_name = "HOST"
    )]
    pub(crate) health_check_server_host: String,

    /// Port that serves health checks, from 0 to 65535; 0 picks a free port
    #[arg(
        long,
        env = "N8N_RUNNERS_HEALTH_CHECK_SERVER_PORT",
        default_value = "5681",
        value_name = "PORT",
        value_parser = port
    )]
    pub(crate) health_check_server_port: u16,

    /// Id of this runner at the broker; a second runner with the same id replaces the first
    /// [default: random]
    #[arg(long, env = "N8N_RUNNERS_ID", value_name = "ID")]
    pub(crate) id: Option<String>,

    /// Time zone of workflows that set none, such as Europe/Berlin [default: America/New_York, as
    /// in n8n]
    #[arg(long, env = "GENERIC_TIMEZONE", value_name = "ZONE", value_parser = time_zone)]
    pub(crate) timezone: Option<String>,

    /// Time zone of local time in user code (datetime.now()): a name, such as Europe/Berlin, or a
    /// POSIX rule [default: that of --timezone, else UTC]
    #[arg(long, env = "TZ", value_name = "ZONE")]
    pub(crate) local_timezone: Option<String>,

    /// Least severe level in the log: error, warn, info, debug, trace or silent
    #[arg(
        long,
        env = "N8N_RUNNERS_LAUNCHER_LOG_LEVEL",
        default_value = "info",
        value_name = "LEVEL",
        value_parser = log_level
    )]
    pub(crate) log_level: LevelFilter,

    /// Format of the log: text (for people and n8n's launcher) or json (one object per line)
    #[arg(
        long,
        env = "SERPENTARIUM_LOG",
        default_value = "text",
        value_name = "FORMAT",
        value_parser = log_format
    )]
    pub(crate) log: LogFormat,

    /// Number of worker processes, from 1 to 10000 [default: one per core, at most one per task
    /// that runs at once]
    #[arg(long, env = "SERPENTARIUM_WORKERS", value_name = "N", value_parser = count)]
    pub(crate) workers: Option<NonZeroUsize>,

    /// How much the operating system must lock the workers in: required (refuse to start without a
    /// part of it), best-effort or off
    #[arg(
        long,
        env = "SERPENTARIUM_LOCKDOWN",
        default_value = "best-effort",
        value_name = "MODE",
        value_parser = lockdown
    )]
    pub(crate) lockdown: Lockdown,

    /// Image of the tasks: a name that `serpentarium image list` shows, or the path of its file
    #[arg(
        long,
        env = "SERPENTARIUM_IMAGE",
        default_value = EMBEDDED,
        value_name = "NAME|PATH",
        value_parser = image
    )]
    pub(crate) image: ImageChoice,

    /// The limits of one task.
    #[command(flatten)]
    pub(crate) limits: TaskLimitArgs,

    /// The policy for user code.
    #[command(flatten)]
    pub(crate) policy: PolicyArgs,

    /// The reports of the runner's own errors.
    #[command(flatten)]
    pub(crate) sentry: SentryArgs,
}
