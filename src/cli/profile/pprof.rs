//! A profile in pprof's format: the protocol-buffer message `perftools.profiles.Profile`, written by hand, because the few
//! fields that a profile of one program has are less than a library to write them with.
//!
//! Field numbers are those of pprof's `profile.proto`.

use std::collections::BTreeMap;

use super::{export::OUTSIDE, tally::Profile};

/// A message under construction.
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

/// The table of texts, which the rest names by their places. The first is empty.
struct Texts(Vec<String>);

impl Texts {
    fn place(&mut self, text: &str) -> u64 {
        let place = self.0.iter().position(|known| known == text).unwrap_or_else(|| {
            self.0.push(text.to_owned());
            self.0.len() - 1
        });
        place as u64
    }
}

/// A place, as its locations from the innermost on, and the fuel that was burnt there.
fn sample(path: impl IntoIterator<Item = u64>, own: u64) -> Vec<u8> {
    Message::default().with(|sample| {
        sample.numbers(1, path);
        sample.numbers(2, [own]);
    })
}

/// One sample for each place with the calls that led there, its value the fuel that was burnt there.
pub(crate) fn encode(profile: &Profile, name: &str) -> anyhow::Result<Vec<u8>> {
    let mut texts = Texts(vec![String::new()]);
    let mut message = Message::default();
    let (fuel, units, file) = (texts.place("fuel"), texts.place("units"), texts.place(name));
    let kind = |message: &mut Message| {
        message.number(1, fuel);
        message.number(2, units);
    };
    message.bytes(1, &Message::default().with(kind));
    // A location is a line in a function.
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
    // The last function is none of the program's.
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
        let called = texts.place(called);
        message.bytes(
            5,
            &Message::default().with(|function| {
                function.number(1, index as u64 + 1);
                // No system name: pprof would take it for C++, and `<module>` for a template's argument.
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
    fn numbers_and_texts_are_encoded_as_protocol_buffers_have_it() {
        let mut message = Message::default();
        message.number(1, 150);
        message.bytes(2, b"testing");
        message.numbers(4, [3, 270, 86_942]);
        let expected = b"\x08\x96\x01\x12\x07testing\x22\x06\x03\x8e\x02\x9e\xa7\x05";
        assert_eq!(message.0, expected);
    }
}
