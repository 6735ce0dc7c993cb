//! Faults of the runner's own, reported to Sentry where an operator has set it up. What is reported are log lines of level
//! error: faults of the runner, its workers or its Python. What user code does wrong is none.

use std::{sync::Arc, time::Duration};

use sentry::{
    ClientInitGuard, ClientOptions, Transport, TransportFactory, TransportOptions,
    transports::ReqwestHttpTransportOptions, types::Scheme,
};

use crate::{config::SentryConfig, net::tls};

/// How long the last reports may take at the end of the process; as long as n8n's own runner gives them.
const FLUSH: Duration = Duration::from_secs(2);

/// Reports until the guard is dropped, which sends what is left.
///
/// # Errors
/// There is no way to reach Sentry over TLS; the text says why.
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
        .transport(OverOurTls(client));
    options.dsn = Some(dsn.clone());
    options.environment = environment.clone().map(Into::into);
    options.server_name = deployment.clone().map(Into::into);
    let guard = sentry::init(options);
    // As n8n tags its own runner's.
    sentry::configure_scope(|scope| scope.set_tag("server_type", "task_runner_python"));
    Ok(guard)
}

/// Sentry's own transport over HTTP, with the TLS that the rest of the runner uses.
struct OverOurTls(reqwest::Client);

impl TransportFactory for OverOurTls {
    fn create_transport_with_options(&self, options: TransportOptions) -> Arc<dyn Transport> {
        Arc::new(ReqwestHttpTransportOptions::from(options).with_client(self.0.clone()).build())
    }
}
