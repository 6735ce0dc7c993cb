//! Turns the linked Python module into the image that the binary carries, in three steps:
//!
//! 1. snapshot: start CPython once, load the guest package and the packages beside it, warm it up, and write the whole memory
//!    back into the module;
//! 2. training: run tasks in a copy that counts where they come through, and note which branches they hardly ever take;
//! 3. compile: WebAssembly to native code for the named CPU baseline.
//!
//! Clocks and randomness are fixed, so the same inputs give the same bytes.
//!
//! Usage: `serpentarium-image PYTHON.wasm GUEST_DIR PACKAGES_DIR TRAINING_DIR OUT.cwasm`

#[path = "../../../src/sandbox/codegen.rs"]
mod codegen;
mod compile;
mod counters;
mod guest;
mod hints;
mod host;
mod runs;
mod snapshot;
#[cfg(test)]
mod tests;
mod training;

use std::{env, fs, path::PathBuf, time::Instant};

use wasmtime::{Result, bail, error::Context};

fn main() -> Result<()> {
    let args: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).collect();
    let [module, guest, packages, training, out] = args.as_slice() else {
        bail!("usage: serpentarium-image PYTHON.wasm GUEST_DIR PACKAGES_DIR TRAINING_DIR OUT.cwasm");
    };
    let module = fs::read(module).with_context(|| format!("cannot read {}", module.display()))?;
    let guest = guest::bundle(guest, packages)?;

    let start = Instant::now();
    let snapshot = snapshot::take(&module, guest).context("the snapshot failed")?;
    println!("snapshot  {:5.1} s  {:6.1} MB", start.elapsed().as_secs_f64(), snapshot.len() as f64 / 1e6);

    let start = Instant::now();
    let hinted = training::hints(&snapshot, training).context("the training failed")?;
    println!("training  {:5.1} s", start.elapsed().as_secs_f64());

    let start = Instant::now();
    let code = compile::native(&hinted).context("the compilation failed")?;
    println!("compile   {:5.1} s  {:6.1} MB", start.elapsed().as_secs_f64(), code.len() as f64 / 1e6);

    fs::write(out, code).with_context(|| format!("cannot write {}", out.display()))
}
