//! A task's settings in a large frame, found by brackets and quotation marks alone.
//!
//! What lies between them is for the guest, which reads it all, and so checks it. To do the same here as well would take
//! three times as long, and nothing else of the session goes on meanwhile.

use serde::de::IgnoredAny;
use wide::u8x16;

use super::received::{Fields, ReceivedSettings};

/// Bytes from which on a frame is worth it.
const LARGE: usize = 64 << 10;

/// The task and the settings in a large frame that is no more than that. Other frames, and what is not understood, are left to
/// the reader of all frames, which finds out what is wrong.
pub(crate) fn task_settings(frame: &str) -> Option<(String, ReceivedSettings<'_>)> {
    if frame.len() < LARGE { None } else { find(frame) }
}

fn find(frame: &str) -> Option<(String, ReceivedSettings<'_>)> {
    let (mut kind, mut task_id, mut settings) = (None, None, None);
    let mut skim = Skim { text: frame, at: 0 };
    skim.object(|skim, key| {
        match key {
            r#""type""# => kind = Some(skim.value()?),
            r#""taskId""# => task_id = Some(skim.value()?),
            r#""settings""# if settings.is_none() => {
                let mut fields = Fields::of_object();
                let text = skim.object(|skim, key| fields.put(key, skim.value()?).ok())?;
                settings = Some(fields.received(text));
            }
            // A second one, or what may be one.
            r#""settings""# => return None,
            _ if key.contains('\\') => return None,
            _ => _ = serde_json::from_str::<IgnoredAny>(skim.value()?).ok()?,
        }
        (kind.is_none() || kind == Some(r#""broker:tasksettings""#)).then_some(())
    })?;
    skim.space();
    if skim.at < frame.len() || kind.is_none() {
        return None;
    }
    Some((serde_json::from_str(task_id?).ok()?, settings?))
}

/// A place in a JSON text. Where that is not understood, each step is `None`.
struct Skim<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Skim<'a> {
    fn next(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.next() {
            self.at += 1;
        }
    }

    /// Passes this byte, and white space before it.
    fn pass(&mut self, byte: u8) -> Option<()> {
        self.space();
        (self.next() == Some(byte)).then(|| self.at += 1)
    }

    /// Passes an object, whose text it is. `member` is called with each key as it stands there, at its value, which it passes.
    fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, &'a str) -> Option<()>,
    ) -> Option<&'a str> {
        self.space();
        let begin = self.at;
        self.pass(b'{')?;
        if self.pass(b'}').is_none() {
            loop {
                let key = self.value().filter(|key| key.starts_with('"'))?;
                self.pass(b':')?;
                member(self, key)?;
                if self.pass(b',').is_none() {
                    break;
                }
            }
            self.pass(b'}')?;
        }
        self.text.get(begin..self.at)
    }

    /// Passes a value, whose text it is.
    fn value(&mut self) -> Option<&'a str> {
        self.space();
        let rest = self.text.as_bytes().get(self.at..)?;
        let length = match rest.first()? {
            b'"' | b'{' | b'[' => end_of_nested(rest)?,
            _ => rest.iter().position(|byte| {
                matches!(byte, b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t')
            })?,
        };
        let text = self.text.get(self.at..self.at + length).filter(|text| !text.is_empty());
        self.at += length;
        text
    }
}

/// Where a text, a list or an object ends that begins with the first byte.
fn end_of_nested(json: &[u8]) -> Option<usize> {
    let mut state = Nesting::default();
    let (blocks, rest) = json.as_chunks();
    for (index, block) in blocks.iter().enumerate() {
        if !state.pass_block(block) {
            // It may end in here, or something in here has a backslash before it.
            if let Some(end) = state.end_within(block) {
                return Some(index * block.len() + end);
            }
        }
    }
    state.end_within(rest).map(|end| json.len() - rest.len() + end)
}

/// What has begun and not ended.
#[derive(Default)]
struct Nesting {
    brackets: usize,
    in_text: bool,
    /// The last byte was a backslash that counts for the next one.
    escaped: bool,
}

impl Nesting {
    /// Passes a block of bytes at once, where nothing in it is special; otherwise nothing happens.
    fn pass_block(&mut self, block: &[u8; 16]) -> bool {
        let block = u8x16::new(*block);
        let equal = |block: u8x16, byte| block.simd_eq(u8x16::splat(byte));
        let (marks, backslashes) = (equal(block, b'"'), equal(block, b'\\'));
        if self.escaped || backslashes.to_bitmask() != 0 {
            return false;
        }
        // Of each pair of quotation marks, the bits from the first one up to the second.
        let mut texts = marks.to_bitmask();
        if texts == 0 && self.in_text {
            return true;
        }
        // A text that is all there is ends in here, or nothing has begun yet.
        if self.brackets == 0 {
            return false;
        }
        for shift in [1, 2, 4, 8] {
            texts ^= texts << shift;
        }
        let texts = if self.in_text { !texts } else { texts } & 0xFFFF;
        // `[` and `]` differ from `{` and `}` in this bit, and nothing else becomes one of them.
        let folded = block | u8x16::splat(0x20);
        let begins = equal(folded, b'{').to_bitmask() & !texts;
        let ends = equal(folded, b'}').to_bitmask() & !texts;
        if begins | ends != 0 {
            let count = ends.count_ones() as usize;
            if count >= self.brackets {
                return false;
            }
            self.brackets = self.brackets + begins.count_ones() as usize - count;
        }
        self.in_text = texts >> 15 == 1;
        true
    }

