//! Text of others on its way to a terminal or a log: invisible and control characters escaped, cut
//! to a length.
//!
//! Code, nodes, brokers, runners and workers choose such text. Control characters move the cursor,
//! set the clipboard or forge lines; format characters reorder a line. The general categories Cc,
//! Cf, Zl and Zp are escaped ([UAX #44](https://www.unicode.org/reports/tr44/#General_Category_Values)).
//! Private use and unassigned characters stay: they show as a box, and new scripts need them.

use std::fmt::{self, Write};

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// Characters of a name, an identifier or an error in a line.
const LABEL_CHARS: usize = 200;

/// Shows a text of others as a part of one line. Characters after the first `max` are dropped; a
/// mark then tells the length of the whole text. A long text costs no more than a short one.
pub(crate) fn shown(text: &str, max: usize) -> Shown<'_> {
    Shown { text, max }
}

/// Shows a name, an identifier or an error of others as a part of one line: [`shown`], cut at 200
/// characters.
pub(crate) fn brief(text: &str) -> Shown<'_> {
    shown(text, LABEL_CHARS)
}

/// A text of others, escaped and cut. See [`shown`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shown<'a> {
    text: &'a str,
    max: usize,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Self { text, max } = *self;
        let end = text.char_indices().nth(max).map_or(text.len(), |(end, _)| end);
        escape(f, &text[..end])?;
        if end < text.len() { write!(f, "… ({} bytes)", text.len()) } else { Ok(()) }
    }
}

/// Returns whether a character must not reach a terminal or a log as it is.
pub(crate) fn is_hidden(c: char) -> bool {
    use GeneralCategory::{Control, Format, LineSeparator, ParagraphSeparator};
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    let category = c.general_category();
    matches!(category, Control | Format | LineSeparator | ParagraphSeparator)
}

/// Writes `text` with each hidden character as an escape of Rust: `\n`, `\u{1b}`, `\u{202e}`.
fn escape(out: &mut impl Write, text: &str) -> fmt::Result {
    let mut rest = text;
    while let Some(at) = rest.find(is_hidden) {
        let (clean, tail) = rest.split_at(at);
        out.write_str(clean)?;
        let mut tail = tail.chars();
        if let Some(c) = tail.next() {
            write!(out, "{}", c.escape_default())?;
        }
        rest = tail.as_str();
    }
    out.write_str(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_characters_are_escaped() {
        let text = "a\x1b[2J\u{9b}31m\x07\r\n\t\u{7f}\u{202e}\u{2066}\u{2028}\u{2029}\u{feff}ä😀";
        let escaped =
            r"a\u{1b}[2J\u{9b}31m\u{7}\r\n\t\u{7f}\u{202e}\u{2066}\u{2028}\u{2029}\u{feff}ä😀";
        assert_eq!(shown(text, LABEL_CHARS).to_string(), escaped);
    }

    #[test]
    fn private_and_unassigned_characters_stay() {
        let text = "\u{e000}\u{f8ff}\u{378}\u{10ffff}";
        assert_eq!(shown(text, LABEL_CHARS).to_string(), text);
    }

    #[test]
    fn the_length_of_a_text_obeyed() {
        assert_eq!(shown("äöü", 3).to_string(), "äöü");
    }

    #[test]
    fn the_length_of_a_text_violated() {
        assert_eq!(shown("äöüß", 3).to_string(), "äöü… (8 bytes)");
        assert_eq!(shown(&"x".repeat(9_000_000), 0).to_string(), "… (9000000 bytes)");
    }
}
