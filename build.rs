//! Builds the Python image unless it is current, and copies it to `OUT_DIR`, where `include_bytes!`
//! reads it.
//!
//! | variable | effect |
//! |---|---|
//! | `SERPENTARIUM_BUILD_IMAGE=FILE` | embeds an existing image, and the `NOTICES.txt` beside it |
//! | `SERPENTARIUM_BUILD_PYTHON=--fast` | omits link-time optimisation |
//! | `SERPENTARIUM_CODEGEN=stock` | omits the patches in `wasm/compiler/patches` |

use std::{env, fs, path::PathBuf, process::Command};

/// The inputs of the image.
const INPUTS: &[&str] = &["wasm", "scripts/build-python", "src/sandbox/codegen.rs"];

fn main() {
    println!("cargo:rerun-if-env-changed=SERPENTARIUM_BUILD_IMAGE");
    println!("cargo:rerun-if-env-changed=SERPENTARIUM_BUILD_PYTHON");
    println!("cargo:rerun-if-env-changed=SERPENTARIUM_CODEGEN");
    let image = match env::var_os("SERPENTARIUM_BUILD_IMAGE") {
        Some(file) => PathBuf::from(file),
        None => built(),
    };
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    match fs::read(&image) {
        Ok(bytes) => match version(&bytes) {
            Some(version) => println!("cargo:rustc-env=SERPENTARIUM_IMAGE_VERSION={version}"),
            None => fail(&format!("{} has no manifest: build it again", image.display())),
        },
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

/// Reads the version in the manifest at the end of the image (wasm/ABI.md). `wasm/compiler` writes
/// the manifest without spaces, and its keys in order of the alphabet: `version` is the last.
fn version(image: &[u8]) -> Option<&str> {
    let (rest, _magic) = image.split_last_chunk::<8>()?;
    let (rest, len) = rest.split_last_chunk::<4>()?;
    let manifest = rest.len().checked_sub(u32::from_le_bytes(*len) as usize)?;
    let (_, version) =
        std::str::from_utf8(&rest[manifest..]).ok()?.rsplit_once(r#""version":""#)?;
    version.split('"').next()
}

fn fail(reason: &str) -> ! {
    println!("cargo:error={reason}");
    std::process::exit(1);
}
