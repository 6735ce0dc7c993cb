//! Binary data in n8n's form: an item's entry describes the bytes, which are stored under the
//! entry's id.

use std::{collections::HashMap, path::Path};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytesize::ByteSize;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::protocol::random_id;

/// Bytes that one task may store: 1 GiB, the default maximum of a message.
const MAX_STORED: usize = 1 << 30;

/// The field `data` of an entry whose bytes are stored here.
const STORED: &str = "memory";

/// MIME types by file extension.
const MIME_TYPES: [(&str, &str); 12] = [
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

/// Bytes in the JSON form of Node's `Buffer`: `{"type": "Buffer", "data": [1, 2]}`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Buffer {
    #[serde(rename = "type")]
    kind: BufferTag,
    data: Vec<u8>,
}

#[derive(Debug, Serialize, Deserialize)]
enum BufferTag {
    Buffer,
}

impl Buffer {
    pub(crate) fn new(data: Vec<u8>) -> Self {
        Self { kind: BufferTag::Buffer, data }
    }
}

/// The stored bytes of one task, by id.
#[derive(Default)]
pub(crate) struct BinaryStore {
    stored: HashMap<String, Vec<u8>>,
    bytes: usize,
}

impl BinaryStore {
    /// Stores bytes. Returns the entry for an item.
    ///
    /// # Errors
    /// The task exceeds [`MAX_STORED`].
    pub(crate) fn prepare(
        &mut self,
        data: Buffer,
        name: Option<String>,
        kind: Option<String>,
    ) -> Result<Value, Value> {
        let name = name.as_deref().map(Path::new);
        let extension = name.and_then(|name| name.extension()?.to_str()).map(str::to_lowercase);
        let by_extension = || {
            MIME_TYPES
                .iter()
                .find(|(end, _)| extension.as_deref() == Some(*end))
                .map(|(_, kind)| kind.to_string())
        };
        let kind = kind.or_else(by_extension).unwrap_or_else(|| "text/plain".into());
        let mut entry = Map::new();
        if let Some(file) = name.and_then(|name| name.file_name()?.to_str()) {
            entry.insert("fileName".into(), file.into());
        }
        let of_kind =
            || MIME_TYPES.iter().find(|(_, known)| *known == kind).map(|(end, _)| end.to_string());
        if let Some(extension) = extension.or_else(of_kind) {
            entry.insert("fileExtension".into(), extension.into());
        }
        if let Some(group) =
            ["text", "image", "video", "audio"].iter().find(|group| kind.starts_with(**group))
        {
            entry.insert("fileType".into(), (*group).into());
        }
        entry.insert("mimeType".into(), kind.into());
        self.store(entry, data.data)
    }

    /// Stores new bytes for an entry. Returns the entry that replaces it.
    ///
    /// # Errors
    /// The task exceeds [`MAX_STORED`].
    pub(crate) fn replace(
        &mut self,
        entry: Map<String, Value>,
        data: Buffer,
    ) -> Result<Value, Value> {
        self.store(entry, data.data)
    }

    fn store(&mut self, mut entry: Map<String, Value>, data: Vec<u8>) -> Result<Value, Value> {
        if self.bytes + data.len() > MAX_STORED {
            let most = ByteSize::b(MAX_STORED as u64);
            let message = format!("the binary data of a task may have at most {most}");
            return Err(json!({ "message": message }));
        }
        let id = format!("{STORED}:{}", random_id());
        entry.insert("data".into(), STORED.into());
        entry.insert("id".into(), id.clone().into());
        entry.insert(
            "fileSize".into(),
            ByteSize::b(data.len() as u64).display().si().to_string().into(),
        );
        entry.insert("bytes".into(), data.len().into());
        self.bytes += data.len();
        self.stored.insert(id, data);
        Ok(entry.into())
    }

    /// Returns the bytes of an entry: stored under its id, or as base64 in its field `data`.
    ///
    /// # Errors
    /// Neither exists.
    pub(crate) fn read(&self, entry: &Value) -> Result<Buffer, Value> {
        let data = match entry["id"].as_str() {
            Some(id) => self.stored.get(id).cloned().ok_or_else(|| {
                format!(
                    "this broker does not store the file {id}: put its bytes as base64 into \
                     `data`, and leave `id` out"
                )
            }),
            None => entry["data"]
                .as_str()
                .and_then(|data| BASE64_STANDARD.decode(data).ok())
                .ok_or_else(|| "the file's `data` is not base64".to_owned()),
        };
        data.map(Buffer::new).map_err(|message| json!({ "message": message }))
    }
}

/// Decodes bytes with one of Node's encodings; UTF-8 by default.
///
/// # Errors
/// The encoding is unknown.
pub(crate) fn text(data: Buffer, encoding: Option<String>) -> Result<String, Value> {
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
    fn stored_bytes_come_back_and_the_entry_describes_them() {
        let mut store = BinaryStore::default();
        let entry = store.prepare(Buffer::new(vec![0, 255]), Some("a/b.PNG".into()), None).unwrap();
        assert_eq!(
            (&entry["fileName"], &entry["mimeType"], &entry["fileExtension"]),
            (&json!("b.PNG"), &json!("image/png"), &json!("png"))
        );
        assert_eq!(store.read(&entry).unwrap().data, [0, 255]);
        let Value::Object(fields) = entry else { panic!("an entry is an object") };
        let other = store.replace(fields, Buffer::new(b"new".to_vec())).unwrap();
        assert_eq!(store.read(&other).unwrap().data, b"new");
        assert_eq!((&other["mimeType"], &other["bytes"]), (&json!("image/png"), &json!(3)));
    }

    #[test]
    fn an_entry_may_hold_its_bytes_as_base64() {
        let store = BinaryStore::default();
        assert_eq!(store.read(&json!({ "data": "aGk=" })).unwrap().data, b"hi");
        let error = |entry: Value| store.read(&entry).unwrap_err()["message"].take().to_string();
        let elsewhere = json!({ "data": "filesystem-v2", "id": "filesystem-v2:a" });
        assert!(error(elsewhere).contains("does not store the file filesystem-v2:a"));
        assert!(error(json!({})).contains("is not base64"));
    }

    #[test]
    fn a_mime_type_is_given_or_follows_from_the_name() {
        let mut store = BinaryStore::default();
        let mut kind = |name: Option<&str>, kind: Option<&str>| {
            store.prepare(Buffer::new(vec![]), name.map(Into::into), kind.map(Into::into)).unwrap()
                ["mimeType"]
                .take()
        };
        assert_eq!(kind(Some("a.csv"), Some("x/y")), "x/y");
        assert_eq!(kind(Some("a.csv"), None), "text/csv");
        assert_eq!(kind(None, None), "text/plain");
    }

    #[test]
    fn text_has_the_given_encoding() {
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
