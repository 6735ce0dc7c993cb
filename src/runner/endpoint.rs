//! The broker's HTTP endpoints: their addresses, time-out and `Retry-After` header.

use std::time::Duration;

use reqwest::Url;

/// Time limit of each step of connecting: the grant token, then the WebSocket upgrade.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest wait that a `Retry-After` header can ask for. A larger value counts as this one.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(60);

/// Appends `path` to the broker's address and keeps the address's own path.
pub(crate) fn endpoint(broker: &Url, path: &str) -> Url {
    let mut url = broker.clone();
    url.set_path(&format!("{}/{path}", broker.path().trim_end_matches('/')));
    url.set_query(None);
    url.set_fragment(None);
    url
}

/// Reads a `Retry-After` header that holds seconds, at most a minute. Ignores the date form (RFC
/// 9110, section 10.2.3).
pub(crate) fn retry_after(header: Option<&[u8]>) -> Option<Duration> {
    let seconds: u64 = std::str::from_utf8(header?).ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_and_at_most_a_minute() {
        assert_eq!(retry_after(Some(b" 3 ")), Some(Duration::from_secs(3)));
        assert_eq!(retry_after(Some(b"99999999")), Some(Duration::from_secs(60)));
        assert_eq!(retry_after(Some(b"Wed, 21 Oct 2026 07:28:00 GMT")), None);
        assert_eq!(retry_after(None), None);
    }

    #[test]
    fn a_path_in_the_brokers_address_is_kept() {
        let broker = Url::parse("http://proxy/n8n/").unwrap();
        assert_eq!(endpoint(&broker, "runners/auth").as_str(), "http://proxy/n8n/runners/auth");
    }
}
