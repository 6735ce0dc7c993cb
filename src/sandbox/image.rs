//! Image files: the native code of a Python image, and the manifest after it (wasm/ABI.md).

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::codegen::target::HOST;
use crate::platform::owner;

/// Last bytes of an image file.
const MAGIC: &[u8; 8] = b"SERPIMG1";

/// Bytes after the manifest: its length, and [`MAGIC`].
const FOOTER: usize = 4 + MAGIC.len();

/// Bytes of a manifest, at most. One of 200 packages has 30 kB.
const MAX_MANIFEST: usize = 4 << 20;

/// What an image says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ImageInfo {
    /// The name, such as `base`.
    pub name: String,
    /// The image that packages were added to. `None`: this is no such image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// The version: 16 hexadecimal digits. It changes with anything that tasks see in the image, and
    /// with it the fuel that code consumes.
    pub version: String,
    /// The release of Serpentarium that made the image. No other release runs it.
    pub release: String,
    /// The version of CPython.
    pub python: String,
    /// The target triple of the native code.
    pub target: String,
    /// The code generator: `patched` or `stock`.
    pub codegen: String,
    /// The SHA-256 of the native code, 64 hexadecimal digits.
    pub sha256: String,
    /// The packages beside the standard library.
    pub packages: Vec<ImagePackage>,
}

/// A Python package in an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ImagePackage {
    /// The name of the distribution.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The SHA-256 of its wheel, 64 hexadecimal digits.
    pub sha256: String,
    /// The licence that it states, such as `MIT`; `unknown` if it states none.
    #[serde(default)]
    pub license: String,
}

/// An image file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// The file cannot be read.
    #[error("cannot read the image {}: {error}", path.display())]
    #[non_exhaustive]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason.
        error: io::Error,
    },
    /// Another user could have changed the file. Native code is as trusted as an executable.
    #[error(
        "the image {} is not trusted: {reason}. Its owner must be root or you, and nobody else may write to it \
         (chmod go-w)",
        path.display()
    )]
    #[non_exhaustive]
    Trust {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// The file is no image, or its end is missing.
    #[error("{} is not an image of Serpentarium, or it is truncated", path.display())]
    #[non_exhaustive]
    Form {
        /// The file.
        path: PathBuf,
    },
    /// The image was made by another release.
    #[error(
        "the image {} was built for release {theirs}, and this is {}: build it again",
        path.display(), env!("CARGO_PKG_VERSION")
    )]
    #[non_exhaustive]
    Release {
        /// The file.
        path: PathBuf,
        /// The release that made it.
        theirs: String,
    },
    /// The image was made for another kind of machine.
    #[error(
        "the image {} holds code for {theirs}, and this machine runs {}: build it here",
        path.display(), HOST.triple
    )]
    #[non_exhaustive]
    Target {
        /// The file.
        path: PathBuf,
        /// Its target triple.
        theirs: String,
    },
}

/// An open image file that passed all checks but those of wasmtime.
#[derive(Debug)]
pub(crate) struct ImageFile {
    pub(crate) info: ImageInfo,
    pub(crate) file: File,
}

impl ImageFile {
    /// Opens an image file for [`super::Sandbox`].
    ///
    /// # Errors
    /// See [`ImageError`].
    pub(crate) fn open(path: &Path) -> Result<Self, ImageError> {
        let read = |error| ImageError::Read { path: path.into(), error };
        let mut file = File::open(path).map_err(read)?;
        // The open file, not the path: nobody can exchange it after the check.
        trust(&file.metadata().map_err(read)?, path)?;
        let info = read_manifest(&mut file)
            .map_err(read)?
            .ok_or_else(|| ImageError::Form { path: path.into() })?;
        if info.release != env!("CARGO_PKG_VERSION") {
            return Err(ImageError::Release { path: path.into(), theirs: info.release });
        }
        if info.target != HOST.triple {
            return Err(ImageError::Target { path: path.into(), theirs: info.target });
        }
        Ok(Self { info, file })
    }
}

/// Reads what an image file says of itself.
///
/// # Errors
/// See [`ImageError`].
#[cfg(feature = "cli")]
pub(crate) fn image_info(path: &Path) -> Result<ImageInfo, ImageError> {
    Ok(ImageFile::open(path)?.info)
}

/// Checks that nobody but root and the user of this process can write to a file. Who can write to
/// its directory cannot put a file of that owner there.
fn trust(metadata: &std::fs::Metadata, path: &Path) -> Result<(), ImageError> {
    owner::check(metadata).map_err(|reason| ImageError::Trust { path: path.into(), reason })
}

/// Reads the manifest at the end of a file; `None` if the file has none.
fn read_manifest(file: &mut File) -> io::Result<Option<ImageInfo>> {
    let len = file.seek(SeekFrom::End(0))?;
    let mut footer = [0; FOOTER];
    let Some(at) = len.checked_sub(FOOTER as u64) else { return Ok(None) };
    file.seek(SeekFrom::Start(at))?;
    file.read_exact(&mut footer)?;
    let Some(manifest_len) = manifest_len(&footer) else { return Ok(None) };
    let Some(start) = at.checked_sub(manifest_len as u64) else { return Ok(None) };
    let mut manifest = vec![0; manifest_len];
    file.seek(SeekFrom::Start(start))?;
    file.read_exact(&mut manifest)?;
    Ok(serde_json::from_slice(&manifest).ok())
}

/// Splits the bytes of an image into its native code and its manifest.
pub(crate) fn split(image: &[u8]) -> Option<(&[u8], ImageInfo)> {
    let (rest, footer) = image.split_last_chunk::<FOOTER>()?;
    let (code, manifest) = rest.split_at(rest.len().checked_sub(manifest_len(footer)?)?);
    Some((code, serde_json::from_slice(manifest).ok()?))
}

/// Reads the length of the manifest from the footer.
fn manifest_len(footer: &[u8; FOOTER]) -> Option<usize> {
    let (len, magic) = footer.split_first_chunk::<4>()?;
    let len = u32::from_le_bytes(*len) as usize;
    (magic == MAGIC && len <= MAX_MANIFEST).then_some(len)
}
