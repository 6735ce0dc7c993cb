//! Exports a profile in pprof's format: the protocol-buffer message `perftools.profiles.Profile`.
//! The encoder is written by hand, because a profile needs few fields, and a protobuf library would
//! be larger.
//!
//! Field numbers are from
//! [`profile.proto`](https://github.com/google/pprof/blob/main/proto/profile.proto).

use std::collections::BTreeMap;

use super::{aggregate::Profile, export::OUTSIDE};

/// A protocol-buffer message under construction.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn number(&mut self, field: u64, value: u64) {
        self.varint(field << 3);
        self.varint(value);
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn numbers(&mut self, field: u64, values: impl IntoIterator<Item = u64>) {
        let mut packed = Self::default();
        values.into_iter().for_each(|value| packed.varint(value));
        self.bytes(field, &packed.0);
    }

    fn with(mut self, fill: impl FnOnce(&mut Self)) -> Vec<u8> {
        fill(&mut self);
        self.0
    }
}

/// The string table, to which the rest refers by index. The first entry must be empty.
struct StringTable(Vec<String>);

impl StringTable {
    fn index(&mut self, text: &str) -> u64 {
        let index = self.0.iter().position(|known| known == text).unwrap_or_else(|| {
            self.0.push(text.to_owned());
            self.0.len() - 1
        });
        index as u64
    }
}

/// Encodes a sample: its locations from the innermost outwards, and its own fuel.
fn sample(path: impl IntoIterator<Item = u64>, own: u64) -> Vec<u8> {
    Message::default().with(|sample| {
        sample.numbers(1, path);
        sample.numbers(2, [own]);
    })
}

/// Encodes one sample per call path, with the fuel that its innermost line consumed.
pub(crate) fn encode(profile: &Profile, name: &str) -> anyhow::Result<Vec<u8>> {
    let mut texts = StringTable(vec![String::new()]);
    let mut message = Message::default();
    let (fuel, units, file) = (texts.index("fuel"), texts.index("units"), texts.index(name));
    let kind = |message: &mut Message| {
        message.number(1, fuel);
        message.number(2, units);
    };
    message.bytes(1, &Message::default().with(kind));
    // A location is a line of a function.
    let mut locations = BTreeMap::new();
    for (stack, own) in profile.stacks() {
        let next = |(code, line): (usize, u32), locations: &mut BTreeMap<(usize, u32), u64>| {
            let id = locations.len() as u64 + 1;
            *locations.entry((code, line)).or_insert(id)
        };
        let path: Vec<u64> =
            stack.iter().rev().map(|node| next((node.code, node.line), &mut locations)).collect();
        message.bytes(2, &sample(path, own));
    }
    // One more function stands for the fuel outside the program's code.
    let outside = (profile.codes.len(), 0);
    let id = locations.len() as u64 + 1;
    locations.insert(outside, id);
    message.bytes(2, &sample([id], profile.outside()));
    for (&(code, line), &id) in &locations {
        let line = Message::default().with(|place| {
            place.number(1, code as u64 + 1);
            place.number(2, line.into());
        });
        message.bytes(
            4,
            &Message::default().with(|location| {
                location.number(1, id);
                location.bytes(4, &line);
            }),
        );
    }
    let functions = profile.codes.iter().map(|code| (code.name.as_str(), code.line));
    for (index, (called, line)) in functions.chain([(OUTSIDE, 0)]).enumerate() {
        let called = texts.index(called);
        message.bytes(
            5,
            &Message::default().with(|function| {
                function.number(1, index as u64 + 1);
                // No system name: pprof would demangle it as C++, and take `<module>` for a
                // template argument.
                function.number(2, called);
                function.number(4, file);
                function.number(5, line.into());
            }),
        );
    }
    texts.0.iter().for_each(|text| message.bytes(6, text.as_bytes()));
    Ok(message.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_encoding_matches_the_protobuf_examples() {
        let mut message = Message::default();
        message.number(1, 150);
        message.bytes(2, b"testing");
        message.numbers(4, [3, 270, 86_942]);
        let expected = b"\x08\x96\x01\x12\x07testing\x22\x06\x03\x8e\x02\x9e\xa7\x05";
        assert_eq!(message.0, expected);
    }
}
