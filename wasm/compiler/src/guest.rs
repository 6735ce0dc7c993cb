//! The guest package as the bytes that `wizer-initialize` reads from standard input.

use std::{fs, path::Path};

use wasmtime::{Result, ensure, error::Context};

/// The name under which Python code finds the guest package.
const PACKAGE: &str = "_serpentarium";

/// Every module directly in `dir`, as records of
/// `u32 name length, name, u8 is-package, u32 source length, source` (little endian), sorted by name.
pub fn bundle(dir: &Path) -> Result<Vec<u8>> {
    let mut modules = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "py") {
            let stem = path.file_stem().and_then(|stem| stem.to_str()).context("a file name is not UTF-8")?;
            let source = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            modules.push((stem.to_owned(), source));
        }
    }
    ensure!(modules.iter().any(|(stem, _)| stem == "__init__"), "{} holds no __init__.py", dir.display());
    modules.sort();

    let mut bundle = Vec::new();
    for (stem, source) in modules {
        let is_package = stem == "__init__";
        let name = if is_package { PACKAGE.to_owned() } else { format!("{PACKAGE}.{stem}") };
        bundle.extend(u32::try_from(name.len())?.to_le_bytes());
        bundle.extend(name.as_bytes());
        bundle.push(u8::from(is_package));
        bundle.extend(u32::try_from(source.len())?.to_le_bytes());
        bundle.extend(source);
    }
    Ok(bundle)
}
