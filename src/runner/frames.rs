//! Reads the frames of a WebSocket server (RFC 6455, section 5).
//!
//! tungstenite does the handshake only. Its reader keeps a buffer as large as the largest message
//! until the connection ends, and validates the text of a message in one piece. This reader gives
//! each large message memory of its own, reads it in pieces, and leaves the validation to
//! `incoming`.

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

/// Bytes of the buffer for headers and small frames.
const BUFFER: usize = 32 << 10;

/// Bytes of a large message that are read at once. The connection's other work runs in between.
const PIECE: usize = 512 << 10;

/// Bytes of the largest payload of a control frame (RFC 6455, section 5.5).
const MAX_CONTROL: u64 = 125;

/// What a server sends.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ServerFrame {
    /// A complete message, of one or several frames, text or binary.
    Message(Bytes),
    /// A ping, to be answered with its payload.
    Ping(Bytes),
    /// A pong.
    Pong,
    /// The end of the connection.
    Close(Option<CloseFrame>),
}

/// Why no further frame can be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    /// The stream failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The stream ended before a close frame.
    #[error("the connection ended without a close frame")]
    Ended,
    /// A message is larger than the payload limit.
    #[error("a message of {size} bytes is over the limit of {limit}")]
    TooLarge { size: u64, limit: usize },
    /// The server violated the protocol.
    #[error("WebSocket protocol error: {0}")]
    Protocol(&'static str),
}

/// Reads frames from a stream.
#[derive(Debug)]
pub(crate) struct ServerFrames<R> {
    stream: R,
    /// Received bytes that belong to no message yet.
    buffer: BytesMut,
    /// The message that is incomplete.
    message: Option<Vec<u8>>,
    /// The frame of the message that is incomplete.
    part: Option<Part>,
    max_payload: usize,
}

/// A data frame whose header was read.
#[derive(Debug, Clone, Copy)]
struct Part {
    /// Bytes that are missing.
    left: usize,
    /// Whether the message ends with it.
    is_last: bool,
}

/// The header of a frame.
#[derive(Debug, PartialEq, Eq)]
struct Header {
    is_last: bool,
    opcode: u8,
    length: u64,
    /// Bytes of the header itself.
    size: usize,
}

impl Header {
    /// Reads a header. `None`: it is incomplete.
    fn read(bytes: &[u8]) -> Result<Option<Self>, FrameError> {
        let &[first, second, ref rest @ ..] = bytes else { return Ok(None) };
        if first & 0x70 != 0 {
            return Err(FrameError::Protocol("a reserved bit is set"));
        }
        if second & 0x80 != 0 {
            return Err(FrameError::Protocol("a frame of the server is masked"));
        }
        let (length, size) = match (second & 0x7f, rest) {
            (126, [a, b, ..]) => (u64::from(u16::from_be_bytes([*a, *b])), 4),
            (127, [a, b, c, d, e, f, g, h, ..]) => {
                (u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]), 10)
            }
            (126 | 127, _) => return Ok(None),
            (length, _) => (u64::from(length), 2),
        };
        Ok(Some(Self { is_last: first & 0x80 != 0, opcode: first & 0x0f, length, size }))
    }
}

impl<R: AsyncRead + Unpin> ServerFrames<R> {
    /// Creates a reader. `received` are the first bytes of the stream.
    pub(crate) fn new(stream: R, received: BytesMut, max_payload: usize) -> Self {
        Self { stream, buffer: received, message: None, part: None, max_payload }
    }

    /// Reads the next frame or message. Cancel-safe.
    ///
    /// # Errors
    /// The connection is over, or its bytes are no frames.
    pub(crate) async fn next(&mut self) -> Result<ServerFrame, FrameError> {
        loop {
            if self.part.is_some() {
                if let Some(message) = self.read_part().await? {
                    return Ok(ServerFrame::Message(message));
                }
            } else if let Some(header) = Header::read(&self.buffer)? {
                match header.opcode {
                    0..8 => self.begin_part(&header)?,
                    _ => match self.control(&header)? {
                        Some(frame) => return Ok(frame),
                        None => self.fill_buffer().await?,
                    },
                }
            } else {
                self.fill_buffer().await?;
            }
        }
    }

