//! Opens the WebSocket to the broker: TCP, TLS and the HTTP upgrade with the grant token.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::BytesMut;
use reqwest::Url;
use rustls::{ClientConfig, pki_types::ServerName};
use secrecy::{ExposeSecret, SecretString};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::{
    client_async_with_config,
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

/// A TCP stream, with or without TLS.
pub(crate) type Stream = Pin<Box<dyn Duplex>>;

/// A stream in both directions.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send {}

impl<S: AsyncRead + AsyncWrite + Send> Duplex for S {}

impl std::fmt::Debug for dyn Duplex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Duplex")
    }
}

/// An upgraded connection.
pub(crate) struct Opened {
    pub(crate) stream: Stream,
    /// The bytes that came with the answer to the upgrade: the first frames.
    pub(crate) received: BytesMut,
}

/// Connects and upgrades. The stream records its reads in `activity`.
///
/// # Errors
/// The broker is unreachable, refuses the connection, or takes longer than [`CONNECT_TIMEOUT`].
pub(crate) async fn open_socket(
    config: &RunnerConfig,
    tls: &ClientConfig,
    grant: &SecretString,
    activity: &ReadActivity,
) -> Result<Opened, ConnectError> {
    let broker = &config.broker;
    let request = request(broker, &config.id, grant)?;
    // tungstenite does the handshake and reads no frame.
    let unused = WebSocketConfig::default().read_buffer_size(0);
    let opening = async {
        let stream = dial(broker, tls, activity).await.map_err(unreachable)?;
        client_async_with_config(request, UpgradingStream::new(stream), Some(unused))
            .await
            .map_err(upgrade_error)
    };
    let (socket, _) =
        timeout(CONNECT_TIMEOUT, opening).await.map_err(|_| ConnectError::TimedOut)??;
    let UpgradingStream { stream, behind, .. } = socket.into_inner();
    Ok(Opened { stream, received: behind })
}

fn unreachable(error: io::Error) -> ConnectError {
    ConnectError::Unreachable(error.to_string())
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

async fn dial(broker: &Url, tls: &ClientConfig, activity: &ReadActivity) -> io::Result<Stream> {
    let host = broker.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let port = broker.port_or_known_default().unwrap_or_default();
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    #[cfg(target_os = "linux")]
    detect_dead_peer(&stream)?;
    let stream = MonitoredStream::new(stream, activity.clone());
    if broker.scheme() != "https" {
        return Ok(Box::pin(stream));
    }
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let tls = TlsConnector::from(Arc::new(tls.clone()));
    Ok(Box::pin(tls.connect(name, stream).await?))
}

/// A stream during the upgrade. It delivers the head of the HTTP response only, and keeps what
/// comes behind it: tungstenite would keep that to itself.
struct UpgradingStream {
    stream: Stream,
    /// The last four bytes of the head so far.
    last: [u8; 4],
    behind: BytesMut,
}

impl UpgradingStream {
    fn new(stream: Stream) -> Self {
        Self { stream, last: [0; 4], behind: BytesMut::new() }
    }
}

impl AsyncRead for UpgradingStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context,
        buffer: &mut ReadBuf,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let begin = buffer.filled().len();
        std::task::ready!(this.stream.as_mut().poll_read(cx, buffer))?;
        for at in begin..buffer.filled().len() {
            let [_, a, b, c] = this.last;
            this.last = [a, b, c, buffer.filled()[at]];
            if this.last == *b"\r\n\r\n" {
                this.behind.extend_from_slice(&buffer.filled()[at + 1..]);
                buffer.set_filled(at + 1);
                break;
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for UpgradingStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.stream.as_mut().poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_shutdown(cx)
    }
}

/// Sets `TCP_USER_TIMEOUT` and keepalive probes (tcp(7)). With the kernel's defaults a connection
/// to a vanished machine looks idle for a quarter of an hour.
#[cfg(target_os = "linux")]
fn detect_dead_peer(stream: &TcpStream) -> rustix::io::Result<()> {
    use std::time::Duration;

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
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn the_upgrade_leaves_the_first_frames() {
        let head = "HTTP/1.1 101 Switching Protocols\r\nA: b\r\n\r\n";
        for step in [1, 3, 1000] {
            let (ours, mut theirs) = tokio::io::duplex(step);
            let mut stream = UpgradingStream::new(Box::pin(ours));
            let server = tokio::spawn(async move {
                theirs.write_all(format!("{head}\r\n\r\nframes").as_bytes()).await.unwrap();
            });
            let mut read = Vec::new();
            while read.len() < head.len() {
                stream.read_buf(&mut read).await.unwrap();
            }
            assert_eq!(read, head.as_bytes());
            let UpgradingStream { mut stream, behind, .. } = stream;
            let mut rest = behind.to_vec();
            stream.read_to_end(&mut rest).await.unwrap();
            assert_eq!(rest, b"\r\n\r\nframes");
            server.await.unwrap();
        }
    }

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
