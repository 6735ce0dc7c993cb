//! [`Network`]: makes the requests of a task.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use reqwest::{
    Client,
    dns::{Name, Resolve, Resolving},
    redirect::Policy,
};
use rustls::ClientConfig;
use serde_json::value::{RawValue, to_raw_value};
use tokio::{sync::Semaphore, time::timeout};

use super::{
    allow::AllowedHost,
    error::FetchError,
    limits::NetworkLimits,
    request::{CheckedRequest, Target},
    response::{self, FetchedResponse, cause},
};
use crate::{
    net::tls,
    sandbox::{HostFunctions, PendingAnswer},
};

/// The name of the call that makes a request.
pub const HTTP_SEND: &str = "http.send";

/// Addresses of a name that are tried.
const MAX_ADDRESSES: usize = 16;

/// Returns the addresses of a name, in a test.
#[cfg(test)]
pub(crate) type FixedAddresses = Arc<dyn Fn(&str) -> Vec<IpAddr> + Send + Sync>;

/// Looks up the addresses of a name.
#[derive(Clone)]
pub(crate) enum Resolver {
    System,
    #[cfg(test)]
    Fixed(FixedAddresses),
}

/// The client's resolver. It knows the checked addresses of one name; another look-up could give
/// other addresses (DNS rebinding).
struct NoSecondLookup;

impl Resolve for NoSecondLookup {
    fn resolve(&self, name: Name) -> Resolving {
        let error = format!("the addresses of {} are not checked", name.as_str());
        Box::pin(std::future::ready(Err(error.into())))
    }
}

/// Makes HTTP requests for one task, to named hosts, within limits. Cloning shares the limits.
///
/// It checks the host and port of each request, then the addresses of the host, and connects to an
/// address that it has checked: the name is not looked up again. It uses no proxy, follows no
/// redirect, unpacks nothing, and trusts the root certificates of the system.
///
/// Needs a tokio runtime with I/O and timers.
///
/// ```
/// use serpentarium::{fetch::Network, sandbox::HostFunctions};
///
/// let network = Network::new(["api.example.com".parse()?, "*.example.org:443".parse()?]);
/// let host = network.offer(HostFunctions::new());
/// # let _ = host;
/// # Ok::<(), serpentarium::fetch::BadHost>(())
/// ```
#[derive(Clone)]
pub struct Network {
    shared: Arc<Shared>,
}

struct Shared {
    allowed: Vec<AllowedHost>,
    limits: NetworkLimits,
    resolver: Resolver,
    made: AtomicU32,
    permits: Semaphore,
    /// Read at the first `https` request. The text says why there is none.
    tls: OnceLock<Result<ClientConfig, String>>,
}

impl Network {
    /// Creates a network that reaches these hosts, with the default limits. Create one for each
    /// task: its number of requests is limited.
    pub fn new(allowed: impl IntoIterator<Item = AllowedHost>) -> Self {
        Self::with_limits(allowed, NetworkLimits::default())
    }

    /// Creates a network with these limits.
    pub fn with_limits(
        allowed: impl IntoIterator<Item = AllowedHost>,
        limits: NetworkLimits,
    ) -> Self {
        Self::with_resolver(allowed, limits, Resolver::System)
    }

    pub(crate) fn with_resolver(
        allowed: impl IntoIterator<Item = AllowedHost>,
        limits: NetworkLimits,
        resolver: Resolver,
    ) -> Self {
        let permits = Semaphore::new(limits.in_flight.clamp(1, Semaphore::MAX_PERMITS));
        let allowed = allowed.into_iter().collect();
        let (made, tls) = (AtomicU32::new(0), OnceLock::new());
        Self { shared: Arc::new(Shared { allowed, limits, resolver, made, permits, tls }) }
    }

    /// Adds the call [`HTTP_SEND`] to the functions of a host.
    pub fn offer(&self, host: HostFunctions) -> HostFunctions {
        let network = self.clone();
        host.function(HTTP_SEND, move |params: Box<RawValue>| {
            let network = network.clone();
            async move { network.send(&params).await.map_err(|error| error.to_answer()) }
        })
    }

    /// Answers the call [`HTTP_SEND`]: for an implementor of
    /// [`HostCalls`](crate::sandbox::HostCalls).
    pub fn call(&self, params: Box<RawValue>) -> PendingAnswer {
        let network = self.clone();
        Box::pin(async move {
            let response = network.send(&params).await.map_err(|error| error.to_answer())?;
            to_raw_value(&response).map_err(|error| error.to_string())
        })
    }

