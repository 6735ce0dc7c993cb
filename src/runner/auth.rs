//! The grant token: every connection to the broker needs one.

use reqwest::{StatusCode, Url, header::RETRY_AFTER, redirect::Policy};
use rustls::ClientConfig;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::{
    config::Credentials,
    endpoint::{CONNECT_TIMEOUT, endpoint, retry_after},
    error::ConnectError,
};

/// Bytes of the largest answer read. An answer with a grant token has some hundred bytes; the limit
/// bounds memory if another server answers.
const MAX_ANSWER: usize = 64 << 10;

/// Supplies a grant token for each connection: the configured one first, then fetched ones.
#[derive(Debug)]
pub(crate) struct Auth {
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
    /// Uses the broker at this address.
    pub(crate) fn new(broker: &Url, tls: ClientConfig, credentials: Credentials) -> Self {
        Self { url: endpoint(broker, "runners/auth"), tls, credentials }
    }

    /// Returns a token for the next connection.
    ///
    /// # Errors
    /// The broker is unreachable, refuses, or answers without a token; or the only token is spent.
    pub(crate) async fn grant(&self) -> Result<SecretString, ConnectError> {
        match (&self.credentials.grant, &self.credentials.auth) {
            (Some(grant), _) => Ok(grant.clone()),
            (None, Some(auth)) => self.fetch(auth).await,
            (None, None) => Err(ConnectError::GrantSpent),
        }
    }

    /// Discards the configured token: a grant token is good for one connection.
    pub(crate) fn spend(&mut self) {
        self.credentials.grant = None;
    }

    /// Returns whether another connection is possible.
    pub(crate) fn can_reconnect(&self) -> bool {
        self.credentials.auth.is_some() || self.credentials.grant.is_some()
    }

    async fn fetch(&self, auth: &SecretString) -> Result<SecretString, ConnectError> {
        let unreachable = |error: reqwest::Error| ConnectError::Unreachable(chain(&error));
        // One client per request: requests are minutes apart, and a kept client would keep an idle
        // connection to the broker open.
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

/// Returns the text of the innermost cause: the outermost says only that a request failed.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.last().map_or_else(|| error.to_string(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

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
