//! Reads frames from the pipe: the header first, then the payload, so that the reader of an event
//! decides on its payload before the bytes are read.

use std::io;

use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt, BufReader};

use super::pipe::{MAX_HEADER, MAX_PAYLOAD, SMALL};
use crate::text::brief;

/// Bytes by which the buffer of a payload grows at first. It grows with the received bytes: an
/// announced length alone allocates no more than this.
const FIRST: usize = 8 << 20;

/// Why no frame can be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("a frame announces {what} of {size} bytes where {limit} are allowed")]
    TooLarge { what: &'static str, size: usize, limit: usize },
    /// The text repeats a part of the header, so it is escaped and cut.
    #[error("a frame's header is not the agreed JSON: {0}")]
    NotJson(String),
}

impl FrameError {
    /// Returns whether only a broken or hostile process sends such a frame.
    pub(crate) fn is_violation(&self) -> bool {
        !matches!(self, Self::Io(_))
    }
}

impl From<FrameError> for io::Error {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::Io(error) => error,
            other => Self::other(other),
        }
    }
}

/// Reads frames.
pub(crate) struct FrameReader<R>(BufReader<R>);

impl<R: AsyncRead + Unpin> FrameReader<R> {
    pub(crate) fn new(input: R) -> Self {
        Self(BufReader::with_capacity(SMALL, input))
    }

    /// Receives the next header, and the announced size of its payload. The caller must then take
    /// the payload with [`payload`](Self::payload) or [`discard`](Self::discard). `None`: the other
    /// end closed the pipe. Not cancel-safe.
    ///
    /// `limit` gives the bytes of the largest header, once one has begun to arrive.
    ///
    /// # Errors
    /// The pipe ended within a frame, or the bytes are no frame.
    pub(crate) async fn head<H: DeserializeOwned>(
        &mut self,
        limit: impl FnOnce() -> usize,
    ) -> Result<Option<(H, usize)>, FrameError> {
        let mut sizes = [0; 8];
        match self.0.read_exact(&mut sizes).await {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            other => other?,
        };
        let [a, b, c, d, e, f, g, h] = sizes;
        let header = u32::from_le_bytes([a, b, c, d]) as usize;
        let payload = u32::from_le_bytes([e, f, g, h]) as usize;
        check("a header", header, limit().min(MAX_HEADER))?;
        check("a payload", payload, MAX_PAYLOAD)?;
        let header = self.payload(header).await?;
        match serde_json::from_slice(&header) {
            Ok(header) => Ok(Some((header, payload))),
            Err(error) => Err(FrameError::NotJson(brief(&error.to_string()).to_string())),
        }
    }

    /// Receives the payload whose size a header announced. Not cancel-safe.
    ///
    /// # Errors
    /// The pipe ended within the payload.
    pub(crate) async fn payload(&mut self, size: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        while bytes.len() < size {
            let missing = size - bytes.len();
            if bytes.len() == bytes.capacity() {
                bytes.reserve_exact(missing.min(bytes.len().max(FIRST)));
            }
            if (&mut self.0).take(missing as u64).read_buf(&mut bytes).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(bytes)
    }

    /// Reads the payload whose size a header announced, and keeps nothing of it. Not cancel-safe.
    ///
    /// # Errors
    /// The pipe ended within the payload.
    pub(crate) async fn discard(&mut self, size: usize) -> io::Result<()> {
        let mut input = (&mut self.0).take(size as u64);
        let read = tokio::io::copy_buf(&mut input, &mut tokio::io::sink()).await?;
        if read == size as u64 { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    /// Receives the next frame from a process that is trusted. `None`: the other end closed the
    /// pipe. Not cancel-safe.
    ///
    /// # Errors
    /// The pipe ended within a frame, or the bytes are no frame.
    pub(crate) async fn receive<H: DeserializeOwned>(
        &mut self,
    ) -> Result<Option<(H, Vec<u8>)>, FrameError> {
        let Some((header, size)) = self.head(|| MAX_HEADER).await? else { return Ok(None) };
        Ok(Some((header, self.payload(size).await?)))
    }
}

fn check(what: &'static str, size: usize, limit: usize) -> Result<(), FrameError> {
    if size <= limit { Ok(()) } else { Err(FrameError::TooLarge { what, size, limit }) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::workers::pipe::WorkerRequest;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap()
            .block_on(future)
    }

    /// Returns a frame with these announced sizes.
    fn frame(header: &[u8], announced: u32) -> Vec<u8> {
        let sizes = [(header.len() as u32).to_le_bytes(), announced.to_le_bytes()];
        [sizes.concat().as_slice(), header].concat()
    }

    fn error(bytes: &[u8], limit: usize) -> String {
        block_on(FrameReader::new(bytes).head::<WorkerRequest>(|| limit)).unwrap_err().to_string()
    }

    #[test]
    fn a_length_over_the_limit_is_refused_before_allocating() {
        let text = error(&frame(br#""Ping""#, u32::MAX), MAX_HEADER);
        assert!(text.contains("4294967295"), "{text}");
        let text = error(&[255, 255, 255, 255, 0, 0, 0, 0], MAX_HEADER);
        assert!(text.contains("a header of 4294967295"), "{text}");
    }

    #[test]
    fn a_header_obeys_the_limit_of_the_moment() {
        let ping = frame(br#""Ping""#, 0);
        assert!(block_on(FrameReader::new(&ping[..]).head::<WorkerRequest>(|| 6)).is_ok());
        assert!(error(&ping, 5).contains("6 bytes where 5"));
    }

    #[test]
    fn a_broken_header_is_shown_escaped_and_cut() {
        let header = format!("{{\"\u{1b}[2J\r\u{202e}{}\":1}}", "x".repeat(10_000));
        let text = error(&frame(header.as_bytes(), 0), MAX_HEADER);
        assert!(text.len() < 400 && !text.contains(['\u{1b}', '\r', '\u{202e}']), "{text:?}");
    }

    #[test]
    fn a_truncated_frame_is_an_error() {
        let whole = [frame(br#""Ping""#, 3), b"abc".to_vec()].concat();
        let read = |bytes: &[u8]| {
            block_on(FrameReader::new(bytes).receive::<WorkerRequest>())
                .map(|frame| frame.is_some())
        };
        assert!(read(&whole).unwrap());
        for end in 8..whole.len() {
            assert!(read(&whole[..end]).is_err(), "{end} bytes were accepted");
        }
    }

    proptest! {
        #[test]
        fn a_payload_is_read_or_skipped_to_its_last_byte(
            sizes in prop::collection::vec((0..200_000_usize, any::<bool>()), 1..6),
        ) {
            let mut bytes = Vec::new();
            for (size, _) in &sizes {
                bytes.extend(frame(br#""Ping""#, *size as u32));
                bytes.extend(std::iter::repeat_n(*size as u8, *size));
            }
            block_on(async {
                let mut reader = FrameReader::new(&bytes[..]);
                for (size, keeps) in sizes {
                    let (_, announced) =
                        reader.head::<WorkerRequest>(|| MAX_HEADER).await.unwrap().unwrap();
                    assert_eq!(announced, size);
                    if keeps {
                        assert_eq!(reader.payload(size).await.unwrap(), vec![size as u8; size]);
                    } else {
                        reader.discard(size).await.unwrap();
                    }
                }
                assert!(reader.head::<WorkerRequest>(|| MAX_HEADER).await.unwrap().is_none());
            });
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            block_on(async {
                let mut reader = FrameReader::new(&bytes[..]);
                while let Ok(Some(_)) = reader.receive::<WorkerRequest>().await {}
            });
        }
    }
}
