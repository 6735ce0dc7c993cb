//! Encodes the guest package and the packages that join it for the export `wizer-initialize`
//! (wasm/ABI.md), which reads them from standard input.

use std::{
    fs,
    path::{Path, PathBuf},
};

use wasmtime::{Result, error::Context};

/// Import name of the guest package.
const PACKAGE: &str = "_serpentarium";

/// Encodes the package in `guest` and every package in the directory `packages`, as records of
/// `u32 name length, name, u8 is-package, u32 source length, source` (little endian).
pub fn bundle(guest: &Path, packages: &Path) -> Result<Vec<u8>> {
    let mut bundle = Vec::new();
    add_package(&mut bundle, PACKAGE, guest)?;
    add_modules(&mut bundle, "", packages)?;
    Ok(bundle)
}

/// Adds the package `name` in `dir`. A directory without `__init__.py` is a namespace package
/// (PEP 420), and becomes an empty package.
fn add_package(bundle: &mut Vec<u8>, name: &str, dir: &Path) -> Result<()> {
    let source = dir.join("__init__.py");
    let source = if source.is_file() { read(&source)? } else { Vec::new() };
    add_record(bundle, name, true, &source)?;
    add_modules(bundle, &format!("{name}."), dir)
}

/// Adds the modules and packages in `dir`, whose names begin with `prefix`. Skips what cannot be
/// imported, such as `NAME.dist-info`.
fn add_modules(bundle: &mut Vec<u8>, prefix: &str, dir: &Path) -> Result<()> {
    for path in entries(dir)? {
        let Some(stem) = path.file_stem().and_then(|stem| stem.to_str()) else { continue };
        let name = format!("{prefix}{stem}");
        if path.is_dir() && path.extension().is_none() && has_modules(&path)? {
            add_package(bundle, &name, &path)?;
        } else if path.extension().is_some_and(|extension| extension == "py") && stem != "__init__"
        {
            add_record(bundle, &name, false, &read(&path)?)?;
        }
    }
    Ok(())
}

/// Returns whether a directory has a module at any depth.
fn has_modules(dir: &Path) -> Result<bool> {
    for path in entries(dir)? {
        if path.extension().is_some_and(|extension| extension == "py")
            || path.is_dir() && has_modules(&path)?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

fn add_record(bundle: &mut Vec<u8>, name: &str, is_package: bool, source: &[u8]) -> Result<()> {
    bundle.extend(u32::try_from(name.len())?.to_le_bytes());
    bundle.extend(name.as_bytes());
    bundle.push(u8::from(is_package));
    bundle.extend(u32::try_from(source.len())?.to_le_bytes());
    bundle.extend(source);
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// The paths in a directory, sorted by name so that the image does not depend on their order.
fn entries(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}
