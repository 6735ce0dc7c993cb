//! The request of a guest, checked. The guest is hostile.

use std::{net::IpAddr, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use reqwest::{
    Method, Url,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use serde::Deserialize;

use super::{allow::without_dot, error::FetchError, limits::NetworkLimits};

/// Characters of a URL.
const MAX_URL: usize = 16 << 10;
/// Fields of a request's header, and their bytes together.
const MAX_HEADERS: usize = 100;
const MAX_HEADER_BYTES: usize = 64 << 10;

/// The methods that the host sends (RFC 9110, section 9, and PATCH). CONNECT would open a tunnel.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// Header fields that the host sets itself, or that concern one connection alone (RFC 9110, section
/// 7.6.1). The guest's are dropped.
const OWN_HEADERS: [&str; 11] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The call's parameter.
#[derive(Debug, Deserialize)]
struct RawRequest {
    method: String,
    url: String,
    #[serde(default)]
    headers: Vec<(String, String)>,
    /// Base64.
    body: Option<String>,
    /// Seconds.
    timeout: Option<f64>,
}

/// A request that the host can make.
#[derive(Debug)]
pub(crate) struct CheckedRequest {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) target: Target,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<Vec<u8>>,
    pub(crate) time: Duration,
}

/// Where a request goes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// The name without a dot at its end; `None` for an address.
    pub(crate) name: Option<String>,
    pub(crate) address: Option<IpAddr>,
    pub(crate) port: u16,
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.name, self.address) {
            (_, Some(IpAddr::V6(address))) => write!(f, "[{address}]")?,
            (_, Some(address)) => write!(f, "{address}")?,
            (name, None) => f.write_str(name.as_deref().unwrap_or_default())?,
        }
        match self.port {
            80 | 443 => Ok(()),
            port => write!(f, ":{port}"),
        }
    }
}

impl CheckedRequest {
    /// Reads the parameters of a call: a list of one request.
    ///
    /// # Errors
    /// They are no request, or one that the host does not make.
    pub(crate) fn read(params: &str, limits: &NetworkLimits) -> Result<Self, FetchError> {
        let [raw] = serde_json::from_str::<[RawRequest; 1]>(params)
            .map_err(|error| FetchError::Invalid(error.to_string()))?;
        let method = METHODS
            .contains(&raw.method.as_str())
            .then(|| Method::from_bytes(raw.method.as_bytes()).ok())
            .flatten()
            .ok_or_else(|| {
                FetchError::Invalid(format!("the methods are {}", METHODS.join(", ")))
            })?;
        let (url, target) = read_url(&raw.url)?;
        let body = raw.body.map(|text| decode(&text, limits.request_body)).transpose()?;
        let asked = raw.timeout.map(|seconds| Duration::try_from_secs_f64(seconds.max(0.001)));
        let time = match asked {
            Some(Ok(asked)) => asked.min(limits.time),
            Some(Err(_)) | None => limits.time,
        };
        Ok(Self { method, url, target, headers: read_headers(raw.headers)?, body, time })
    }
}

