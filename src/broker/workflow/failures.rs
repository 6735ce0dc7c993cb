//! Errors of HTTP requests in the form of n8n's HTTP library (`AxiosError`).

use std::{error::Error, io, iter::successors};

use reqwest::{StatusCode, Url};
use serde_json::{Value, json};

use super::{
    body::BodyError,
    http::{HttpOptions, TIMEOUT},
};

/// Names of Node for errors of the operating system.
const CODES: [(io::ErrorKind, &str); 8] = [
    (io::ErrorKind::AddrNotAvailable, "EADDRNOTAVAIL"),
    (io::ErrorKind::BrokenPipe, "EPIPE"),
    (io::ErrorKind::ConnectionAborted, "ECONNABORTED"),
    (io::ErrorKind::ConnectionRefused, "ECONNREFUSED"),
    (io::ErrorKind::ConnectionReset, "ECONNRESET"),
    (io::ErrorKind::HostUnreachable, "EHOSTUNREACH"),
    (io::ErrorKind::NetworkUnreachable, "ENETUNREACH"),
    (io::ErrorKind::TimedOut, "ETIMEDOUT"),
];

/// The start of the standard library's text for a name that has no address.
const NO_ADDRESS: &str = "failed to lookup address information";

/// Builds an error.
pub(crate) fn error(message: &str, code: &str, options: &HttpOptions) -> Value {
    let method = options.method.as_deref().unwrap_or("GET").to_lowercase();
    json!({
        "message": message,
        "name": "AxiosError",
        "code": code,
        "config": { "url": options.url, "method": method },
    })
}

/// Builds the error for a status that is no success.
pub(crate) fn status_error(status: StatusCode, options: &HttpOptions) -> Value {
    let code = if status.is_server_error() { "ERR_BAD_RESPONSE" } else { "ERR_BAD_REQUEST" };
    let mut error =
        error(&format!("Request failed with status code {}", status.as_u16()), code, options);
    error["status"] = status.as_u16().into();
    error
}

/// Builds the error for a request without a response. Its message has the address and the error of
/// the operating system.
pub(crate) fn request_error(failed: &reqwest::Error, options: &HttpOptions) -> Value {
    if failed.is_timeout() {
        let time = options.timeout.unwrap_or(TIMEOUT.as_millis() as u64);
        return error(&format!("timeout of {time}ms exceeded"), "ECONNABORTED", options);
    }
    let causes = || successors(failed.source(), |cause| (*cause).source());
    let deepest = causes().last().map_or_else(|| failed.to_string(), ToString::to_string);
    let of_system = causes().find_map(|cause| {
        let kind = cause.downcast_ref::<io::Error>()?.kind();
        CODES.iter().find(|(known, _)| *known == kind).map(|(_, code)| *code)
    });
    let code = match of_system {
        Some(code) => code,
        None if deepest.starts_with(NO_ADDRESS) => "ENOTFOUND",
        None => "ERR_NETWORK",
    };
    let address = failed.url().map_or_else(|| options.url.clone(), shown);
    error(&format!("{code}: {address}: {deepest}"), code, options)
}

/// Builds the error for a response without a usable body.
pub(crate) fn body_error(failed: &BodyError, options: &HttpOptions) -> Value {
    match failed {
        BodyError::Http(failed) => request_error(failed, options),
        other => error(&other.to_string(), "ERR_BAD_RESPONSE", options),
    }
}

/// Formats a URL without user, password and query, which can be secret.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    // These fail only for URLs without a host, which have no user.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.into()
}
