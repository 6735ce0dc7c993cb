//! HTTP requests that the host makes for a task, to hosts that the operator named.
//!
//! A task has no network. With a [`Network`], its `urllib`, `requests` and `httpx` send one call
//! for each request ([`HTTP_SEND`]), and the host makes the request if its rules allow it. Bodies
//! cross as base64. Redirects are not followed: the guest's libraries follow them, and each is a
//! request of its own, which is checked again.
//!
//! | file | contents |
//! |---|---|
//! | `network` | [`Network`]: checks a request, makes it, and bounds it |
//! | `allow` | [`AllowedHost`]: which hosts, ports and addresses are named |
//! | `address` | which addresses are public |
//! | `request` | the request of a guest, checked |
//! | `response` | the response, read within its limits |
//! | `limits`, `error` | [`NetworkLimits`], [`FetchError`] |

mod address;
mod allow;
mod error;
mod limits;
mod network;
mod request;
mod response;
#[cfg(test)]
mod tests;

pub use allow::{AllowedHost, BadHost};
pub use error::FetchError;
pub use limits::NetworkLimits;
pub use network::{HTTP_SEND, Network};
