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
    Shown { text, max, form: Form::Line }
}

/// Shows a name, an identifier or an error of others as a part of one line: [`shown`], cut at 200
/// characters.
pub(crate) fn brief(text: &str) -> Shown<'_> {
    shown(text, LABEL_CHARS)
}

/// Like [`shown`], between double quotes. Quotes and backslashes in the text are escaped.
#[cfg(feature = "cli")]
pub(crate) fn quoted(text: &str, max: usize) -> impl fmt::Display {
    let text = Shown { text, max, form: Form::Quoted };
    fmt::from_fn(move |f| write!(f, "\"{text}\""))
}

/// A text of others, escaped and cut. See [`shown`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shown<'a> {
    text: &'a str,
    max: usize,
    form: Form,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let mut out = Escaper { out: f, form: self.form, left: self.max, bytes: 0, is_cut: false };
        out.write_str(self.text)?;
        out.finish()
    }
}

/// The characters that are escaped, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// A part of one line: every hidden character, as an escape of Rust.
    Line,
    /// [`Line`](Self::Line), and also quotes and backslashes.
    #[cfg(feature = "cli")]
    Quoted,
    /// Several lines: every hidden character but newlines and tabs, as an escape of Rust.
    #[cfg(feature = "cli")]
    Lines,
    /// A JSON text, whose value stays the same: every hidden character but the newlines between
    /// tokens, as an escape of JSON.
    #[cfg(feature = "cli")]
    Json,
}

impl Form {
    fn escapes(self, c: char) -> bool {
        match self {
            Self::Line => is_hidden(c),
            #[cfg(feature = "cli")]
            Self::Quoted => matches!(c, '"' | '\\') || is_hidden(c),
            #[cfg(feature = "cli")]
            Self::Lines => !matches!(c, '\n' | '\t') && is_hidden(c),
            #[cfg(feature = "cli")]
            Self::Json => c != '\n' && is_hidden(c),
        }
    }

    fn write(self, out: &mut impl Write, c: char) -> fmt::Result {
        #[cfg(feature = "cli")]
        if self == Self::Json {
            let mut units = [0; 2];
            return c
                .encode_utf16(&mut units)
                .iter()
                .try_for_each(|unit| write!(out, "\\u{unit:04x}"));
        }
        write!(out, "{}", c.escape_default())
    }
}

/// Escapes and cuts the text that is written to it, and writes it to `out`.
#[derive(Debug)]
pub(crate) struct Escaper<'a, W> {
    out: &'a mut W,
    form: Form,
    /// Characters that still fit.
    left: usize,
    /// Bytes of the whole text so far.
    bytes: usize,
    is_cut: bool,
}

#[cfg(feature = "cli")]
impl<'a, W: Write> Escaper<'a, W> {
    pub(crate) fn new(out: &'a mut W, form: Form, max: usize) -> Self {
        Self { out, form, left: max, bytes: 0, is_cut: false }
    }
}

impl<W: Write> Escaper<'_, W> {
    /// Writes the mark of a text that was cut.
    pub(crate) fn finish(self) -> fmt::Result {
        if self.is_cut { write!(self.out, "… ({} bytes)", self.bytes) } else { Ok(()) }
    }
}

impl<W: Write> Write for Escaper<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.bytes = self.bytes.saturating_add(text.len());
        let mut rest = text;
        if self.left < text.len() {
            let end = text.char_indices().nth(self.left).map_or(text.len(), |(end, _)| end);
            self.is_cut |= end < text.len();
            rest = &text[..end];
        }
        // `usize::MAX` is no limit: nothing to count.
        if self.left < usize::MAX {
            self.left -= rest.chars().count();
        }
        while let Some(at) = rest.find(|c| self.form.escapes(c)) {
            let (clean, tail) = rest.split_at(at);
            self.out.write_str(clean)?;
            let mut tail = tail.chars();
            if let Some(c) = tail.next() {
                self.form.write(self.out, c)?;
            }
            rest = tail.as_str();
        }
        self.out.write_str(rest)
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

    #[test]
    #[cfg(feature = "cli")]
    fn quotes_are_escaped_between_quotes() {
        assert_eq!(quoted("a\"\\\n\u{202e}", 9).to_string(), r#""a\"\\\n\u{202e}""#);
    }

    #[cfg(feature = "cli")]
    fn escaped(form: Form, parts: &[&str]) -> String {
        let mut out = String::new();
        let mut escaper = Escaper::new(&mut out, form, 9);
        parts.iter().for_each(|part| escaper.write_str(part).unwrap());
        escaper.finish().unwrap();
        out
    }

    #[test]
    #[cfg(feature = "cli")]
    fn lines_keep_newlines_and_tabs() {
        assert_eq!(
            escaped(Form::Lines, &["a\n\tb\r", "\x1b\u{2028}"]),
            "a\n\tb\\r\\u{1b}\\u{2028}"
        );
    }

    #[test]
    #[cfg(feature = "cli")]
    fn json_keeps_its_value() {
        let text = "\u{7f}\u{9b}\u{202e}\u{e0001}ä";
        let json = serde_json::to_string(text).unwrap();
        let safe = escaped(Form::Json, &[&json]);
        assert_eq!(safe, r#""\u007f\u009b\u202e\udb40\udc01ä""#);
        assert_eq!(serde_json::from_str::<String>(&safe).unwrap(), text);
    }

    #[test]
    #[cfg(feature = "cli")]
    fn a_text_in_parts_is_cut_once() {
        assert_eq!(escaped(Form::Line, &["äöüß", "12345", "", "6"]), "äöüß12345… (14 bytes)");
        assert_eq!(escaped(Form::Line, &["äöüß", "12345", ""]), "äöüß12345");
    }
}
