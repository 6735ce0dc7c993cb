//! Encodes the guest package and the packages that join it for the export `wizer-initialize`
//! (wasm/ABI.md), which reads them from standard input.

use std::{
    fs,
    path::{Path, PathBuf},
};

use wasmtime::{Result, ensure, error::Context};

/// Import name of the guest package.
const PACKAGE: &str = "_serpentarium";

/// Encodes the package in `guest` and every package in the directory `packages`, as records of
/// `u32 name length, name, u8 is-package, u32 source length, source` (little endian).
pub fn bundle(guest: &Path, packages: &Path) -> Result<Vec<u8>> {
    let mut bundle = Vec::new();
    add_package(&mut bundle, PACKAGE, guest)?;
    for package in entries(packages)? {
        let name = package
            .file_name()
            .and_then(|name| name.to_str())
            .context("a package name is not UTF-8")?;
        add_package(&mut bundle, name, &package)?;
    }
    Ok(bundle)
}

/// Adds every module in `dir`, and its subpackages, as part of the package `name`.
fn add_package(bundle: &mut Vec<u8>, name: &str, dir: &Path) -> Result<()> {
    ensure!(dir.join("__init__.py").is_file(), "{} holds no __init__.py", dir.display());
    for path in entries(dir)? {
        if path.join("__init__.py").is_file() {
            let part = path
                .file_name()
                .and_then(|name| name.to_str())
                .context("a package name is not UTF-8")?;
            add_package(bundle, &format!("{name}.{part}"), &path)?;
        } else if path.extension().is_some_and(|extension| extension == "py") {
            let stem = path
                .file_stem()
                .and_then(|stem| stem.to_str())
                .context("a file name is not UTF-8")?;
            let source =
                fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let is_package = stem == "__init__";
            let name = if is_package { name.to_owned() } else { format!("{name}.{stem}") };
            bundle.extend(u32::try_from(name.len())?.to_le_bytes());
            bundle.extend(name.as_bytes());
            bundle.push(u8::from(is_package));
            bundle.extend(u32::try_from(source.len())?.to_le_bytes());
            bundle.extend(source);
        }
    }
    Ok(())
}

/// The paths in a directory, sorted by name so that the image does not depend on their order.
fn entries(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}