    async fn fill_buffer(&mut self) -> Result<(), FrameError> {
        self.buffer.reserve(BUFFER.saturating_sub(self.buffer.len()));
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(FrameError::Ended),
            _ => Ok(()),
        }
    }

    /// Begins a data frame: makes room for its payload.
    fn begin_part(&mut self, header: &Header) -> Result<(), FrameError> {
        match (header.opcode, &self.message) {
            (0, Some(_)) | (1 | 2, None) => {}
            (0, None) => return Err(FrameError::Protocol("a continuation without a beginning")),
            (1 | 2, Some(_)) => return Err(FrameError::Protocol("a message inside a message")),
            _ => return Err(FrameError::Protocol("an unknown type of frame")),
        }
        let message = self.message.get_or_insert_default();
        let size = header.length.saturating_add(message.len() as u64);
        if size > self.max_payload as u64 {
            return Err(FrameError::TooLarge { size, limit: self.max_payload });
        }
        let left = header.length as usize;
        // The kernel provides pages as bytes arrive, so an announced length costs no memory. Further
        // frames of a message double the room: many small ones would move it as many times.
        match message.is_empty() {
            true => message.reserve_exact(left),
            false => message.reserve(left),
        }
        self.buffer.advance(header.size);
        self.part = Some(Part { left, is_last: header.is_last });
        Ok(())
    }

    /// Reads a piece of a data frame. Returns the message if it is complete.
    async fn read_part(&mut self) -> Result<Option<Bytes>, FrameError> {
        let (Some(part), Some(message)) = (&mut self.part, &mut self.message) else {
            return Ok(None);
        };
        if part.left > 0 && !self.buffer.is_empty() {
            let received = self.buffer.split_to(part.left.min(self.buffer.len()));
            message.extend_from_slice(&received);
            part.left -= received.len();
        } else if part.left > 0 {
            let piece = part.left.min(PIECE);
            let read = (&mut self.stream).take(piece as u64).read_buf(message).await?;
            if read == 0 {
                return Err(FrameError::Ended);
            }
            part.left -= read;
            if part.left > 0 {
                // A fast server would keep this task busy until the message ends.
                tokio::task::yield_now().await;
            }
        }
        let Part { left: 0, is_last } = *part else { return Ok(None) };
        self.part = None;
        Ok(if is_last { self.message.take().map(Bytes::from) } else { None })
    }

    /// Reads a control frame. `None`: it is incomplete.
    fn control(&mut self, header: &Header) -> Result<Option<ServerFrame>, FrameError> {
        if !header.is_last || header.length > MAX_CONTROL {
            return Err(FrameError::Protocol("a control frame is fragmented or too large"));
        }
        let size = header.size + header.length as usize;
        if self.buffer.len() < size {
            return Ok(None);
        }
        let mut payload = self.buffer.split_to(size);
        payload.advance(header.size);
        Ok(Some(match header.opcode {
            8 => ServerFrame::Close(close_frame(&payload)?),
            9 => ServerFrame::Ping(Bytes::copy_from_slice(&payload)),
            10 => ServerFrame::Pong,
            _ => return Err(FrameError::Protocol("an unknown type of control frame")),
        }))
    }
}