/// Parses a URL. The one parser canonicalises names, IPv4 in all forms, and IDNA.
fn read_url(text: &str) -> Result<(Url, Target), FetchError> {
    let invalid = |text: &str| FetchError::Invalid(text.to_owned());
    if text.len() > MAX_URL {
        return Err(FetchError::Invalid(format!("the URL is longer than {} KiB", MAX_URL >> 10)));
    }
    let mut url = Url::parse(text).map_err(|error| FetchError::Invalid(error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(invalid("the schemes are http and https"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(invalid("a URL has no user name and password: send a header"));
    }
    url.set_fragment(None);
    let port = url.port_or_known_default().ok_or_else(|| invalid("the URL has no port"))?;
    let host = url.host_str().ok_or_else(|| invalid("the URL has no host"))?;
    let address = host.trim_start_matches('[').trim_end_matches(']').parse().ok();
    let name = address.is_none().then(|| without_dot(host).to_owned());
    if name.as_deref().is_some_and(str::is_empty) {
        return Err(invalid("the URL has no host"));
    }
    Ok((url, Target { name, address, port }))
}

/// Reads the header fields. Their text has one character for each byte.
fn read_headers(raw: Vec<(String, String)>) -> Result<HeaderMap, FetchError> {
    let bytes: usize = raw.iter().map(|(name, value)| name.len() + value.len()).sum();
    if raw.len() > MAX_HEADERS || bytes > MAX_HEADER_BYTES {
        return Err(FetchError::Invalid(format!(
            "the header has more than {MAX_HEADERS} fields, or {} KiB",
            MAX_HEADER_BYTES >> 10
        )));
    }
    let mut headers = HeaderMap::new();
    for (name, value) in raw {
        let invalid = || FetchError::Invalid(format!("the header field {name:?} is invalid"));
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid())?;
        let value: Option<Vec<u8>> = value.chars().map(|char| u8::try_from(char).ok()).collect();
        let value = HeaderValue::from_bytes(&value.ok_or_else(invalid)?).map_err(|_| invalid())?;
        if !OWN_HEADERS.contains(&key.as_str()) {
            headers.append(key, value);
        }
    }
    Ok(headers)
}

/// Decodes base64 of at most `limit` bytes.
fn decode(text: &str, limit: usize) -> Result<Vec<u8>, FetchError> {
    let too_large = FetchError::TooLarge { what: "request", limit };
    if text.len() / 4 * 3 > limit.saturating_add(3) {
        return Err(too_large);
    }
    let body = BASE64_STANDARD
        .decode(text)
        .map_err(|_| FetchError::Invalid("the body is no base64".into()))?;
    if body.len() > limit { Err(too_large) } else { Ok(body) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(url: &str) -> Result<String, FetchError> {
        read_url(url).map(|(_, target)| target.to_string())
    }

    #[test]
    fn hosts_have_one_form() {
        for (url, host) in [
            ("http://EXAMPLE.com/x", "example.com"),
            ("https://example.com./", "example.com"),
            ("http://example.com:8080", "example.com:8080"),
            ("http://0x7f.1/", "127.0.0.1"),
            ("http://2130706433/", "127.0.0.1"),
            ("http://0177.0.0.1/", "127.0.0.1"),
            ("http://127.1:9/", "127.0.0.1:9"),
            ("http://[::FFFF:127.0.0.1]/", "[::ffff:127.0.0.1]"),
            ("http://[0:0::1]:8/", "[::1]:8"),
            ("http://m\u{fc}nchen.example/", "xn--mnchen-3ya.example"),
            ("http://\u{ff11}\u{ff12}\u{ff17}.0.0.1/", "127.0.0.1"),
            ("http://evil.example\\@good.example/", "evil.example"),
            ("http:/\\example.com/", "example.com"),
            ("http://exam\tple.com/", "example.com"),
            ("http://example.com#@good.example/", "example.com"),
        ] {
            assert_eq!(target(url).unwrap(), host, "{url}");
        }
    }

    #[test]
    fn other_urls_are_refused() {
        for url in [
            "http://user@example.com/",
            "http://user:pw@example.com/",
            "http://:pw@example.com/",
            "http://good.example:80@evil.example/",
            "file:///etc/passwd",
            "ftp://example.com/",
            "gopher://example.com/",
            "ws://example.com/",
            "data:,x",
            "//example.com/",
            "/x",
            "",
            "http://",
            "http://./",
            "http://exa mple.com/",
            "http://[::1",
            "http://[::1%25lo]/",
            "http://1.2.3.4.5/",
            "http://256.1.1.1/",
            "http://example.com:99999/",
            "http://a%00b/",
        ] {
            assert!(matches!(target(url), Err(FetchError::Invalid(_))), "{url}: {:?}", target(url));
        }
        assert!(target(&format!("http://example.com/{}", "a".repeat(20_000))).is_err());
    }

    fn read(json: &str) -> Result<CheckedRequest, FetchError> {
        CheckedRequest::read(json, &NetworkLimits::default().request_body(8))
    }

    #[test]
    fn connection_headers_of_the_guest_are_dropped() {
        let request = read(
            r#"[{"method": "POST", "url": "http://a.example", "timeout": 1e300, "body": "aGk=",
            "headers": [["Host", "b.example"], ["Connection", "upgrade"], ["Upgrade", "x"],
                ["Content-Length", "5"], ["Transfer-Encoding", "chunked"], ["X", "1"], ["x", "é"]]}]"#,
        )
        .unwrap();
        let names: Vec<_> = request.headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["x", "x"]);
        assert_eq!(request.headers.get_all("x").iter().nth(1).unwrap().as_bytes(), [0xe9]);
        assert_eq!(request.body.unwrap(), b"hi");
        assert_eq!(request.time, NetworkLimits::default().time);
    }

    #[test]
    fn malformed_requests_are_refused() {
        let field =
            |text: &str| format!(r#"[{{"method": "GET", "url": "http://a.example", {text}}}]"#);
        for text in [
            "[]".into(),
            "[1]".into(),
            r#"[{"method": "CONNECT", "url": "http://a.example"}]"#.into(),
            r#"[{"method": "get", "url": "http://a.example"}]"#.into(),
            r#"[{"method": "GET /", "url": "http://a.example"}]"#.into(),
            field(r#""headers": [["a b", "1"]]"#),
            field(r#""headers": [["a", "1\r\nHost: b"]]"#),
            field(r#""headers": [["a", "ā"]]"#),
            field(r#""body": "!""#),
            field(&format!(r#""headers": [{}["a", "1"]]"#, r#"["a", "1"], "#.repeat(100))),
            field(&format!(r#""headers": [["a", "{}"]]"#, "1".repeat(70_000))),
        ] {
            assert!(
                matches!(read(&text), Err(FetchError::Invalid(_))),
                "{text}: {:?}",
                read(&text)
            );
        }
    }

    #[test]
    fn the_size_of_a_request_body_obeyed() {
        let text = r#"[{"method": "PUT", "url": "http://a.example", "body": "MTIzNDU2Nzg="}]"#;
        assert_eq!(read(text).unwrap().body.unwrap().len(), 8);
    }

    #[test]
    fn the_size_of_a_request_body_violated() {
        let text = r#"[{"method": "PUT", "url": "http://a.example", "body": "MTIzNDU2Nzg5"}]"#;
        assert_eq!(read(text).unwrap_err(), FetchError::TooLarge { what: "request", limit: 8 });
    }
}
