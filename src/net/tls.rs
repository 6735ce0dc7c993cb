//! TLS client settings for `https` addresses: the runner's broker, Sentry, and the URLs that tasks
//! fetch through the local broker.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore, crypto::ring};

/// Builds settings that trust the operating system's root certificates, or those that
/// `SSL_CERT_FILE` names. Reading them takes milliseconds: call it only for `https`.
///
/// # Errors
/// The system has no usable root certificate; the text lists the causes.
pub(crate) fn native() -> Result<ClientConfig, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        let why: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
        return Err(format!("no trusted root certificates on this system ({})", why.join("; ")));
    }
    Ok(with_roots(roots))
}

/// Builds settings without any root certificate, for clients that use plain `http` only.
pub(crate) fn plain() -> ClientConfig {
    with_roots(RootCertStore::empty())
}

fn with_roots(roots: RootCertStore) -> ClientConfig {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring supports the default versions: an invariant of rustls")
        .with_root_certificates(roots)
        .with_no_client_auth()
}
