//! Turns the linked Python module into the image that the executable embeds, in three steps:
//!
//! 1. snapshot: start CPython once, load the guest package and the packages that join it, warm up,
//!    and write memory and globals back into the module;
//! 2. training: run tasks in a copy that counts basic blocks, and add hints for rare branches;
//! 3. compile: WebAssembly to native code for the CPU baseline, and a manifest after it.
//!
//! Clocks and randomness are fixed, so equal inputs give equal bytes.
//!
//! Usage. An image with more packages takes the hints of its base in the place of the training:
//!
//! ```text
//! serpentarium-image snapshot PYTHON.wasm GUEST_DIR PACKAGES_DIR TRAINING_DIR|HINTS SNAPSHOT.wasm
//! serpentarium-image hints SNAPSHOT.wasm HINTS
//! serpentarium-image compile SNAPSHOT.wasm MANIFEST.json PYTHON.cwasm [TARGET]
//! ```
//!
//! TARGET is a triple of `src/sandbox/target.rs`, by default this machine's.

mod blocks;
#[path = "../../../src/sandbox/codegen.rs"]
mod codegen;
mod compile;
mod counters;
mod guest;
mod hints;
mod host;
mod manifest;
mod snapshot;
#[cfg(test)]
mod tests;
mod training;

use std::{env, ffi::OsString, fs, path::Path, time::Instant};

use codegen::target::{HOST, TARGETS, Target};
use wasmtime::{Result, bail, error::Context};

const USAGE: &str = "usage: \
serpentarium-image snapshot PYTHON.wasm GUEST_DIR PACKAGES_DIR TRAINING_DIR|HINTS SNAPSHOT.wasm
       serpentarium-image hints SNAPSHOT.wasm HINTS
       serpentarium-image compile SNAPSHOT.wasm MANIFEST.json PYTHON.cwasm [TARGET]";

fn main() -> Result<()> {
    let args: Vec<OsString> = env::args_os().skip(1).collect();
    let (command, paths) = args.split_first().context(USAGE)?;
    let paths: Vec<&Path> = paths.iter().map(Path::new).collect();
    match (command.to_str(), paths.as_slice()) {
        (Some("snapshot"), [module, guest, packages, training, out]) => {
            let guest = guest::bundle(guest, packages)?;
            let started = timed("snapshot", || snapshot::take(&read(module)?, guest))?;
            if training.is_dir() {
                write(out, timed("training", || training::hints(&started, training))?)
            } else {
                write(out, hints::put(&started, &read(training)?)?)
            }
        }
        (Some("hints"), [snapshot, out]) => write(out, hints::of(&read(snapshot)?)?),
        (Some("compile"), [snapshot, manifest, out, target @ ..]) if target.len() <= 1 => {
            let target = target.first().map_or(Ok(HOST), |triple| named(triple))?;
            let (snapshot, manifest) = (read(snapshot)?, read(manifest)?);
            let code = timed("compile", || compile::native(&snapshot, target))?;
            write(out, manifest::append(code, &snapshot, &manifest, target)?)
        }
        _ => bail!("{USAGE}"),
    }
}

/// The target of this triple.
fn named(triple: &Path) -> Result<&'static Target> {
    TARGETS
        .into_iter()
        .find(|target| Path::new(target.triple) == triple)
        .with_context(|| format!("there is no target {}", triple.display()))
}

/// Runs one step, and prints its time and the size of its product.
fn timed(step: &str, make: impl FnOnce() -> Result<Vec<u8>>) -> Result<Vec<u8>> {
    let start = Instant::now();
    let made = make().with_context(|| format!("the step `{step}` failed"))?;
    let (seconds, megabytes) = (start.elapsed().as_secs_f64(), made.len() as f64 / 1e6);
    println!("{step:9} {seconds:5.1} s  {megabytes:6.1} MB");
    Ok(made)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

fn write(path: &Path, bytes: Vec<u8>) -> Result<()> {
    fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}
