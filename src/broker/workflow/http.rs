//! `helpers.httpRequest`: one HTTP request, with the options and answers of n8n's.

use std::{collections::BTreeMap, time::Duration};

use reqwest::{
    Client, Method, RequestBuilder, Response, StatusCode, Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderName},
    redirect::Policy,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::binary::Buffer;
use crate::net::tls;

/// How long a request takes at most where nothing else is said: n8n's own limit.
const TIMEOUT: Duration = Duration::from_secs(300);
/// Bytes of the longest body that is read.
const MAX_BODY: usize = 256 << 20;
/// Redirects that are followed.
const MAX_REDIRECTS: usize = 21;

/// Makes requests.
#[derive(Clone)]
pub(super) struct Http {
    follows: Client,
    stays: Client,
}

/// The options of one request, as far as they have a meaning here.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Options {
    #[serde(alias = "uri")]
    url: String,
    #[serde(rename = "baseURL")]
    base_url: Option<String>,
    method: Option<String>,
    #[serde(default)]
    headers: Map<String, Value>,
    #[serde(default)]
    qs: Map<String, Value>,
    /// `repeat` where a list in the query is its key once for each value.
    array_format: Option<String>,
    #[serde(default)]
    body: Value,
    #[serde(default)]
    json: bool,
    /// Milliseconds.
    timeout: Option<u64>,
    auth: Option<Auth>,
    encoding: Option<String>,
    #[serde(default, alias = "resolveWithFullResponse")]
    return_full_response: bool,
    #[serde(default)]
    ignore_http_status_errors: Value,
    #[serde(default)]
    disable_follow_redirect: bool,
}

#[derive(Debug, Deserialize)]
struct Auth {
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
}

impl Http {
    /// # Errors
    /// There is no way to make requests; the text says why.
    pub(super) fn new() -> Result<Self, String> {
        // Without roots there is no https, which a request will be told.
        let tls = tls::native().unwrap_or_else(|_| tls::plain());
        let client = |policy: Policy| {
            let client = Client::builder()
                .tls_backend_preconfigured(tls.clone())
                .redirect(policy)
                .no_proxy();
            client.build().map_err(|error| error.to_string())
        };
        Ok(Self {
            follows: client(Policy::limited(MAX_REDIRECTS))?,
            stays: client(Policy::none())?,
        })
    }

    /// The body of the answer, or all of the answer where that is asked for.
    ///
    /// # Errors
    /// The request cannot be made, is not answered, or with a status that is no success: the object that n8n answers then.
    pub(super) async fn request(&self, options: &Options) -> Result<Value, Value> {
        let response =
            self.build(options)?.send().await.map_err(|error| failure(&error, options))?;
        let (status, headers) = (response.status(), response.headers().clone());
        if !status.is_success() && !options.ignores(status) {
            return Err(refused(status, options));
        }
        let body = body(response).await.map_err(|error| failure(&error, options))?;
        let body = decode(
            body.ok_or_else(|| error("maxContentLength exceeded", "ERR_BAD_RESPONSE", options))?,
            options,
        )?;
        if !options.return_full_response {
            return Ok(body);
        }
        let message = status.canonical_reason().unwrap_or_default();
        Ok(json!({
            "body": body, "headers": shown(&headers), "statusCode": status.as_u16(), "statusMessage": message
        }))
    }

    fn build(&self, options: &Options) -> Result<RequestBuilder, Value> {
        let wrong = |what: String| error(&what, "ERR_INVALID_URL", options);
        let url = match &options.base_url {
            Some(base) => Url::parse(base).and_then(|base| base.join(&options.url)),
            None => Url::parse(&options.url),
        };
        let mut url = url.map_err(|error| wrong(format!("Invalid URL: {error}")))?;
        append(&mut url, &options.qs, options.array_format.as_deref() == Some("repeat"));
        let method = options.method.as_deref().unwrap_or("GET").to_uppercase();
        let method =
            Method::from_bytes(method.as_bytes()).map_err(|error| wrong(error.to_string()))?;
        let client = if options.disable_follow_redirect { &self.stays } else { &self.follows };
        let mut request = client.request(method.clone(), url);
        request = request
            .timeout(options.timeout.filter(|&ms| ms > 0).map_or(TIMEOUT, Duration::from_millis));
        if options.json {
            request = request.header("accept", "application/json");
        }
        for (name, value) in &options.headers {
            request = request.header(name, scalar(value));
        }
        if let Some(Auth { username, password }) = &options.auth {
            request = request.basic_auth(username, Some(password));
        }
        Ok(if method == Method::GET { request } else { options.with_body(request) })
    }
}

impl Options {
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

    /// Whether a status that is no success is none of ours to report.
    fn ignores(&self, status: StatusCode) -> bool {
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

/// The body; `None` where it is too long.
async fn body(mut response: Response) -> reqwest::Result<Option<Vec<u8>>> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > MAX_BODY {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}

/// What n8n makes of a body: JSON where it is some, whatever its type, text otherwise.
fn decode(body: Vec<u8>, options: &Options) -> Result<Value, Value> {
    let text = |body: Vec<u8>| Value::String(String::from_utf8_lossy(&body).into_owned());
    match options.encoding.as_deref() {
        Some("arraybuffer") => {
            serde_json::to_value(Buffer::new(body)).map_err(|error| json!(error.to_string()))
        }
        Some("text") => Ok(text(body)),
        _ => Ok(serde_json::from_slice(&body).unwrap_or_else(|_| text(body))),
    }
}

/// Headers by name; one that comes more than once is a list.
fn shown(headers: &HeaderMap) -> BTreeMap<&str, Value> {
    let values = |name: &HeaderName| {
        let values: Vec<_> =
            headers.get_all(name).iter().map(|v| String::from_utf8_lossy(v.as_bytes())).collect();
        if values.len() == 1 { json!(values[0]) } else { json!(values) }
    };
    headers.keys().map(|name| (name.as_str(), values(name))).collect()
}

/// A value as it stands in a header or a query.
fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// Appends parameters to a query: parts of lists and objects as `a[0]=…` and `a[b]=…`.
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

/// Fields as the body of a form, which is written as a query is.
fn form(fields: &Map<String, Value>) -> String {
    let Ok(mut url) = Url::parse("form:") else { return String::new() };
    append(&mut url, fields, false);
    url.query().unwrap_or_default().to_owned()
}

/// A request that failed, as n8n's HTTP library puts it.
fn error(message: &str, code: &str, options: &Options) -> Value {
    let method = options.method.as_deref().unwrap_or("GET").to_lowercase();
    json!({
        "message": message, "name": "AxiosError", "code": code, "config": { "url": options.url, "method": method }
    })
}

fn refused(status: StatusCode, options: &Options) -> Value {
    let code = if status.is_server_error() { "ERR_BAD_RESPONSE" } else { "ERR_BAD_REQUEST" };
    let mut error =
        error(&format!("Request failed with status code {}", status.as_u16()), code, options);
    error["status"] = status.as_u16().into();
    error
}

fn failure(failed: &reqwest::Error, options: &Options) -> Value {
    if failed.is_timeout() {
        let time = options.timeout.unwrap_or(TIMEOUT.as_millis() as u64);
        return error(&format!("timeout of {time}ms exceeded"), "ECONNABORTED", options);
    }
    let code = if failed.is_connect() { "ECONNREFUSED" } else { "ERR_NETWORK" };
    let causes = std::iter::successors(std::error::Error::source(failed), |cause| cause.source());
    let deepest = causes.last().map_or_else(|| failed.to_string(), ToString::to_string);
    error(&format!("{code}: {deepest}"), code, options)
}
