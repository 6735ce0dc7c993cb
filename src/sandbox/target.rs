//! The targets that an image is compiled for. An image runs on every target of the same
//! architecture and operating system: code for `gnu` runs with `musl`.
//!
//! `build.rs`, `wasm/compiler` and this crate include this file, and `wasm/recipe/targets.py` reads
//! the triples.

#![allow(dead_code, reason = "each program that includes this file uses a part of it")]

/// A kind of machine that runs an image.
#[derive(Debug)]
pub(crate) struct Target {
    /// The target triple, in the manifest of an image.
    pub(crate) triple: &'static str,
    /// The architecture, as Rust names it.
    pub(crate) arch: &'static str,
    /// The operating system, as Rust names it.
    pub(crate) os: &'static str,
    /// The name of the CPU level, for error texts.
    pub(crate) level: &'static str,
    /// The CPU features that the level has beyond those of every CPU of the architecture.
    pub(crate) features: &'static [&'static str],
}

/// [x86-64-v2](https://gitlab.com/x86-psABIs/x86-64-ABI), in CPUs since about 2011.
const X86_64_V2: &[&str] = &["sse3", "ssse3", "sse4.1", "sse4.2", "popcnt"];

const LINUX_X86_64: Target = Target {
    triple: "x86_64-unknown-linux-gnu",
    arch: "x86_64",
    os: "linux",
    level: "x86-64-v2",
    features: X86_64_V2,
};

const LINUX_AARCH64: Target = Target {
    triple: "aarch64-unknown-linux-gnu",
    arch: "aarch64",
    os: "linux",
    level: "armv8-a",
    features: &[],
};

const WINDOWS_X86_64: Target = Target {
    triple: "x86_64-pc-windows-gnu",
    arch: "x86_64",
    os: "windows",
    level: "x86-64-v2",
    features: X86_64_V2,
};

const MACOS_AARCH64: Target = Target {
    triple: "aarch64-apple-darwin",
    arch: "aarch64",
    os: "macos",
    level: "armv8-a",
    features: &[],
};

const MACOS_X86_64: Target = Target {
    triple: "x86_64-apple-darwin",
    arch: "x86_64",
    os: "macos",
    level: "x86-64-v2",
    features: X86_64_V2,
};

/// All targets.
pub(crate) const TARGETS: [&Target; 5] =
    [&LINUX_X86_64, &LINUX_AARCH64, &WINDOWS_X86_64, &MACOS_AARCH64, &MACOS_X86_64];

/// The target of the program that includes this file.
pub(crate) const HOST: &Target = if cfg!(all(target_arch = "x86_64", target_os = "linux")) {
    &LINUX_X86_64
} else if cfg!(all(target_arch = "aarch64", target_os = "linux")) {
    &LINUX_AARCH64
} else if cfg!(all(target_arch = "x86_64", target_os = "windows")) {
    &WINDOWS_X86_64
} else if cfg!(all(target_arch = "aarch64", target_os = "macos")) {
    &MACOS_AARCH64
} else if cfg!(all(target_arch = "x86_64", target_os = "macos")) {
    &MACOS_X86_64
} else {
    panic!("no image is made for this target")
};
