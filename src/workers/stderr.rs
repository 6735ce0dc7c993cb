//! Logs the standard error of a worker process.
//!
//! A worker writes there only if it breaks: a panic, an abort of the C library. After a compromise
//! it may write anything, so the text is escaped and bounded. The worker does not share the
//! parent's own standard error, which may be a terminal.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

use crate::text::shown;

/// Characters of a line in the log. A panic message of Rust and its location fit.
const MAX_LINE: usize = 1_000;

/// Lines of one process in the log.
const MAX_LINES: usize = 100;

/// Bytes of one read.
const CHUNK: usize = 4 << 10;

/// Logs the lines of a worker until it closes the pipe. Reads and drops what exceeds the limits:
/// a full pipe would stop the worker.
pub(crate) async fn forward(worker: usize, stderr: impl AsyncRead + Unpin) {
    // Fails only if the pipe breaks, which ends the process as well.
    let _ = read_lines(stderr, |line| {
        tracing::warn!(worker, "a worker process wrote: {line}");
    })
    .await;
}

/// Passes each line, escaped and cut, to `show`. The last one tells that further ones are dropped.
async fn read_lines(
    mut input: impl AsyncRead + Unpin,
    mut show: impl FnMut(String),
) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    let mut line = Vec::new();
    let mut length = 0;
    let mut left = MAX_LINES;
    loop {
        let size = input.read(&mut chunk).await?;
        let bytes = chunk.get(..size).unwrap_or_default();
        for byte in bytes {
            if *byte != b'\n' {
                length += 1;
                // A character has at most four bytes.
                if line.len() < 4 * MAX_LINE {
                    line.push(*byte);
                }
            } else {
                end_line(&mut line, &mut length, &mut left, &mut show);
            }
        }
        if size == 0 {
            end_line(&mut line, &mut length, &mut left, &mut show);
            return Ok(());
        }
    }
}

fn end_line(
    line: &mut Vec<u8>,
    length: &mut usize,
    left: &mut usize,
    show: &mut impl FnMut(String),
) {
    if *left > 0 && !line.is_empty() {
        *left -= 1;
        if *left == 0 {
            show("… (further lines are dropped)".into());
        } else {
            let text = String::from_utf8_lossy(line);
            let cut = if *length > line.len() { "…" } else { "" };
            show(format!("{}{cut}", shown(&text, MAX_LINE)));
        }
    }
    line.clear();
    *length = 0;
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lines(text: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        read_lines(text, |line| lines.push(line)).await.unwrap();
        lines
    }

    #[tokio::test]
    async fn lines_of_a_worker_obeyed() {
        assert_eq!(lines(b"one\n\ntwo \xc3\xa9\nthree").await, ["one", "two é", "three"]);
        let long = "é".repeat(MAX_LINE);
        assert_eq!(lines(long.as_bytes()).await, [long]);
    }

    #[tokio::test]
    async fn lines_of_a_worker_violated() {
        assert_eq!(lines(b"\x1b[2J\xff\r\n").await, ["\\u{1b}[2J\u{fffd}\\r"]);
        let many = lines("x\n".repeat(10_000).as_bytes()).await;
        assert_eq!(many.len(), MAX_LINES);
        assert_eq!(many.last().unwrap(), "… (further lines are dropped)");
        let long = lines(&vec![b'x'; 10 << 20]).await;
        assert!(long.len() == 1 && long[0].len() < MAX_LINE + 100, "{}", long[0].len());
    }
}
