//! The engine's settings: those of the image (wasm/compiler/src/compile.rs).

use wasmtime::{Engine, OptLevel, Result};

use crate::codegen::{self, target::HOST};

/// Makes an engine that compiles for the image's CPU level, not for this machine's CPU.
pub fn engine() -> Result<Engine> {
    let mut config = codegen::config(HOST);
    config.cranelift_opt_level(OptLevel::Speed).wasm_branch_hinting(true).target(HOST.triple)?;
    for feature in HOST.features {
        let flag = format!("has_{}", feature.replace('.', ""));
        // SAFETY: each flag promises a CPU feature that every runner has, and so this machine.
        unsafe { config.cranelift_flag_enable(&flag) };
    }
    Engine::new(&config)
}