    /// Makes the request of a call's parameters.
    pub(crate) async fn send(&self, params: &RawValue) -> Result<FetchedResponse, FetchError> {
        let shared = &*self.shared;
        let request = CheckedRequest::read(params.get(), &shared.limits)?;
        shared.check(&request.target)?;
        if shared.made.fetch_add(1, Ordering::Relaxed) >= shared.limits.requests {
            // It would wrap around after four billion refused requests.
            shared.made.fetch_sub(1, Ordering::Relaxed);
            return Err(FetchError::TooMany(shared.limits.requests));
        }
        // Fails only if the semaphore is closed, which never happens.
        let _permit = shared.permits.acquire().await;
        let time = request.time;
        timeout(time, shared.make(request)).await.unwrap_or(Err(FetchError::Late(time)))
    }
}

impl Shared {
    /// Checks the host and port that a URL names.
    fn check(&self, target: &Target) -> Result<(), FetchError> {
        let port = target.port;
        let is_allowed = self.allowed.iter().any(|entry| match (&target.name, target.address) {
            (Some(name), _) => entry.allows_name(name, port),
            (None, Some(address)) => entry.allows_address(address, port, None),
            (None, None) => false,
        });
        if is_allowed { Ok(()) } else { Err(FetchError::NotAllowed(target.to_string())) }
    }

    /// Returns the addresses to connect to: those that are allowed.
    async fn addresses(&self, target: &Target) -> Result<Vec<SocketAddr>, FetchError> {
        let name = target.name.as_deref();
        let found = match (target.address, name) {
            (Some(address), _) => vec![address],
            (None, name) => self.resolve(name.unwrap_or_default(), target.port).await?,
        };
        let port = target.port;
        let allowed: Vec<_> = found
            .iter()
            .filter(|address| {
                self.allowed.iter().any(|entry| entry.allows_address(**address, port, name))
            })
            .take(MAX_ADDRESSES)
            .map(|address| SocketAddr::new(*address, port))
            .collect();
        match found.first() {
            Some(&first) if allowed.is_empty() => Err(FetchError::NotPublic {
                host: name.unwrap_or_default().to_owned(),
                address: Target { name: None, address: Some(first), port }.to_string(),
            }),
            _ => Ok(allowed),
        }
    }

    async fn resolve(&self, name: &str, port: u16) -> Result<Vec<IpAddr>, FetchError> {
        let found = match &self.resolver {
            Resolver::System => {
                let found = tokio::net::lookup_host((name, port)).await;
                found.map(|found| found.map(|address| address.ip()).collect::<Vec<_>>())
            }
            #[cfg(test)]
            Resolver::Fixed(resolve) => Ok(resolve(name)),
        };
        let unresolved = |reason: String| FetchError::Unresolved { host: name.to_owned(), reason };
        let found = found.map_err(|error| unresolved(error.to_string()))?;
        if found.is_empty() { Err(unresolved("it has no address".into())) } else { Ok(found) }
    }

    async fn make(&self, request: CheckedRequest) -> Result<FetchedResponse, FetchError> {
        let CheckedRequest { method, url, target, headers, body, .. } = request;
        let addresses = self.addresses(&target).await?;
        let tls = if url.scheme() == "https" { self.tls(&target)? } else { tls::plain() };
        let mut client = Client::builder()
            .tls_backend_preconfigured(tls)
            .http1_only()
            .redirect(Policy::none())
            .referer(false)
            .no_proxy()
            .dns_resolver(Arc::new(NoSecondLookup))
            .pool_max_idle_per_host(0);
        if let Some(host) = url.host_str().filter(|_| target.address.is_none()) {
            client = client.resolve_to_addrs(host, &addresses);
        }
        let client = client.build().map_err(|error| FetchError::Broken(cause(&error)))?;
        let mut request = client.request(method, url).headers(headers);
        if let Some(body) = body {
            request = request.body(body);
        }
        let response = request.send().await.map_err(|error| {
            if error.is_connect() {
                FetchError::Connect { host: target.to_string(), reason: cause(&error) }
            } else {
                FetchError::Broken(cause(&error))
            }
        })?;
        response::read(response, self.limits.response_body).await
    }

    fn tls(&self, target: &Target) -> Result<ClientConfig, FetchError> {
        self.tls
            .get_or_init(tls::native)
            .clone()
            .map_err(|reason| FetchError::Connect { host: target.to_string(), reason })
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network")
            .field("allowed", &self.shared.allowed)
            .field("limits", &self.shared.limits)
            .finish_non_exhaustive()
    }
}
