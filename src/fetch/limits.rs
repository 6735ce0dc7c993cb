//! The limits of a task's requests.

use std::time::Duration;

/// The limits of the requests that one [`Network`](super::Network) makes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NetworkLimits {
    /// Requests in total, redirects included. Default 1,000.
    pub requests: u32,
    /// Requests at a time; others wait. Default 16, at least 1.
    pub in_flight: usize,
    /// Time of one request, from the look-up of the name to the last byte. The guest can ask for
    /// less. Default 60 s.
    pub time: Duration,
    /// Bytes of a request's body. Default 16 MiB.
    pub request_body: usize,
    /// Bytes of a response's body. Default 32 MiB: as base64 it fits into the default limit of a
    /// call ([`Limits::call_bytes`](crate::sandbox::Limits::call_bytes)).
    pub response_body: usize,
}

impl Default for NetworkLimits {
    fn default() -> Self {
        Self {
            requests: 1_000,
            in_flight: 16,
            time: Duration::from_secs(60),
            request_body: 16 << 20,
            response_body: 32 << 20,
        }
    }
}

impl NetworkLimits {
    /// Sets the number of requests in total.
    #[must_use]
    pub fn requests(mut self, requests: u32) -> Self {
        self.requests = requests;
        self
    }

    /// Sets the number of requests at a time; 0 counts as 1.
    #[must_use]
    pub fn in_flight(mut self, in_flight: usize) -> Self {
        self.in_flight = in_flight.max(1);
        self
    }

    /// Sets the time of one request.
    #[must_use]
    pub fn time(mut self, time: Duration) -> Self {
        self.time = time;
        self
    }

    /// Sets the bytes of a request's body.
    #[must_use]
    pub fn request_body(mut self, bytes: usize) -> Self {
        self.request_body = bytes;
        self
    }

    /// Sets the bytes of a response's body.
    #[must_use]
    pub fn response_body(mut self, bytes: usize) -> Self {
        self.response_body = bytes;
        self
    }
}
