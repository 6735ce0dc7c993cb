//! The limit of nested lists and objects in JSON, and a scanner that checks it.
//!
//! serde_json reads a raw value of any depth, and so does the parser of Node.js. n8n's other
//! functions recurse, and fail at depths that depend on their stack.

/// Levels of lists and objects that a value may nest, where it passes between user code and the
/// host or n8n.
///
/// `structuredClone` fails at 1,640 nested objects and `JSON.stringify` at 4,422 (n8n 2.41.1 on
/// Node.js 24, main thread). n8n calls them with frames of its own on the stack, so the limit
/// leaves a third of the smaller number.
pub const MAX_DEPTH: usize = 1_000;

/// One in each byte of a word.
const ONES: u64 = 0x0101_0101_0101_0101;
/// The highest bit of each byte of a word.
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// Returns whether a JSON text nests lists and objects deeper than `limit` levels.
///
/// Scans eight bytes at a time: a task pays for this scan with latency. `json` must be valid; the
/// answer for another text has no meaning.
pub(crate) fn is_deeper_than(json: &[u8], limit: usize) -> bool {
    // Each level has two brackets.
    if json.len() / 2 <= limit {
        return false;
    }
    let mut scanner = Scanner { limit, depth: 0, in_string: false, escaped: false };
    let (words, rest) = json.as_chunks::<8>();
    words.iter().any(|word| scanner.word(*word)) || scanner.bytes(rest)
}

struct Scanner {
    limit: usize,
    depth: usize,
    in_string: bool,
    /// Whether a backslash precedes the next byte.
    escaped: bool,
}

impl Scanner {
    /// Scans eight bytes. Returns whether the depth exceeds the limit.
    fn word(&mut self, bytes: [u8; 8]) -> bool {
        // Little-endian: a shift to the left moves towards later bytes.
        let word = u64::from_le_bytes(bytes);
        if self.escaped || equal(word, b'\\') != 0 {
            return self.bytes(&bytes);
        }
        // Each byte becomes the parity of the quotation marks up to it.
        let mut inside = equal(word, b'"') >> 7;
        inside ^= inside << 8;
        inside ^= inside << 16;
        inside ^= inside << 32;
        inside ^= if self.in_string { ONES } else { 0 };
        let outside = !(inside << 7);
        // `[` and `{` differ in one bit, and so do `]` and `}`.
        let folded = word | (ONES * 0x20);
        let opened = (equal(folded, b'{') & outside).count_ones() as usize;
        let closed = (equal(folded, b'}') & outside).count_ones() as usize;
        if self.depth + opened > self.limit {
            return self.bytes(&bytes);
        }
        self.in_string = inside >> 56 != 0;
        self.depth = (self.depth + opened).saturating_sub(closed);
        false
    }

    /// Scans bytes one by one. Returns whether the depth exceeds the limit.
    fn bytes(&mut self, bytes: &[u8]) -> bool {
        for byte in bytes {
            if self.escaped {
                self.escaped = false;
                continue;
            }
            match byte {
                b'"' => self.in_string = !self.in_string,
                b'\\' => self.escaped = self.in_string,
                b'[' | b'{' if !self.in_string => {
                    self.depth += 1;
                    if self.depth > self.limit {
                        return true;
                    }
                }
                b']' | b'}' if !self.in_string => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
        false
    }
}

/// Returns a word whose bytes are 0x80 where `word` has this byte, and 0 elsewhere.
fn equal(word: u64, byte: u8) -> u64 {
    let difference = word ^ (ONES * u64::from(byte));
    !(((difference & !HIGHS) + !HIGHS) | difference) & HIGHS
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn nested(depth: usize) -> String {
        "[".repeat(depth) + &"]".repeat(depth)
    }

    /// Returns the depth of a value, by recursion.
    fn depth(value: &Value) -> usize {
        match value {
            Value::Array(list) => 1 + list.iter().map(depth).max().unwrap_or(0),
            Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
            _ => 0,
        }
    }

    fn value() -> impl Strategy<Value = Value> {
        let text = r#"[\[\]{}"\\a-zé💥:,]{0,12}"#;
        let leaf = prop_oneof![
            Just(Value::Null),
            text.prop_map(Value::from),
            any::<i32>().prop_map(Value::from)
        ];
        leaf.prop_recursive(12, 200, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((text, inner), 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    #[test]
    fn depth_of_a_value_obeyed() {
        assert!(!is_deeper_than(nested(MAX_DEPTH).as_bytes(), MAX_DEPTH));
        let wide = format!("[{}1]", "[{}],".repeat(MAX_DEPTH));
        assert!(!is_deeper_than(wide.as_bytes(), MAX_DEPTH));
        let text = format!("[\"{}\"]", "[".repeat(3 * MAX_DEPTH));
        assert!(!is_deeper_than(text.as_bytes(), MAX_DEPTH));
    }

    #[test]
    fn depth_of_a_value_violated() {
        assert!(is_deeper_than(nested(MAX_DEPTH + 1).as_bytes(), MAX_DEPTH));
        // A closing bracket inside a string closes nothing.
        let hidden = r#"["]","\"]",{"}\\":"#.repeat(MAX_DEPTH);
        assert!(is_deeper_than(hidden.as_bytes(), MAX_DEPTH));
    }

    proptest! {
        #[test]
        fn the_depth_is_that_of_the_parsed_value(value in value(), shift in 0..8_usize) {
            let json = " ".repeat(shift) + &value.to_string();
            let depth = depth(&value);
            prop_assert!(!is_deeper_than(json.as_bytes(), depth));
            prop_assert!(depth == 0 || is_deeper_than(json.as_bytes(), depth - 1));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            is_deeper_than(&bytes, 3);
        }
    }
}
