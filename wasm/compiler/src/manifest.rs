//! Completes the manifest of an image, and appends it to the native code (wasm/ABI.md).

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use wasmtime::{Result, error::Context};

use crate::codegen::target::Target;

/// Last bytes of an image file.
const MAGIC: &[u8; 8] = b"SERPIMG1";

/// Bytes of the snapshot's hash that name an image.
const VERSION_BYTES: usize = 8;

/// Appends the manifest to `code`, the native code of `snapshot` for `target`. `manifest` is a JSON
/// object with what this tool does not know: names and versions.
///
/// # Errors
/// `manifest` is not a JSON object.
pub fn append(
    mut code: Vec<u8>,
    snapshot: &[u8],
    manifest: &[u8],
    target: &Target,
) -> Result<Vec<u8>> {
    let mut manifest: Map<String, Value> =
        serde_json::from_slice(manifest).context("the manifest is not a JSON object")?;
    // The snapshot, not the code: the same tasks consume the same fuel on every target.
    manifest.insert("version".into(), hex(&Sha256::digest(snapshot)[..VERSION_BYTES]).into());
    manifest.insert("sha256".into(), hex(&Sha256::digest(&code)).into());
    manifest.insert("target".into(), target.triple.into());
    let text = serde_json::to_vec(&manifest)?;
    code.extend(&text);
    code.extend(u32::try_from(text.len())?.to_le_bytes());
    code.extend(MAGIC);
    Ok(code)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
