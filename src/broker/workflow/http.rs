//! `helpers.httpRequest`: one HTTP request with n8n's options and answers (`IHttpRequestOptions` in
//! n8n-workflow).

use std::{sync::Arc, time::Duration};

use reqwest::{
    Client, Method, RequestBuilder, StatusCode, Url,
    header::{CONTENT_TYPE, HeaderMap, SET_COOKIE},
    redirect::Policy,
};
use serde::{Deserialize, Serialize};
use serde_json::{
    Map, Value, json,
    value::{RawValue, to_raw_value},
};
use tokio::sync::Semaphore;

use super::{
    body,
    failures::{body_error, error, request_error, status_error},
};
use crate::net::{descriptors, tls};

/// The default timeout of a request, equal to n8n's.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(300);
/// The compressions that [`body`] unpacks.
const ACCEPT_ENCODING: &str = "gzip, deflate, br";
/// Redirects per request, equal to the default of n8n's HTTP library (follow-redirects).
const MAX_REDIRECTS: usize = 21;
/// Requests at a time at most; others wait.
const MAX_REQUESTS: usize = 256;
/// Free descriptors per request. A look-up of a name takes four; the other four are the broker's
/// share for HTTP connections and runners.
const DESCRIPTORS_PER_REQUEST: usize = 8;

/// Makes HTTP requests.
#[derive(Clone)]
pub(crate) struct HttpClient {
    following_redirects: Client,
    without_redirects: Client,
    permits: Arc<Semaphore>,
}

/// The supported options of one request; others are ignored.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HttpOptions {
    #[serde(alias = "uri")]
    pub(crate) url: String,
    #[serde(rename = "baseURL")]
    base_url: Option<String>,
    pub(crate) method: Option<String>,
    #[serde(default)]
    headers: Map<String, Value>,
    #[serde(default)]
    qs: Map<String, Value>,
    /// `repeat` writes a list in the query as its key once per value.
    array_format: Option<String>,
    #[serde(default)]
    body: Value,
    #[serde(default)]
    json: bool,
    /// Milliseconds; 0 means the default.
    pub(crate) timeout: Option<u64>,
    auth: Option<BasicAuth>,
    encoding: Option<String>,
    #[serde(default, alias = "resolveWithFullResponse")]
    return_full_response: bool,
    #[serde(default)]
    ignore_http_status_errors: Value,
    #[serde(default)]
    disable_follow_redirect: bool,
}

#[derive(Debug, Deserialize)]
struct BasicAuth {
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
}

/// The answer with `returnFullResponse`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FullResponse {
    body: Box<RawValue>,
    headers: Map<String, Value>,
    status_code: u16,
    status_message: &'static str,
}

impl HttpClient {
    /// Creates a client that trusts the system's root certificates.
    ///
    /// # Errors
    /// The TLS backend cannot be initialised.
    pub(crate) fn new() -> reqwest::Result<Self> {
        // Without root certificates only https requests fail.
        let tls = tls::native().unwrap_or_else(|_| tls::plain());
        let client = |policy: Policy| {
            Client::builder()
                .tls_backend_preconfigured(tls.clone())
                .redirect(policy)
                .no_proxy()
                // Idle connections would hold descriptors without a permit.
                .pool_max_idle_per_host(0)
                .build()
        };
        let requests = (descriptors::free() / DESCRIPTORS_PER_REQUEST).clamp(1, MAX_REQUESTS);
        Ok(Self {
            permits: Arc::new(Semaphore::new(requests)),
            following_redirects: client(Policy::limited(MAX_REDIRECTS))?,
            without_redirects: client(Policy::none())?,
        })
    }

    /// Makes a request. Returns the response body, or the full response if the options ask for it.
    ///
    /// # Errors
    /// The request is invalid, has no response, or its status is no success. The error has n8n's
    /// form.
    pub(crate) async fn request(&self, options: &HttpOptions) -> Result<Box<RawValue>, Value> {
        // Fails only if the semaphore is closed, which never happens.
        let _permit = self.permits.acquire().await;
        let response =
            self.build(options)?.send().await.map_err(|error| request_error(&error, options))?;
        let (status, mut headers) = (response.status(), response.headers().clone());
        if !status.is_success() && !options.accepts(status) {
            return Err(status_error(status, options));
        }
        let has_body = !options.is_head() && status != StatusCode::NO_CONTENT;
        let body = body::read(response, &mut headers, has_body)
            .await
            .map_err(|error| body_error(&error, options))?;
        let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let json_error = |error: serde_json::Error| json!(error.to_string());
        let body = body::value(body, options.encoding.as_deref(), content_type)
            .map_err(|error| body_error(&error, options))?;
        if !options.return_full_response {
            return Ok(body);
        }
        to_raw_value(&FullResponse {
            body,
            headers: header_values(&headers),
            status_code: status.as_u16(),
            status_message: status.canonical_reason().unwrap_or_default(),
        })
        .map_err(json_error)
    }

