//! Builds the Python image unless it is current, and copies it to `OUT_DIR`, where `include_bytes!`
//! reads it.
//!
//! | variable | effect |
//! |---|---|
//! | `SERPENTARIUM_BUILD_IMAGE=FILE` | embeds an existing image for the target, and the `NOTICES.txt` beside it |
//! | `SERPENTARIUM_BUILD_PYTHON=--fast` | omits link-time optimisation |
//! | `SERPENTARIUM_CODEGEN=stock` | omits the patches in `wasm/compiler/patches` |

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

#[path = "src/sandbox/target.rs"]
mod target;

use target::{HOST, TARGETS, Target};

/// The inputs of the image.
const INPUTS: &[&str] =
    &["wasm", "scripts/build-python", "src/sandbox/codegen.rs", "src/sandbox/target.rs"];

fn main() {
    println!("cargo:rerun-if-env-changed=SERPENTARIUM_BUILD_IMAGE");
    println!("cargo:rerun-if-env-changed=SERPENTARIUM_BUILD_PYTHON");
    println!("cargo:rerun-if-env-changed=SERPENTARIUM_CODEGEN");
    let target = requested_target();
    let image = match env::var_os("SERPENTARIUM_BUILD_IMAGE") {
        Some(file) => PathBuf::from(file),
        None => built(target),
    };
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    match fs::read(&image) {
        Ok(bytes) => check(&bytes, &image, target),
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

/// The target that cargo builds for.
fn requested_target() -> &'static Target {
    let of_cargo = |name| env::var(name).unwrap_or_default();
    let (arch, os) = (of_cargo("CARGO_CFG_TARGET_ARCH"), of_cargo("CARGO_CFG_TARGET_OS"));
    let found = TARGETS.into_iter().find(|target| target.arch == arch && target.os == os);
    found.unwrap_or_else(|| fail(&format!("no image is made for {arch} with {os}")))
}

/// Runs `scripts/build-python`, which builds the image unless it is current, and returns its path.
fn built(target: &Target) -> PathBuf {
    for input in INPUTS {
        println!("cargo:rerun-if-changed={input}");
    }
    let flags = env::var("SERPENTARIUM_BUILD_PYTHON").unwrap_or_default();
    let status = Command::new("python3")
        .args(["scripts/build-python", "--target", target.triple])
        .args(flags.split_whitespace())
        .status();
    match status {
        Ok(status) if status.success() => product(target),
        Ok(_) => fail("the build of the Python image failed; run scripts/build-python to see why"),
        Err(error) => fail(&format!("cannot run python3 to build the Python image: {error}")),
    }
}

/// The place of an image, as `place` in wasm/recipe/targets.py.
fn product(target: &Target) -> PathBuf {
    let mut directory = PathBuf::from("wasm/build");
    if target.triple != HOST.triple {
        directory.push(target.triple);
    }
    if env::var("SERPENTARIUM_CODEGEN").is_ok_and(|codegen| codegen == "stock") {
        directory.push("stock");
    }
    directory.join("python.cwasm")
}

/// Refuses an image for another target, and gives the crate the version of the image.
fn check(bytes: &[u8], image: &Path, target: &Target) {
    let said = |key| said(bytes, key);
    let (Some(theirs), Some(version)) = (said("target"), said("version")) else {
        fail(&format!("{} has no manifest: build it again", image.display()))
    };
    if theirs != target.triple {
        fail(&format!(
            "{} has code for {theirs}, and this build is for {}: make one with scripts/build-python --target {}",
            image.display(),
            target.triple,
            target.triple
        ));
    }
    println!("cargo:rustc-env=SERPENTARIUM_IMAGE_VERSION={version}");
}

/// Reads a text in the manifest at the end of the image (wasm/ABI.md). `wasm/compiler` writes the
/// manifest without spaces, and its keys in order of the alphabet: those of packages come before.
fn said<'a>(image: &'a [u8], key: &str) -> Option<&'a str> {
    let (rest, _magic) = image.split_last_chunk::<8>()?;
    let (rest, len) = rest.split_last_chunk::<4>()?;
    let manifest = rest.len().checked_sub(u32::from_le_bytes(*len) as usize)?;
    let manifest = std::str::from_utf8(&rest[manifest..]).ok()?;
    let (_, text) = manifest.rsplit_once(&format!(r#""{key}":""#))?;
    text.split('"').next()
}

fn fail(reason: &str) -> ! {
    println!("cargo:error={reason}");
    std::process::exit(1);
}
