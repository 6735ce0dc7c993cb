//! Compiles guest.wat with the settings of the Python image.

use std::{env, fs, path::Path};

#[path = "../src/sandbox/codegen.rs"]
mod codegen;

use codegen::target::HOST;

fn main() {
    println!("cargo:rerun-if-changed=guest.wat");
    println!("cargo:rerun-if-changed=../src/sandbox/codegen.rs");
    println!("cargo:rerun-if-changed=../src/sandbox/target.rs");
    let mut config = codegen::config(HOST);
    config.target(HOST.triple).unwrap();
    for feature in HOST.features {
        // SAFETY: the features are names of Cranelift's settings, and `Sandbox` checks the CPU.
        unsafe { config.cranelift_flag_enable(&format!("has_{}", feature.replace('.', ""))) };
    }
    let engine = wasmtime::Engine::new(&config).unwrap();
    let code = engine.precompile_module(&fs::read("guest.wat").unwrap()).unwrap();
    let out = env::var_os("OUT_DIR").unwrap();
    fs::write(Path::new(&out).join("guest.cwasm"), code).unwrap();
}
