//! The body of an HTTP response: read within a bound, unpacked, decoded, parsed.

use std::io::{self, Read};

use brotli_decompressor::Decompressor;
use encoding_rs::{Encoding, UTF_8};
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use reqwest::{
    Response,
    header::{CONTENT_ENCODING, HeaderMap},
};
use serde_json::value::{RawValue, to_raw_value};

use super::binary::Buffer;

/// Bytes of a response body, packed and unpacked. Bounds the memory of the broker.
const MAX_BODY: usize = 256 << 20;
/// The buffer of the brotli decoder, in bytes.
const BROTLI_BUFFER: usize = 4096;

/// A response has no usable body.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// Reading it failed.
    #[error(transparent)]
    Http(#[from] reqwest::Error),
    /// It exceeds [`MAX_BODY`].
    #[error("maxContentLength exceeded: a body may have {MAX_BODY} bytes")]
    TooLarge,
    /// It is not what its `Content-Encoding` says.
    #[error("the body is not valid {0}: {1}")]
    Packed(String, #[source] io::Error),
    /// It cannot be written as JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

/// Reads a body and unpacks it. Removes the header `Content-Encoding` of an unpacked body, as n8n's
/// HTTP library does. Without `has_body`, the header describes a body that was not sent.
///
/// # Errors
/// The connection fails, or the body is too large or broken.
pub(crate) async fn read(
    mut response: Response,
    headers: &mut HeaderMap,
    has_body: bool,
) -> Result<Vec<u8>, BodyError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > MAX_BODY {
            return Err(BodyError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    let named = headers.get(CONTENT_ENCODING).and_then(|value| value.to_str().ok());
    let packings: Vec<_> =
        named.unwrap_or_default().split(',').map(|name| name.trim().to_ascii_lowercase()).collect();
    if !packings.iter().all(|name| UNPACKED.contains(&name.as_str())) {
        return Ok(body);
    }
    headers.remove(CONTENT_ENCODING);
    if !has_body || body.is_empty() {
        return Ok(body);
    }
    // Unpacking takes up to a second. The runtime has one thread, which serves runners too.
    let unpacked = tokio::task::spawn_blocking(move || {
        packings.iter().rev().try_fold(body, |body, name| unpack(&body, name))
    });
    match unpacked.await {
        Ok(result) => result,
        Err(failed) => Err(BodyError::Packed("data".into(), io::Error::other(failed))),
    }
}

/// The values of `Content-Encoding` that [`unpack`] knows. n8n's HTTP library unpacks the same.
const UNPACKED: [&str; 6] = ["gzip", "x-gzip", "compress", "x-compress", "deflate", "br"];

fn unpack(packed: &[u8], name: &str) -> Result<Vec<u8>, BodyError> {
    let mut body = Vec::new();
    let bound = MAX_BODY as u64 + 1;
    let read = match name {
        "br" => Decompressor::new(packed, BROTLI_BUFFER).take(bound).read_to_end(&mut body),
        // RFC 9110 means zlib's format, but some servers send bare deflate.
        "deflate" if packed[0] & 0x0f == 8 => {
            ZlibDecoder::new(packed).take(bound).read_to_end(&mut body)
        }
        "deflate" => DeflateDecoder::new(packed).take(bound).read_to_end(&mut body),
        _ => MultiGzDecoder::new(packed).take(bound).read_to_end(&mut body),
    };
    read.map_err(|error| BodyError::Packed(name.into(), error))?;
    if body.len() > MAX_BODY { Err(BodyError::TooLarge) } else { Ok(body) }
}

/// Converts a body by n8n's option `encoding`: to bytes, to text, or by default to the value if it
/// is JSON, whatever its content type, and else to text. JSON keeps its order of keys and digits.
///
/// # Errors
/// The text cannot be written as JSON, which never happens.
pub(crate) fn value(
    body: Vec<u8>,
    encoding: Option<&str>,
    content_type: Option<&str>,
) -> Result<Box<RawValue>, BodyError> {
    if encoding == Some("arraybuffer") {
        return Ok(to_raw_value(&Buffer::new(body))?);
    }
    let text = text(&body, content_type);
    if encoding != Some("text")
        && let Ok(value) = serde_json::from_str(&text)
    {
        return Ok(value);
    }
    Ok(to_raw_value(&text)?)
}

/// Decodes a text by its byte order mark, which is removed, else by the charset of its content
/// type, else as UTF-8.
fn text(body: &[u8], content_type: Option<&str>) -> String {
    let charset = content_type.and_then(|text| {
        text.split(';').find_map(|part| {
            let (name, value) = part.split_once('=')?;
            name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"'))
        })
    });
    let encoding = charset.and_then(|label| Encoding::for_label(label.as_bytes())).unwrap_or(UTF_8);
    encoding.decode(body).0.into_owned()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{
        Compression,
        write::{DeflateEncoder, GzEncoder, ZlibEncoder},
    };

    use super::*;

    #[test]
    fn each_packing_is_unpacked() {
        let plain = b"snake ".repeat(1000);
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(&plain).unwrap();
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
        zlib.write_all(&plain).unwrap();
        let mut bare = DeflateEncoder::new(Vec::new(), Compression::fast());
        bare.write_all(&plain).unwrap();
        let gzip = gzip.finish().unwrap();
        let deflate = [zlib.finish().unwrap(), bare.finish().unwrap()];
        assert_eq!(unpack(&gzip, "gzip").unwrap(), plain);
        assert_eq!(unpack(&gzip, "x-gzip").unwrap(), plain);
        for packed in deflate {
            assert_eq!(unpack(&packed, "deflate").unwrap(), plain);
        }
        // An empty last block of brotli's format, after a block of five bytes (RFC 7932, 9).
        let brotli = [0x0b, 0x02, 0x80, b'h', b'e', b'l', b'l', b'o', 0x03];
        assert_eq!(unpack(&brotli, "br").unwrap(), b"hello");
    }

    #[test]
    fn broken_and_endless_bodies_are_errors() {
        for name in ["gzip", "deflate", "br"] {
            let error = unpack(b"\xff not packed", name).unwrap_err().to_string();
            assert!(error.starts_with(&format!("the body is not valid {name}: ")), "{error}");
        }
        let mut bomb = GzEncoder::new(Vec::new(), Compression::fast());
        let block = vec![0; 1 << 20];
        (0..=MAX_BODY >> 20).for_each(|_| bomb.write_all(&block).unwrap());
        let result = unpack(&bomb.finish().unwrap(), "gzip");
        assert!(matches!(result, Err(BodyError::TooLarge)));
    }

    #[test]
    fn text_is_decoded_by_mark_then_charset() {
        for (body, content_type, expected) in [
            (&b"gr\xfcezi"[..], Some("text/plain; charset=ISO-8859-1"), "grüezi"),
            (b"\x80", Some("text/csv;header=present; Charset=\"windows-1252\""), "€"),
            (b"\xef\xbb\xbf\xc3\xa4", Some("text/plain; charset=latin1"), "ä"),
            (b"\xff\xfea\0", None, "a"),
            (b"\xcf\xf0", Some("text/plain; charset=windows-1251"), "Пр"),
            (b"\xc3\xa4", Some("text/plain; charset=klingon"), "ä"),
            (b"\xff", None, "\u{fffd}"),
        ] {
            assert_eq!(text(body, content_type), expected);
        }
    }

    #[test]
    fn json_keeps_its_order_and_digits() {
        let read = |text: &str, encoding| {
            value(text.into(), encoding, Some("text/plain")).unwrap().get().to_owned()
        };
        let json = r#"{"z":18446744073709551616,"a":1.50,"m":"\ud800"}"#;
        assert_eq!(read(json, None), json);
        assert_eq!(read(&format!("\u{feff}{json}"), None), json);
        assert_eq!(read(" 12 ", None), "12");
        for text in ["", "{\"b\":1,}", "NaN", "[1] 2"] {
            assert_eq!(read(text, None), serde_json::to_string(text).unwrap());
        }
        assert_eq!(read("[1]", Some("text")), r#""[1]""#);
        assert_eq!(read("a", Some("arraybuffer")), r#"{"type":"Buffer","data":[97]}"#);
    }
}