    /// Passes these bytes one by one, up to where all that has begun has ended: how many those are.
    fn end_within(&mut self, bytes: &[u8]) -> Option<usize> {
        bytes.iter().position(|byte| self.ends_with(*byte)).map(|last| last + 1)
    }

    fn ends_with(&mut self, byte: u8) -> bool {
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' if self.in_text => self.escaped = true,
            b'"' => self.in_text = !self.in_text,
            b'{' | b'[' if !self.in_text => self.brackets += 1,
            b'}' | b']' if !self.in_text => self.brackets = self.brackets.saturating_sub(1),
            _ => return false,
        }
        self.brackets == 0 && !self.in_text
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json, value::RawValue};

    use super::*;
    use crate::protocol::wire::Envelope;

    fn any_json() -> impl Strategy<Value = Value> {
        let text = r#"[a-z"\\\\{}\[\],:\n é€]{0,40}"#;
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            text.prop_map(Value::from)
        ];
        leaf.prop_recursive(5, 60, 6, move |inside| {
            let members = prop::collection::btree_map(text, inside.clone(), 0..6);
            prop_oneof![
                prop::collection::vec(inside, 0..6).prop_map(Value::from),
                members.prop_map(|members| members.into_iter().collect())
            ]
        })
    }

    fn frame(task_id: &str, fields: Value, pretty: bool) -> String {
        let mut settings =
            json!({ "code": "return 1", "nodeMode": "runOnceForAllItems", "workflowName": "w" });
        settings["items"] = fields;
        let frame =
            json!({ "type": "broker:tasksettings", "taskId": task_id, "settings": settings });
        if pretty { serde_json::to_string_pretty(&frame).unwrap() } else { frame.to_string() }
    }

    /// What the reader of all frames makes of it.
    fn read(frame: &str) -> (String, ReceivedSettings<'_>) {
        let envelope = Envelope::<&RawValue>::parse(frame).unwrap();
        (envelope.task_id().unwrap(), envelope.settings.as_ref().unwrap().within(frame))
    }

    proptest! {
        #[test]
        fn it_finds_what_the_reader_of_all_frames_finds(task_id in ".*", fields in any_json(), pretty: bool) {
            let frame = frame(&task_id, fields, pretty);
            prop_assert_eq!(find(&frame), Some(read(&frame)));
        }

        #[test]
        fn a_frame_that_breaks_off_or_goes_on_is_left_to_others(fields in any_json(), at: prop::sample::Index, pretty: bool) {
            let frame = frame("t1", fields, pretty);
            let mut end = at.index(frame.len());
            while !frame.is_char_boundary(end) {
                end -= 1;
            }
            prop_assert_eq!(find(&frame[..end]), None);
            let longer = format!("{frame}}}");
            prop_assert_eq!(find(&longer), None);
        }

        #[test]
        fn any_text_is_passed_without_a_panic(text in r#"[\[\]{}",:\\\\a1 ]{0,200}"#) {
            let _ = find(&text);
            let _ = find(&format!(r#"{{"type":"broker:tasksettings","settings":{text}"#));
        }
    }

    #[test]
    fn other_frames_are_left_to_others() {
        for frame in [
            r#"{"type":"broker:rpcresponse","taskId":"t1","settings":{"items":[]}}"#,
            r#"{"taskId":"t1","settings":{"items":[]}}"#,
            r#"{"type":"broker:tasksettings","settings":{"items":[]}}"#,
            r#"{"type":"broker:tasksettings","taskId":"t1","settings":[]}"#,
            r#"{"type":"broker:tasksettings","taskId":1,"settings":{"items":[]}}"#,
            r#"[{"type":"broker:tasksettings","taskId":"t1","settings":{}}]"#,
            r#"{"type":"broker:tasksettings","taskId":"t1","settings":{},"settings":{}}"#,
            r#"{"type":"broker:tasksettings","taskId":"t1","settings":{},"\u0073ettings":{}}"#,
            r#"{"type":"broker:tasksettings","taskId":"t1","settings":{},"more":[1,]}"#,
        ] {
            assert_eq!(find(frame), None, "{frame}");
        }
    }

    #[test]
    fn the_order_of_members_does_not_matter() {
        let frame = r#" { "settings" : {"code":"","items":[{}]} , "taskId":"t1", "more":[1,{}], "type":"broker:tasksettings" } "#;
        let (task_id, settings) = find(frame).unwrap();
        assert_eq!((task_id.as_str(), settings.text), ("t1", r#"{"code":"","items":[{}]}"#));
    }

    #[test]
    fn only_a_large_frame_is_skimmed() {
        let frame = |size: usize| frame("t1", json!(["x".repeat(size)]), false);
        assert!(task_settings(&frame(1000)).is_none());
        assert!(task_settings(&frame(LARGE)).is_some());
    }
}
