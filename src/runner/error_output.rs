//! The standard error of a task, on its way to the console of its node.
//!
//! Logging, warnings and tracebacks go there. n8n has no channel for it, so each line becomes a
//! print with a mark. Prints have a limit of 100, and so has standard error, beside them: a noisy
//! library must not take the place of prints.

use crate::text::shown;

/// Begins each line in the console.
pub(crate) const MARK: &str = "[stderr] ";

/// Lines that are shown: as many as the guest sends prints (`MAX_STATEMENTS` in wasm/ABI.md).
const MAX_LINES: usize = 100;

/// Characters of a line: as many as the guest keeps of a traceback (`MAX_REPORT_TEXT`).
const MAX_CHARS: usize = 16_000;

/// Splits the standard error of one task into lines, and counts them.
#[derive(Debug)]
pub(crate) struct ErrorOutput {
    lines: usize,
    /// Bytes that the sandbox may still pass. It drops the rest.
    left: u64,
    limit: u64,
}

impl ErrorOutput {
    /// Creates the output of a task whose standard error has at most `limit` bytes.
    pub(crate) fn new(limit: u64) -> Self {
        Self { lines: 0, left: limit, limit }
    }

    /// Returns the lines of a piece, escaped and cut. Omits those over the limit.
    pub(crate) fn lines(&mut self, piece: &[u8]) -> Vec<String> {
        self.left = self.left.saturating_sub(piece.len() as u64);
        let piece = piece.strip_suffix(b"\n").unwrap_or(piece);
        let mut lines = Vec::new();
        for line in piece.split(|byte| *byte == b'\n') {
            self.lines += 1;
            if self.lines <= MAX_LINES {
                lines.push(shown(&String::from_utf8_lossy(line), MAX_CHARS).to_string());
            }
        }
        lines
    }

    /// Returns the line that tells what is missing, at the end of the task. `variable` is the
    /// setting of the limit of bytes.
    pub(crate) fn end(&self, variable: &str) -> Option<String> {
        if self.left == 0 {
            let limit = bytesize::ByteSize::b(self.limit).display().iec();
            return Some(format!("[Output truncated - the limit is {limit}: {variable}]"));
        }
        match self.lines.saturating_sub(MAX_LINES) {
            0 => None,
            1 => Some("[Output truncated - 1 more line]".into()),
            more => Some(format!("[Output truncated - {more} more lines]")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_escaped_and_cut() {
        let mut output = ErrorOutput::new(1 << 20);
        assert_eq!(output.lines(b"a\x1b[2J\r\n\nb\xff"), [r"a\u{1b}[2J\r", "", "b\u{fffd}"]);
        assert_eq!(output.lines("x".repeat(MAX_CHARS).as_bytes())[0].len(), MAX_CHARS);
        let long = "x".repeat(MAX_CHARS + 1);
        assert!(output.lines(long.as_bytes())[0].ends_with("x… (16001 bytes)"));
        assert_eq!(output.end("V"), None);
    }

    #[test]
    fn the_number_of_lines_obeyed() {
        let mut output = ErrorOutput::new(1 << 20);
        assert_eq!(output.lines("x\n".repeat(MAX_LINES).as_bytes()).len(), MAX_LINES);
        assert_eq!(output.end("V"), None);
    }

    #[test]
    fn the_number_of_lines_violated() {
        let mut output = ErrorOutput::new(1 << 20);
        assert_eq!(output.lines("x\n".repeat(MAX_LINES + 5).as_bytes()).len(), MAX_LINES);
        assert!(output.lines(b"y").is_empty());
        assert_eq!(output.end("V").unwrap(), "[Output truncated - 6 more lines]");
    }

    #[test]
    fn the_number_of_bytes_violated_is_told() {
        let mut output = ErrorOutput::new(2048);
        output.lines(&[b'x'; 2047]);
        assert_eq!(output.end("V"), None);
        output.lines(b"x");
        let expected = "[Output truncated - the limit is 2.0 KiB: V]";
        assert_eq!(output.end("V").unwrap(), expected);
    }
}
