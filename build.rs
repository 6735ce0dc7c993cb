//! Builds the Python image unless it is current, and copies it to `OUT_DIR`, where `include_bytes!`
//! reads it.
//!
//! | variable | effect |
//! |---|---|
//! | `SERPENTARIUM_IMAGE=FILE` | embeds an existing image, and the `NOTICES.txt` beside it |
//! | `SERPENTARIUM_BUILD_PYTHON=--fast` | omits link-time optimisation |
//! | `SERPENTARIUM_CODEGEN=stock` | omits the patches in `wasm/compiler/patches` |

use std::{env, fs, path::PathBuf, process::Command};

/// The inputs of the image.
const INPUTS: &[&str] = &["wasm", "scripts/build-python", "src/sandbox/codegen.rs"];

fn main() {
    println!("cargo:rerun-if-env-changed=SERPENTARIUM_IMAGE");
    println!("cargo:rerun-if-env-changed=SERPENTARIUM_BUILD_PYTHON");
    println!("cargo:rerun-if-env-changed=SERPENTARIUM_CODEGEN");
    let image = match env::var_os("SERPENTARIUM_IMAGE") {
        Some(file) => PathBuf::from(file),
        None => built(),
    };
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    match fs::read(&image) {
        Ok(bytes) => {
            println!("cargo:rustc-env=SERPENTARIUM_IMAGE_VERSION={:016x}", version(&bytes))
        }
        Err(error) => fail(&format!("cannot read {}: {error}", image.display())),
    }
    for (from, to) in
        [(image.clone(), "python.cwasm"), (image.with_file_name("NOTICES.txt"), "NOTICES.txt")]
    {
        println!("cargo:rerun-if-changed={}", from.display());
        if let Err(error) = fs::copy(&from, out.join(to)) {
            fail(&format!("cannot copy {} to {}: {error}", from.display(), out.display()));
        }
    }
}

/// Runs `scripts/build-python`, which builds the image unless it is current, and returns its path.
fn built() -> PathBuf {
    for input in INPUTS {
        println!("cargo:rerun-if-changed={input}");
    }
    let flags = env::var("SERPENTARIUM_BUILD_PYTHON").unwrap_or_default();
    let status =
        Command::new("python3").arg("scripts/build-python").args(flags.split_whitespace()).status();
    match status {
        Ok(status) if status.success() => PathBuf::from(match env::var("SERPENTARIUM_CODEGEN") {
            Ok(codegen) if codegen == "stock" => "wasm/build/stock/python.cwasm",
            _ => "wasm/build/python.cwasm",
        }),
        Ok(_) => fail("the build of the Python image failed; run scripts/build-python to see why"),
        Err(error) => fail(&format!("cannot run python3 to build the Python image: {error}")),
    }
}

/// A hash that identifies the image in reports. It guards nothing, so it need not resist forgery. A
/// cryptographic hash of 44 MB would take seconds in an unoptimised build script.
fn version(image: &[u8]) -> u64 {
    image.chunks(8).fold(image.len() as u64, |hash, chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        (hash.rotate_left(5) ^ u64::from_le_bytes(word)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    })
}

fn fail(reason: &str) -> ! {
    println!("cargo:error={reason}");
    std::process::exit(1);
}
