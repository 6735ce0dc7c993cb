//! The error of a text that holds no items: what is wrong, where, and the text at that place.

use serde_json::error::Category;

use crate::text::shown;

/// Characters that are shown before and after a place.
const AROUND: usize = 40;

const ITEM: &str = r#"an item is an object, such as {"name": "Ada"}"#;

/// Why a text holds no items.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub(crate) struct ItemsError {
    text: String,
}

impl ItemsError {
    /// The text is empty.
    pub(crate) fn empty() -> Self {
        Self { text: "there is no JSON; write [] for no items".into() }
    }

    /// The text is no JSON.
    pub(crate) fn syntax(text: &str, error: &serde_json::Error) -> Self {
        let place = place_of(text, error);
        let why = match (error.classify(), text.get(place..).unwrap_or_default()) {
            (Category::Eof, _) => "the JSON ends too early".into(),
            (_, rest) if rest.starts_with('\'') => {
                "this is no JSON: a text stands in double quotes".into()
            }
            _ => match reason(error).as_str() {
                // A word that begins like `null`, `true` or `false`.
                "expected ident" => "this is no JSON".into(),
                "trailing characters" => "the list has ended, so nothing may follow".into(),
                reason => format!("this is no JSON: {reason}"),
            },
        };
        Self::at(text, place, &why)
    }

    /// A list has an element, at `index`, that is no object.
    pub(crate) fn element(text: &str, index: usize, json: &str) -> Self {
        let why =
            format!("element {} of the list (index {index}) is {}; {ITEM}", index + 1, kind(json));
        Self::at(text, offset(text, json), &why)
    }

    /// The text has a value that is no object.
    pub(crate) fn no_object(text: &str, json: &str) -> Self {
        let why = format!("{} is no item; {ITEM}", kind(json));
        Self::at(text, offset(text, json), &why)
    }

    fn at(text: &str, place: usize, why: &str) -> Self {
        let before = &text[..place];
        let number = before.matches('\n').count() + 1;
        let start = before.rfind('\n').map_or(0, |end| end + 1);
        let rest = &text[start..];
        let line = rest.lines().next().unwrap_or_default();
        let (head, tail) = line.split_at_checked(place - start).unwrap_or((line, ""));
        let column = head.chars().count() + 1;
        let cut = head.char_indices().rev().nth(AROUND - 1).map_or(0, |(at, _)| at);
        let dots = if cut > 0 { "…" } else { "" };
        let head = format!("{dots}{}", shown(&head[cut..], usize::MAX));
        let end = tail.char_indices().nth(AROUND).map_or(tail.len(), |(at, _)| at);
        let dots = if end < tail.len() { "…" } else { "" };
        let tail = format!("{}{dots}", shown(&tail[..end], usize::MAX));
        let caret = format!("{:width$}^", "", width = head.chars().count());
        Self { text: format!("line {number}, column {column}: {why}\n  {head}{tail}\n  {caret}") }
    }
}

/// Returns the message of serde_json without its place.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&place).map_or(text.clone(), str::to_owned)
}

/// Returns the offset of the character at which serde_json stopped. Its columns count bytes.
fn place_of(text: &str, error: &serde_json::Error) -> usize {
    let before = text.split_inclusive('\n').take(error.line().saturating_sub(1));
    let line: usize = before.map(str::len).sum();
    let behind = text.floor_char_boundary(line + error.column());
    match error.classify() {
        Category::Eof => text.trim_end().len(),
        _ if reason(error) == "expected ident" => {
            // It read a part of the word.
            let word = |c: char| c.is_alphanumeric() || c == '_';
            text[..behind].trim_end_matches(word).len()
        }
        _ => text.floor_char_boundary((line + error.column()).saturating_sub(1)),
    }
}

/// Returns the offset of a part of a text.
fn offset(text: &str, part: &str) -> usize {
    (part.as_ptr().addr()).saturating_sub(text.as_ptr().addr()).min(text.len())
}

/// Names the kind of a JSON value.
fn kind(json: &str) -> &str {
    match json.as_bytes().first() {
        Some(b'"') => "a string",
        Some(b'[') => "a list",
        Some(b'{') => "an object",
        Some(b't' | b'f' | b'n') => json,
        _ => "a number",
    }
}
