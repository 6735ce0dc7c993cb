//! Encodes the guest package and the packages that join it for the export `wizer-initialize`
//! (wasm/ABI.md), which reads them from standard input.

use std::{
    fs,
    path::{Path, PathBuf},
};

use wasmtime::{Result, error::Context};

/// Import name of the guest package.
const PACKAGE: &str = "_serpentarium";

/// Directory of packages in the guest's file system, where Python expects it.
const SITE: &str = "/usr/lib/python3.13/site-packages";

/// Files of `NAME.dist-info` that tell of the machine that built or installed the package.
const OF_THE_MACHINE: [&str; 5] = ["RECORD", "INSTALLER", "REQUESTED", "WHEEL", "direct_url.json"];

/// Directories that nothing needs to run: caches, and tests of packages, which are up to half of one.
const LEFT_OUT: [&str; 2] = ["__pycache__", "tests"];

/// What a record holds.
#[derive(Clone, Copy)]
enum Kind {
    Module = 0,
    Package = 1,
    File = 2,
}

/// Encodes the package in `guest` and every file in the directory `packages`, as records of
/// `u32 name length, name, u8 kind, u32 content length, content` (little endian).
pub fn bundle(guest: &Path, packages: &Path) -> Result<Vec<u8>> {
    let mut bundle = Vec::new();
    add_own(&mut bundle, PACKAGE, guest)?;
    for path in entries(packages)? {
        // Scripts that name the Python of the machine.
        if path.file_name().is_none_or(|name| name != "bin") {
            add_files(&mut bundle, SITE, &path)?;
        }
    }
    Ok(bundle)
}

/// Adds the package `name` in `dir` as frozen modules.
fn add_own(bundle: &mut Vec<u8>, name: &str, dir: &Path) -> Result<()> {
    add_record(bundle, name, Kind::Package, &read(&dir.join("__init__.py"))?)?;
    for path in entries(dir)? {
        let Some(stem) = path.file_stem().and_then(|stem| stem.to_str()) else { continue };
        let name = format!("{name}.{stem}");
        if path.join("__init__.py").is_file() {
            add_own(bundle, &name, &path)?;
        } else if path.extension().is_some_and(|end| end == "py") && stem != "__init__" {
            add_record(bundle, &name, Kind::Module, &read(&path)?)?;
        }
    }
    Ok(())
}

/// Adds a file, or all files in a directory, below the guest's directory `parent`.
fn add_files(bundle: &mut Vec<u8>, parent: &str, path: &Path) -> Result<()> {
    // The guest's file system has names of UTF-8.
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return Ok(()) };
    let place = format!("{parent}/{name}");
    let is_info = parent.ends_with(".dist-info");
    if is_info && OF_THE_MACHINE.contains(&name) || path.is_dir() && LEFT_OUT.contains(&name) {
        return Ok(());
    }
    if !path.is_dir() {
        return add_record(bundle, &place, Kind::File, &read(path)?);
    }
    for path in entries(path)? {
        add_files(bundle, &place, &path)?;
    }
    Ok(())
}

fn add_record(bundle: &mut Vec<u8>, name: &str, kind: Kind, content: &[u8]) -> Result<()> {
    bundle.extend(u32::try_from(name.len())?.to_le_bytes());
    bundle.extend(name.as_bytes());
    bundle.push(kind as u8);
    bundle.extend(u32::try_from(content.len())?.to_le_bytes());
    bundle.extend(content);
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