/// Reads the payload of a close frame (RFC 6455, section 5.5.1).
fn close_frame(payload: &[u8]) -> Result<Option<CloseFrame>, FrameError> {
    match payload {
        [] => Ok(None),
        [_] => Err(FrameError::Protocol("a close frame with half a code")),
        [high, low, reason @ ..] => {
            let reason = str::from_utf8(reason)
                .map_err(|_| FrameError::Protocol("the reason of a close frame is not UTF-8"))?;
            let code = u16::from_be_bytes([*high, *low]).into();
            Ok(Some(CloseFrame { code, reason: reason.into() }))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MAX: usize = 1 << 20;

    /// Returns a frame of a server.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let length = payload.len();
        let mut bytes = vec![first];
        match length {
            0..126 => bytes.push(length as u8),
            126..65536 => {
                bytes.push(126);
                bytes.extend((length as u16).to_be_bytes());
            }
            _ => {
                bytes.push(127);
                bytes.extend((length as u64).to_be_bytes());
            }
        }
        bytes.extend(payload);
        bytes
    }

    /// Reads bytes to their end. They arrive in parts of `step` bytes.
    async fn read(bytes: &[u8], step: usize) -> (Vec<ServerFrame>, FrameError) {
        let (ours, theirs) = tokio::io::duplex(step);
        let bytes = bytes.to_vec();
        let server = tokio::spawn(async move {
            let mut theirs = theirs;
            let _ = tokio::io::AsyncWriteExt::write_all(&mut theirs, &bytes).await;
        });
        let mut frames = ServerFrames::new(ours, BytesMut::new(), MAX);
        let mut read = Vec::new();
        let error = loop {
            match frames.next().await {
                Ok(frame) => read.push(frame),
                Err(error) => break error,
            }
        };
        drop(frames);
        server.await.unwrap();
        (read, error)
    }

    fn message(payload: &[u8]) -> ServerFrame {
        ServerFrame::Message(Bytes::copy_from_slice(payload))
    }

    #[tokio::test]
    async fn messages_of_every_size_are_read() {
        let payloads = [0, 1, 125, 126, 65_535, 65_536, MAX].map(|size| vec![b'x'; size]);
        let bytes: Vec<u8> = payloads.iter().flat_map(|payload| frame(0x81, payload)).collect();
        for step in [7, 10_000, MAX] {
            let (read, end) = read(&bytes, step).await;
            assert!(
                read.iter().eq(payloads
                    .iter()
                    .map(|payload| message(payload))
                    .collect::<Vec<_>>()
                    .iter())
            );
            assert!(matches!(end, FrameError::Ended));
        }
    }

    #[tokio::test]
    async fn control_frames_come_between_fragments() {
        let bytes = [
            frame(0x01, b"ab"),
            frame(0x89, b"ping"),
            frame(0x00, b""),
            frame(0x8a, b"pong"),
            frame(0x80, b"cd"),
            frame(0x82, b"\xff"),
            frame(0x88, b"\x03\xe8bye"),
        ]
        .concat();
        let (read, _) = read(&bytes, 3).await;
        let close = CloseFrame { code: 1000.into(), reason: "bye".into() };
        let expected = [
            ServerFrame::Ping(Bytes::from_static(b"ping")),
            ServerFrame::Pong,
            message(b"abcd"),
            message(b"\xff"),
            ServerFrame::Close(Some(close)),
        ];
        assert_eq!(read, expected);
    }

    #[tokio::test]
    async fn a_message_over_the_limit_is_refused_at_its_header() {
        let mut header = vec![0x81, 127];
        header.extend((MAX as u64 + 1).to_be_bytes());
        assert!(matches!(read(&header, 100).await.1, FrameError::TooLarge { .. }));
        header[2..].copy_from_slice(&u64::MAX.to_be_bytes());
        assert!(matches!(read(&header, 100).await.1, FrameError::TooLarge { .. }));
        let fragments = [frame(0x01, &[b'x'; MAX]), frame(0x80, b"y")].concat();
        assert!(matches!(read(&fragments, MAX).await.1, FrameError::TooLarge { .. }));
    }

    #[tokio::test]
    async fn frames_that_break_the_protocol_are_refused() {
        let long = [b'x'; 126];
        for bytes in [
            frame(0xc1, b"x"),
            frame(0x80, b"x"),
            [frame(0x01, b"x"), frame(0x81, b"y")].concat(),
            frame(0x83, b"x"),
            frame(0x8b, b"x"),
            frame(0x09, b"x"),
            frame(0x89, &long),
            frame(0x88, b"x"),
            frame(0x88, b"\x03\xe8\xff"),
            vec![0x81, 0x81, 0, 0, 0, 0, b'x'],
        ] {
            assert!(matches!(read(&bytes, 100).await.1, FrameError::Protocol(_)), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), step in 1..50_usize) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(read(&bytes, step));
        }
    }
}