    fn build(&self, options: &HttpOptions) -> Result<RequestBuilder, Value> {
        let invalid = |message: String| error(&message, "ERR_INVALID_URL", options);
        let url = match &options.base_url {
            Some(base) => Url::parse(base).and_then(|base| base.join(&options.url)),
            None => Url::parse(&options.url),
        };
        let mut url = url.map_err(|error| invalid(format!("Invalid URL: {error}")))?;
        append(&mut url, &options.qs, options.array_format.as_deref() == Some("repeat"));
        let method = options.method.as_deref().unwrap_or("GET").to_uppercase();
        let method =
            Method::from_bytes(method.as_bytes()).map_err(|error| invalid(error.to_string()))?;
        let client = if options.disable_follow_redirect {
            &self.without_redirects
        } else {
            &self.following_redirects
        };
        let mut request = client.request(method.clone(), url);
        request = request
            .timeout(options.timeout.filter(|&ms| ms > 0).map_or(TIMEOUT, Duration::from_millis));
        if options.json {
            request = request.header("accept", "application/json");
        }
        if !options.headers.keys().any(|name| name.eq_ignore_ascii_case("accept-encoding")) {
            request = request.header("accept-encoding", ACCEPT_ENCODING);
        }
        for (name, value) in &options.headers {
            request = request.header(name, scalar(value));
        }
        if let Some(BasicAuth { username, password }) = &options.auth {
            request = request.basic_auth(username, Some(password));
        }
        Ok(if method == Method::GET { request } else { options.with_body(request) })
    }
}

impl HttpOptions {
    fn is_head(&self) -> bool {
        self.method.as_deref().is_some_and(|method| method.eq_ignore_ascii_case("head"))
    }

    fn with_body(&self, request: RequestBuilder) -> RequestBuilder {
        let content_type =
            self.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(CONTENT_TYPE.as_str()));
        let is_form =
            content_type.is_some_and(|(_, value)| scalar(value).contains("x-www-form-urlencoded"));
        match &self.body {
            Value::Null => request,
            Value::String(text) => request.body(text.clone()),
            Value::Object(fields) if is_form => request.body(form(fields)),
            value if content_type.is_none() => request.json(value),
            value => request.body(value.to_string()),
        }
    }

    /// Returns whether the options accept a status that is no success.
    fn accepts(&self, status: StatusCode) -> bool {
        match &self.ignore_http_status_errors {
            Value::Object(rule) => {
                let except = rule.get("except").and_then(Value::as_array);
                rule.get("ignore") == Some(&Value::Bool(true))
                    && !except
                        .is_some_and(|codes| codes.iter().any(|code| *code == status.as_u16()))
            }
            other => *other == Value::Bool(true),
        }
    }
}

/// Collects headers by name, in their order, as Node does: cookies are a list, the values of
/// another repeated header are one text.
fn header_values(headers: &HeaderMap) -> Map<String, Value> {
    let mut all = Map::new();
    for name in headers.keys() {
        let values: Vec<_> =
            headers.get_all(name).iter().map(|v| String::from_utf8_lossy(v.as_bytes())).collect();
        let value = if *name == SET_COOKIE { json!(values) } else { values.join(", ").into() };
        all.insert(name.as_str().to_owned(), value);
    }
    all
}

/// Formats a JSON value as text in a header or query.
fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// Appends parameters to a query. Elements of lists and objects become `a[0]=…` and `a[b]=…`.
fn append(url: &mut Url, fields: &Map<String, Value>, repeats: bool) {
    fn pairs(name: String, value: &Value, repeats: bool, into: &mut Vec<(String, String)>) {
        match value {
            Value::Array(parts) if repeats => {
                parts.iter().for_each(|part| pairs(name.clone(), part, repeats, into));
            }
            Value::Array(parts) => {
                parts
                    .iter()
                    .enumerate()
                    .for_each(|(at, part)| pairs(format!("{name}[{at}]"), part, repeats, into));
            }
            Value::Object(parts) => {
                parts
                    .iter()
                    .for_each(|(key, part)| pairs(format!("{name}[{key}]"), part, repeats, into));
            }
            value => into.push((name, scalar(value))),
        }
    }
    let mut all = Vec::new();
    fields.iter().for_each(|(name, value)| pairs(name.clone(), value, repeats, &mut all));
    if !all.is_empty() {
        url.query_pairs_mut().extend_pairs(all);
    }
}

/// Encodes fields as an `application/x-www-form-urlencoded` body.
fn form(fields: &Map<String, Value>) -> String {
    let Ok(mut url) = Url::parse("form:") else { return String::new() };
    append(&mut url, fields, false);
    url.query().unwrap_or_default().to_owned()
}
