//! One connection to the broker: reads frames here, writes them in the task of the message queue.

use std::{fmt, time::Duration};

use rustls::ClientConfig;
use secrecy::SecretString;
use tokio::{
    io::ReadHalf,
    task::JoinHandle,
    time::{Instant, Interval, MissedTickBehavior, interval_at, timeout},
};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, frame::coding::CloseCode};

use super::{
    config::RunnerConfig,
    error::ConnectError,
    frames::{FrameError, ServerFrame, ServerFrames},
    incoming::{Incoming, IncomingQueue, IncomingReader},
    message_queue::{MessageQueue, QueuedFrame},
    read_activity::ReadActivity,
    socket::{Opened, Stream, open_socket},
};

/// Time limit of the closing handshake: the queued messages, the close frame and its answer.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);

/// Bytes per second that the broker sends at least while a frame is incomplete. Above single bytes
/// that only keep a stalled frame alive, below every usable network.
const MIN_RATE: f64 = 1024.0;

/// Why a connection is over.
#[derive(Debug)]
pub(crate) enum ConnectionLost {
    /// The broker closed it, with or without a close frame.
    Closed(Option<CloseFrame>),
    /// It broke; the text says how.
    Broken(String),
}

impl ConnectionLost {
    /// Returns whether the broker closed the connection with code 1000.
    pub(crate) fn is_normal(&self) -> bool {
        matches!(self, Self::Closed(Some(frame)) if frame.code == CloseCode::Normal)
    }
}

impl fmt::Display for ConnectionLost {
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

/// An open connection. Dropping it aborts the writer and discards unsent messages.
#[derive(Debug)]
pub(crate) struct BrokerConnection {
    frames: ServerFrames<ReadHalf<Stream>>,
    incoming: IncomingQueue,
    queue: MessageQueue,
    writer: JoinHandle<()>,
    activity: ReadActivity,
    /// Whether a whole frame arrived since the last heartbeat.
    heard: bool,
    heartbeat: Interval,
}

impl BrokerConnection {
    /// Connects, upgrades, and starts the writer.
    ///
    /// # Errors
    /// As for [`open_socket`].
    pub(crate) async fn open(
        config: &RunnerConfig,
        tls: &ClientConfig,
        grant: &SecretString,
    ) -> Result<Self, ConnectError> {
        let activity = ReadActivity::default();
        let Opened { stream, received } = open_socket(config, tls, grant, &activity).await?;
        let (input, output) = tokio::io::split(stream);
        let frames = ServerFrames::new(input, received, config.max_payload);
        let (queue, unsent) = MessageQueue::new(config.max_payload);
        let writer = queue.spawn_writer(output, unsent);
        let mut heartbeat = interval_at(Instant::now() + config.heartbeat, config.heartbeat);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let reader = IncomingReader::new(config.addition.clone(), config.limits.call_bytes);
        let incoming = IncomingQueue::new(reader);
        Ok(Self { frames, incoming, queue, writer, activity, heard: true, heartbeat })
    }

    /// Returns the queue of messages to the broker.
    pub(crate) fn queue(&self) -> &MessageQueue {
        &self.queue
    }

    /// Receives the next frame and reads it. Cancel-safe.
    ///
    /// # Errors
    /// The connection is over.
    pub(crate) async fn next(&mut self) -> Result<Incoming, ConnectionLost> {
        loop {
            let frame = tokio::select! {
                incoming = self.incoming.pop() => return Ok(incoming),
                frame = self.frames.next(), if self.incoming.has_room() => frame,
                _ = self.heartbeat.tick() => {
                    self.check_heartbeat()?;
                    continue;
                }
            };
            self.heard = true;
            match frame {
                Ok(ServerFrame::Message(frame)) => self.incoming.push(frame),
                Ok(ServerFrame::Ping(payload)) => self.queue.send_pong(payload),
                Ok(ServerFrame::Pong) => {}
                Ok(ServerFrame::Close(frame)) => {
                    let code = frame.as_ref().map_or(CloseCode::Normal, |frame| frame.code);
                    self.send_close(code, "").await;
                    return Err(ConnectionLost::Closed(frame));
                }
                Err(error) => {
                    // The rest of such a message cannot be read, so neither can any later one.
                    match error {
                        FrameError::TooLarge { .. } => {
                            self.send_close(CloseCode::Size, "message too large").await;
                        }
                        FrameError::Protocol(why) => {
                            self.send_close(CloseCode::Protocol, why).await
                        }
                        FrameError::Io(_) | FrameError::Ended => {}
                    }
                    return Err(ConnectionLost::Broken(error.to_string()));
                }
            }
        }
    }

    /// Fails if neither a frame nor a fair part of one was read since the last heartbeat, else
    /// sends a ping.
    ///
    /// TCP keepalive detects a vanished machine, but not a proxy that keeps a dead connection open.
    fn check_heartbeat(&mut self) -> Result<(), ConnectionLost> {
        let period = self.heartbeat.period();
        let bytes = self.activity.take();
        // While frames wait to be read aside, no more are read from the socket.
        let heard = std::mem::take(&mut self.heard) || !self.incoming.has_room();
        if !heard && (bytes as f64) < MIN_RATE * period.as_secs_f64() {
            return Err(ConnectionLost::Broken(match bytes {
                0 => format!("no data for {period:?}, not even an answer to a ping"),
                _ => format!("only {bytes} bytes of a frame in {period:?}"),
            }));
        }
        self.queue.send_control(QueuedFrame::Ping);
        Ok(())
    }

    /// Sends the queued messages and a close frame (RFC 6455, section 7.4.1), unless one was sent.
    async fn send_close(&mut self, code: CloseCode, reason: &'static str) {
        if !self.writer.is_finished() {
            let frame = CloseFrame { code, reason: reason.into() };
            self.queue.send_control(QueuedFrame::Close(frame));
            let _ = timeout(CLOSE_TIMEOUT, &mut self.writer).await;
        }
    }

    /// Sends the queued messages and a close frame, then waits for the broker's close frame, in all
    /// at most [`CLOSE_TIMEOUT`].
    pub(crate) async fn close(mut self) {
        let closing = async {
            let frame =
                CloseFrame { code: CloseCode::Normal, reason: "runner is shutting down".into() };
            self.queue.send_control(QueuedFrame::Close(frame));
            while self.next().await.is_ok() {}
        };
        let _ = timeout(CLOSE_TIMEOUT, closing).await;
    }
}

impl Drop for BrokerConnection {
    fn drop(&mut self) {
        self.writer.abort();
    }
}
