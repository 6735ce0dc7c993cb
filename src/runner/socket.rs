//! Opens the WebSocket to the broker: TCP, TLS and the HTTP upgrade with the grant token.

use std::{sync::Arc, time::Duration};

use reqwest::Url;
use rustls::ClientConfig;
use secrecy::{ExposeSecret, SecretString};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    Connector, MaybeTlsStream, WebSocketStream, client_async_tls_with_config,
    tungstenite::{
        self,
        client::IntoClientRequest,
        handshake::client::Request,
        http::{
            HeaderValue,
            header::{AUTHORIZATION, RETRY_AFTER},
        },
        protocol::WebSocketConfig,
    },
};

use super::{
    config::RunnerConfig,
    endpoint::{CONNECT_TIMEOUT, endpoint, retry_after},
    error::ConnectError,
    read_activity::{MonitoredStream, ReadActivity},
};

/// A WebSocket whose TCP stream records read activity.
pub(crate) type Socket = WebSocketStream<MaybeTlsStream<MonitoredStream<TcpStream>>>;

/// Connects and upgrades. The socket records its reads in `activity`.
///
/// # Errors
/// The broker is unreachable, refuses the connection, or takes longer than [`CONNECT_TIMEOUT`].
pub(crate) async fn open_socket(
    config: &RunnerConfig,
    tls: &ClientConfig,
    grant: &SecretString,
    activity: &ReadActivity,
) -> Result<Socket, ConnectError> {
    let RunnerConfig { broker, max_payload, .. } = config;
    let request = request(broker, &config.id, grant)?;
    let limits = WebSocketConfig::default()
        .max_message_size(Some(*max_payload))
        .max_frame_size(Some(*max_payload));
    let connector = match broker.scheme() {
        "https" => Connector::Rustls(Arc::new(tls.clone())),
        _ => Connector::Plain,
    };
    let opening = async {
        let stream =
            dial(broker).await.map_err(|error| ConnectError::Unreachable(error.to_string()))?;
        let stream = MonitoredStream::new(stream, activity.clone());
        client_async_tls_with_config(request, stream, Some(limits), Some(connector))
            .await
            .map_err(upgrade_error)
    };
    let (socket, _) =
        timeout(CONNECT_TIMEOUT, opening).await.map_err(|_| ConnectError::TimedOut)??;
    Ok(socket)
}

fn request(broker: &Url, id: &str, grant: &SecretString) -> Result<Request, ConnectError> {
    let mut url = endpoint(broker, "runners/_ws");
    url.query_pairs_mut().append_pair("id", id);
    let address = url.as_str().replacen("http", "ws", 1);
    let mut request = address
        .into_client_request()
        .map_err(|error| ConnectError::Unreachable(error.to_string()))?;
    let bearer = format!("Bearer {}", grant.expose_secret());
    let mut bearer = HeaderValue::try_from(bearer).map_err(|_| ConnectError::NoGrant)?;
    // Keeps the token out of `Debug` output.
    bearer.set_sensitive(true);
    request.headers_mut().insert(AUTHORIZATION, bearer);
    Ok(request)
}

async fn dial(broker: &Url) -> std::io::Result<TcpStream> {
    let host = broker.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let port = broker.port_or_known_default().unwrap_or_default();
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    #[cfg(target_os = "linux")]
    detect_dead_peer(&stream)?;
    Ok(stream)
}

/// Sets `TCP_USER_TIMEOUT` and keepalive probes (tcp(7)). With the kernel's defaults a connection
/// to a vanished machine looks idle for a quarter of an hour.
#[cfg(target_os = "linux")]
fn detect_dead_peer(stream: &TcpStream) -> rustix::io::Result<()> {
    use rustix::net::sockopt;
    /// The kernel closes a connection whose sent data stays unacknowledged for this long.
    const USER_TIMEOUT: Duration = Duration::from_secs(30);
    /// Interval of the probes on an idle connection: three fit in [`USER_TIMEOUT`].
    const PROBE_INTERVAL: Duration = Duration::from_secs(10);
    sockopt::set_tcp_user_timeout(stream, USER_TIMEOUT.as_millis() as u32)?;
    sockopt::set_tcp_keepidle(stream, PROBE_INTERVAL)?;
    sockopt::set_tcp_keepintvl(stream, PROBE_INTERVAL)?;
    sockopt::set_socket_keepalive(stream, true)
}

fn upgrade_error(error: tungstenite::Error) -> ConnectError {
    match error {
        tungstenite::Error::Http(response) => ConnectError::Refused {
            what: "the connection",
            status: response.status().as_u16(),
            retry_after: retry_after(
                response.headers().get(RETRY_AFTER).map(HeaderValue::as_bytes),
            ),
        },
        other => ConnectError::Unreachable(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_the_brokers_with_the_runners_id() {
        let grant = SecretString::from("secret");
        let broker = Url::parse("https://n8n.example:8443").unwrap();
        let request = request(&broker, "a b&c", &grant).unwrap();
        assert_eq!(request.uri().to_string(), "wss://n8n.example:8443/runners/_ws?id=a+b%26c");
        assert_eq!(request.headers()[AUTHORIZATION], "Bearer secret");
        assert!(!format!("{request:?}").contains("secret"));
    }
}
