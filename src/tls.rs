//! TLS for what is reached over `https`: a runner's broker (its grant token and its WebSocket),
//! Sentry, and what tasks ask a local broker to fetch.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore, crypto::ring};

/// TLS with the operating system's trusted roots (or those that `SSL_CERT_FILE` names). Reading them takes
/// milliseconds, so this is for `https` only.
///
/// # Errors
/// There are no roots; the text says why.
pub(crate) fn native() -> Result<ClientConfig, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        let why: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
        return Err(format!("no trusted root certificates on this system ({})", why.join("; ")));
    }
    Ok(trusting(roots))
}

/// TLS that trusts nobody, for plain `http`.
pub(crate) fn plain() -> ClientConfig {
    trusting(RootCertStore::empty())
}

fn trusting(roots: RootCertStore) -> ClientConfig {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring supports the default versions: an invariant of rustls")
        .with_root_certificates(roots)
        .with_no_client_auth()
}
