//! One WebSocket to the broker: reading here, writing in a task of its own (`outbox.rs`).

use std::{fmt, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::SplitStream};
use reqwest::Url;
use rustls::ClientConfig;
use secrecy::{ExposeSecret, SecretString};
use tokio::{
    net::TcpStream,
    task::JoinHandle,
    time::{Instant, Interval, MissedTickBehavior, interval_at, timeout},
};
use tokio_tungstenite::{
    Connector, MaybeTlsStream, WebSocketStream, client_async_tls_with_config,
    tungstenite::{
        self, Message, Utf8Bytes,
        client::IntoClientRequest,
        handshake::client::Request,
        http::{
            HeaderValue,
            header::{AUTHORIZATION, RETRY_AFTER},
        },
        protocol::{CloseFrame, WebSocketConfig, frame::coding::CloseCode},
    },
};
use tracing::warn;

use super::config::RunnerConfig;
use super::{
    ConnectError,
    auth::retry_after,
    heard::{Ear, Heard},
    outbox::{Outbox, Outgoing},
};

/// How long each step of getting connected may take.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the last messages may take to go out, and the broker to answer the close frame.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);

pub(crate) type Socket = WebSocketStream<MaybeTlsStream<Heard<TcpStream>>>;

/// Why a connection is over.
#[derive(Debug)]
pub(super) enum Lost {
    /// The broker closed it.
    Closed(Option<CloseFrame>),
    /// It broke.
    Broken(String),
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Closed(None) => write!(f, "the broker closed it"),
            Self::Closed(Some(frame)) if frame.reason.is_empty() => {
                write!(f, "the broker closed it with code {}", u16::from(frame.code))
            }
            Self::Closed(Some(frame)) => {
                let reason = frame.reason.escape_debug();
                write!(f, "the broker closed it with code {}: {reason}", u16::from(frame.code))
            }
            Self::Broken(why) => write!(f, "{why}"),
        }
    }
}

/// A connection that the broker let in.
#[derive(Debug)]
pub(super) struct Connection {
    frames: SplitStream<Socket>,
    outbox: Outbox,
    writer: JoinHandle<()>,
    ear: Ear,
    heartbeat: Interval,
}

impl Connection {
    /// Connects and upgrades.
    ///
    /// # Errors
    /// The broker cannot be reached, or refuses.
    pub(super) async fn open(
        config: &RunnerConfig,
        tls: &ClientConfig,
        grant: &SecretString,
    ) -> Result<Self, ConnectError> {
        let RunnerConfig { broker, max_payload, heartbeat, .. } = config;
        let request = request(broker, &config.id, grant)?;
        let limits = WebSocketConfig::default()
            .max_message_size(Some(*max_payload))
            .max_frame_size(Some(*max_payload));
        let connector = match broker.scheme() {
            "https" => Connector::Rustls(Arc::new(tls.clone())),
            _ => Connector::Plain,
        };
        let ear = Ear::default();
        let opening = async {
            let stream =
                dial(broker).await.map_err(|error| ConnectError::Unreachable(error.to_string()))?;
            let stream = Heard::new(stream, ear.clone());
            client_async_tls_with_config(request, stream, Some(limits), Some(connector))
                .await
                .map_err(refused)
        };
        let (socket, _) =
            timeout(CONNECT_TIMEOUT, opening).await.map_err(|_| ConnectError::TimedOut)??;
        let (sink, frames) = socket.split();
        let (outbox, unsent) = Outbox::new(*max_payload);
        let writer = outbox.spawn_writer(sink, unsent);
        let mut beats = interval_at(Instant::now() + *heartbeat, *heartbeat);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self { frames, outbox, writer, ear, heartbeat: beats })
    }

    /// Where messages to the broker go.
    pub(super) fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// The next frame with text. May be dropped and called again.
    ///
    /// # Errors
    /// The connection is over.
    pub(super) async fn next(&mut self) -> Result<Utf8Bytes, Lost> {
        loop {
            let frame = tokio::select! {
                frame = self.frames.next() => frame,
                _ = self.heartbeat.tick() => {
                    self.beat()?;
                    continue;
                }
            };
            match frame {
                Some(Ok(Message::Text(text))) => return Ok(text),
                Some(Ok(Message::Binary(bytes))) => match Utf8Bytes::try_from(bytes) {
                    Ok(text) => return Ok(text),
                    Err(_) => warn!("dropped a frame that is not UTF-8"),
                },
                // Pings were answered on the way here.
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Ok(Message::Close(frame))) => return Err(Lost::Closed(frame)),
                Some(Err(error)) => {
                    if let tungstenite::Error::Capacity(_) = error {
                        self.say_too_large().await;
                    }
                    return Err(Lost::Broken(error.to_string()));
                }
                None => return Err(Lost::Closed(None)),
            }
        }
    }

    /// Asks the broker for a sign of life; gives the connection up where nothing came since the last time. The kernel
    /// notices a machine that vanished, but not a proxy in between that holds on to a broken connection.
    fn beat(&mut self) -> Result<(), Lost> {
        if !self.ear.heard() {
            return Err(Lost::Broken(format!(
                "nothing was heard for {:?}, nor a ping answered",
                self.heartbeat.period()
            )));
        }
        self.outbox.control(Outgoing::Ping);
        Ok(())
    }

    /// Tells the broker that its message is larger than what is taken: nothing after it can be read.
    async fn say_too_large(&mut self) {
        let frame = CloseFrame { code: CloseCode::Size, reason: "message too large".into() };
        self.outbox.control(Outgoing::Close(frame));
        let _ = timeout(CLOSE_TIMEOUT, &mut self.writer).await;
    }

    /// Sends what is queued and a close frame, and waits a little for the broker's.
    pub(super) async fn close(mut self) {
        let closing = async {
            let frame =
                CloseFrame { code: CloseCode::Normal, reason: "runner is shutting down".into() };
            self.outbox.control(Outgoing::Close(frame));
            while self.next().await.is_ok() {}
        };
        let _ = timeout(CLOSE_TIMEOUT, closing).await;
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.writer.abort();
    }
}

/// An address under the broker's.
pub(super) fn endpoint(broker: &Url, path: &str) -> Url {
    let mut url = broker.clone();
    url.set_path(&format!("{}/{path}", broker.path().trim_end_matches('/')));
    url.set_query(None);
    url.set_fragment(None);
    url
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
    notice_silence(&stream)?;
    Ok(stream)
}

/// Has the kernel end a connection whose other side vanished without a word: it would look idle for a quarter of an hour.
#[cfg(target_os = "linux")]
fn notice_silence(stream: &TcpStream) -> rustix::io::Result<()> {
    use rustix::net::sockopt;
    /// Unacknowledged data for this long means that nobody is there.
    const SILENCE: Duration = Duration::from_secs(30);
    /// How often an idle connection is probed.
    const PROBE: Duration = Duration::from_secs(10);
    sockopt::set_tcp_user_timeout(stream, SILENCE.as_millis() as u32)?;
    sockopt::set_tcp_keepidle(stream, PROBE)?;
    sockopt::set_tcp_keepintvl(stream, PROBE)?;
    sockopt::set_socket_keepalive(stream, true)
}

fn refused(error: tungstenite::Error) -> ConnectError {
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

    #[test]
    fn a_path_in_the_brokers_address_is_kept() {
        let broker = Url::parse("http://proxy/n8n/").unwrap();
        assert_eq!(endpoint(&broker, "runners/auth").as_str(), "http://proxy/n8n/runners/auth");
    }
}
