//! Getting into the broker: the grant token that every connection needs.

use std::time::Duration;

use reqwest::{StatusCode, Url, header::RETRY_AFTER, redirect::Policy};
use rustls::ClientConfig;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::config::Credentials;
use super::{ConnectError, connection::CONNECT_TIMEOUT};

/// Answers with a grant token are some hundred bytes; a larger one is not the broker's.
const MAX_ANSWER: usize = 64 << 10;

/// Hands out a grant token for each connection: the one that was given while it is good, then fetched ones.
#[derive(Debug)]
pub(super) struct Auth {
    url: Url,
    tls: ClientConfig,
    credentials: Credentials,
}

#[derive(Deserialize)]
struct GrantAnswer {
    data: GrantData,
}

#[derive(Deserialize)]
struct GrantData {
    token: String,
}

impl Auth {
    /// For the broker at this address.
    pub(super) fn new(broker: &Url, tls: ClientConfig, credentials: Credentials) -> Self {
        Self { url: super::connection::endpoint(broker, "runners/auth"), tls, credentials }
    }

    /// A token for the next connection.
    ///
    /// # Errors
    /// The broker cannot be reached, refuses, or answers something else; or the only token is spent.
    pub(super) async fn grant(&self) -> Result<SecretString, ConnectError> {
        match (&self.credentials.grant, &self.credentials.auth) {
            (Some(grant), _) => Ok(grant.clone()),
            (None, Some(auth)) => self.fetch(auth).await,
            (None, None) => Err(ConnectError::GrantSpent),
        }
    }

    /// The broker has seen the token: it is good no more.
    pub(super) fn spend(&mut self) {
        self.credentials.grant = None;
    }

    /// Whether another connection is possible.
    pub(super) fn can_reconnect(&self) -> bool {
        self.credentials.auth.is_some() || self.credentials.grant.is_some()
    }

    async fn fetch(&self, auth: &SecretString) -> Result<SecretString, ConnectError> {
        let unreachable = |error: reqwest::Error| ConnectError::Unreachable(chain(&error));
        // A client for each request: they are minutes apart, and no connection to the broker stays open between them.
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(self.tls.clone())
            .redirect(Policy::none())
            .no_proxy()
            .timeout(CONNECT_TIMEOUT)
            .build()
            .map_err(unreachable)?;
        let request = client
            .post(self.url.clone())
            .json(&serde_json::json!({ "token": auth.expose_secret() }));
        let mut response = request.send().await.map_err(unreachable)?;
        if response.status() != StatusCode::OK {
            let retry_after =
                retry_after(response.headers().get(RETRY_AFTER).map(|value| value.as_bytes()));
            return Err(ConnectError::Refused {
                what: "a grant token",
                status: response.status().as_u16(),
                retry_after,
            });
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_ANSWER {
                return Err(ConnectError::NoGrant);
            }
        }
        let answer: GrantAnswer =
            serde_json::from_slice(&body).map_err(|_| ConnectError::NoGrant)?;
        Ok(answer.data.token.into())
    }
}

/// The seconds of a `Retry-After` header, where it has seconds; a minute at most, whatever it says.
pub(super) fn retry_after(header: Option<&[u8]>) -> Option<Duration> {
    const MOST: Duration = Duration::from_secs(60);
    let seconds: u64 = std::str::from_utf8(header?).ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(MOST))
}

/// An error with its causes: the outermost alone says only that a request failed.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.last().map_or_else(|| error.to_string(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sensible_waits_are_obeyed() {
        assert_eq!(retry_after(Some(b" 3 ")), Some(Duration::from_secs(3)));
        assert_eq!(retry_after(Some(b"99999999")), Some(Duration::from_secs(60)));
        assert_eq!(retry_after(Some(b"Wed, 21 Oct 2026 07:28:00 GMT")), None);
        assert_eq!(retry_after(None), None);
    }

    #[test]
    fn a_given_grant_is_used_until_it_is_spent() {
        let credentials = Credentials { grant: Some("g".into()), auth: None };
        let broker = Url::parse("http://127.0.0.1:1").unwrap();
        let mut auth = Auth::new(&broker, crate::net::tls::plain(), credentials);
        assert!(auth.can_reconnect());
        auth.spend();
        assert!(!auth.can_reconnect());
    }
}
