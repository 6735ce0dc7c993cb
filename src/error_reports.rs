//! Reports faults of the runner to Sentry, if an operator has set a DSN. It sends the log lines of
//! level error: faults of the runner, its workers or the Python image. Errors of user code are
//! never reported.

use std::{sync::Arc, time::Duration};

use sentry::{
    ClientInitGuard, ClientOptions, Transport, TransportFactory, TransportOptions,
    protocol::{Context, Event, Value},
    transports::ReqwestHttpTransportOptions,
    types::Scheme,
};

use crate::{config::SentryConfig, net::tls, text::shown};

/// Time that the last reports have at the end of the process. n8n's own runner has the same.
const FLUSH: Duration = Duration::from_secs(2);

/// Characters of one text of a report.
const TEXT_CHARS: usize = 500;

/// Starts reporting. Dropping the guard sends the queued reports.
///
/// # Errors
/// TLS to Sentry cannot be set up. The text names the cause.
pub(crate) fn start(config: &SentryConfig) -> Result<ClientInitGuard, String> {
    let SentryConfig { dsn, version, environment, deployment } = config;
    let tls = match dsn.scheme() {
        Scheme::Https => tls::native()?,
        Scheme::Http => tls::plain(),
    };
    let client = reqwest::Client::builder().tls_backend_preconfigured(tls).build();
    let client = client.map_err(|error| error.to_string())?;
    let mut options = ClientOptions::new()
        .maybe_release(version.as_ref().map(|version| format!("n8n@{version}")))
        .default_integrations(false)
        .shutdown_timeout(FLUSH)
        .before_send(|event| Some(escaped(event)))
        .transport(SharedTls(client));
    options.dsn = Some(dsn.clone());
    options.environment = environment.clone().map(Into::into);
    options.server_name = deployment.clone().map(Into::into);
    let guard = sentry::init(options);
    // The tag that n8n's own runner sets.
    sentry::configure_scope(|scope| scope.set_tag("server_type", "task_runner_python"));
    Ok(guard)
}

/// Escapes and cuts the texts of a report, as the log does.
fn escaped(mut event: Event<'static>) -> Event<'static> {
    let clean = |text: &mut String| *text = shown(text, TEXT_CHARS).to_string();
    event.message.iter_mut().chain(event.tags.values_mut()).for_each(clean);
    event.exception.iter_mut().filter_map(|exception| exception.value.as_mut()).for_each(clean);
    for context in event.contexts.values_mut() {
        let Context::Other(fields) = context else { continue };
        for field in fields.values_mut() {
            if let Value::String(text) = field {
                clean(text);
            }
        }
    }
    event
}

/// Sentry's HTTP transport with the TLS settings of the rest of the runner.
struct SharedTls(reqwest::Client);

impl TransportFactory for SharedTls {
    fn create_transport_with_options(&self, options: TransportOptions) -> Arc<dyn Transport> {
        Arc::new(ReqwestHttpTransportOptions::from(options).with_client(self.0.clone()).build())
    }
}
