//! Binary data as n8n's helpers hand it around: the bytes lie here, items carry an entry that says what and where they are.

use std::{collections::HashMap, path::Path};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytesize::ByteSize;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::protocol::random_id;

/// Bytes that are kept for one task.
const MAX_KEPT: usize = 1 << 30;

/// What the entry of data that lies here says in its field `data`.
const HERE: &str = "memory";

/// Types by the ending of a file's name.
const TYPES: [(&str, &str); 12] = [
    ("csv", "text/csv"),
    ("gif", "image/gif"),
    ("html", "text/html"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("json", "application/json"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("txt", "text/plain"),
    ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ("xml", "application/xml"),
    ("zip", "application/zip"),
];

/// Bytes as they stand in JSON: `{"type": "Buffer", "data": [1, 2]}`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Buffer {
    #[serde(rename = "type")]
    kind: Kind,
    data: Vec<u8>,
}

#[derive(Debug, Serialize, Deserialize)]
enum Kind {
    Buffer,
}

impl Buffer {
    /// These bytes.
    pub(super) fn new(data: Vec<u8>) -> Self {
        Self { kind: Kind::Buffer, data }
    }
}

/// The bytes of one task that lie here, by their ids.
#[derive(Default)]
pub(super) struct Files {
    kept: HashMap<String, Vec<u8>>,
    bytes: usize,
}

impl Files {
    /// Keeps bytes; the entry that an item carries for them.
    ///
    /// # Errors
    /// There is no room.
    pub(super) fn prepare(
        &mut self,
        data: Buffer,
        name: Option<String>,
        kind: Option<String>,
    ) -> Result<Value, Value> {
        let name = name.as_deref().map(Path::new);
        let ending = name.and_then(|name| name.extension()?.to_str()).map(str::to_lowercase);
        let by_ending = || {
            TYPES
                .iter()
                .find(|(end, _)| ending.as_deref() == Some(*end))
                .map(|(_, kind)| kind.to_string())
        };
        let kind = kind.or_else(by_ending).unwrap_or_else(|| "text/plain".into());
        let mut entry = Map::new();
        if let Some(file) = name.and_then(|name| name.file_name()?.to_str()) {
            entry.insert("fileName".into(), file.into());
        }
        let by_kind =
            || TYPES.iter().find(|(_, known)| *known == kind).map(|(end, _)| end.to_string());
        if let Some(ending) = ending.or_else(by_kind) {
            entry.insert("fileExtension".into(), ending.into());
        }
        if let Some(group) =
            ["text", "image", "video", "audio"].iter().find(|group| kind.starts_with(**group))
        {
            entry.insert("fileType".into(), (*group).into());
        }
        entry.insert("mimeType".into(), kind.into());
        self.keep(entry, data.data)
    }

    /// Keeps other bytes for an entry; the entry that an item carries from now on.
    ///
    /// # Errors
    /// There is no room.
    pub(super) fn replace(
        &mut self,
        entry: Map<String, Value>,
        data: Buffer,
    ) -> Result<Value, Value> {
        self.keep(entry, data.data)
    }

    fn keep(&mut self, mut entry: Map<String, Value>, data: Vec<u8>) -> Result<Value, Value> {
        if self.bytes + data.len() > MAX_KEPT {
            return Err(
                json!({ "message": format!("no room for more binary data than {}", ByteSize::b(MAX_KEPT as u64)) }),
            );
        }
        let id = format!("{HERE}:{}", random_id());
        entry.insert("data".into(), HERE.into());
        entry.insert("id".into(), id.clone().into());
        entry.insert(
            "fileSize".into(),
            ByteSize::b(data.len() as u64).display().si().to_string().into(),
        );
        entry.insert("bytes".into(), data.len().into());
        self.bytes += data.len();
        self.kept.insert(id, data);
        Ok(entry.into())
    }

    /// The bytes of an entry: they lie here, or as base64 in the entry itself.
    ///
    /// # Errors
    /// They are in neither place. n8n's own error has no text either.
    pub(super) fn read(&self, entry: &Value) -> Result<Buffer, Value> {
        let data = match entry["id"].as_str() {
            Some(id) => self.kept.get(id).cloned(),
            None => entry["data"].as_str().and_then(|data| BASE64_STANDARD.decode(data).ok()),
        };
        data.map(Buffer::new).ok_or_else(|| json!({}))
    }
}

/// Bytes as text.
///
/// # Errors
/// The encoding is unknown.
pub(super) fn text(data: Buffer, encoding: Option<String>) -> Result<String, Value> {
    let bytes = data.data;
    let encoding = encoding.unwrap_or_else(|| "utf8".into()).to_lowercase().replace(['-', '_'], "");
    Ok(match encoding.as_str() {
        "utf8" | "ascii" => String::from_utf8_lossy(&bytes).into_owned(),
        "latin1" | "binary" | "iso88591" => bytes.iter().copied().map(char::from).collect(),
        "utf16le" | "utf16" | "ucs2" => {
            let units: Vec<_> =
                bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
            String::from_utf16_lossy(&units)
        }
        "base64" => BASE64_STANDARD.encode(bytes),
        "hex" => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        _ => return Err(json!({ "message": format!("Encoding not recognized: '{encoding}'") })),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back_and_its_entry_says_what_it_is() {
        let mut files = Files::default();
        let entry = files.prepare(Buffer::new(vec![0, 255]), Some("a/b.PNG".into()), None).unwrap();
        assert_eq!(
            (&entry["fileName"], &entry["mimeType"], &entry["fileExtension"]),
            (&json!("b.PNG"), &json!("image/png"), &json!("png"))
        );
        assert_eq!(files.read(&entry).unwrap().data, [0, 255]);
        let Value::Object(fields) = entry else { panic!("an entry is an object") };
        let other = files.replace(fields, Buffer::new(b"new".to_vec())).unwrap();
        assert_eq!(files.read(&other).unwrap().data, b"new");
        assert_eq!((&other["mimeType"], &other["bytes"]), (&json!("image/png"), &json!(3)));
    }

    #[test]
    fn bytes_may_stand_in_the_entry_itself() {
        let files = Files::default();
        assert_eq!(files.read(&json!({ "data": "aGk=" })).unwrap().data, b"hi");
        assert!(files.read(&json!({ "data": "memory", "id": "memory:none" })).is_err());
        assert!(files.read(&json!({})).is_err());
    }

    #[test]
    fn a_type_is_what_was_said_or_follows_from_the_name() {
        let mut files = Files::default();
        let mut kind = |name: Option<&str>, kind: Option<&str>| {
            files.prepare(Buffer::new(vec![]), name.map(Into::into), kind.map(Into::into)).unwrap()
                ["mimeType"]
                .take()
        };
        assert_eq!(kind(Some("a.csv"), Some("x/y")), "x/y");
        assert_eq!(kind(Some("a.csv"), None), "text/csv");
        assert_eq!(kind(None, None), "text/plain");
    }

    #[test]
    fn text_has_the_encoding_that_was_said() {
        let text = |bytes: &[u8], encoding: Option<&str>| {
            text(Buffer::new(bytes.to_vec()), encoding.map(Into::into))
        };
        assert_eq!(text("é".as_bytes(), None).unwrap(), "é");
        assert_eq!(text(&[0xe9], Some("latin1")).unwrap(), "é");
        assert_eq!(text(&[0xe9, 0], Some("utf-16le")).unwrap(), "é");
        assert_eq!(text(b"hi", Some("base64")).unwrap(), "aGk=");
        assert!(text(b"", Some("klingon")).is_err());
    }
}
