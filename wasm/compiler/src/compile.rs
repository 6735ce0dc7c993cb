//! Compiles WebAssembly to native code ahead of time.

use wasmparser::{Parser, Payload, TypeRef};
use wasmtime::{Engine, OptLevel, Result, bail, ensure};

use crate::codegen::{self, target::Target};

/// Symbol of the call for fuel that preserves all registers. Only the patched code generator
/// (`patches/`) emits it. Its patches compile only together, so one symbol proves all of them.
const PATCHED: &[u8] = b"wasmtime_patchable_builtin_out_of_gas";

/// Compiles a module for the target's CPU level, not for the CPU that runs this tool.
///
/// # Errors
/// The module imports anything but functions, or the code generator is not the requested one.
pub fn native(module: &[u8], target: &Target) -> Result<Vec<u8>> {
    check_imports(module)?;
    let mut config = codegen::config(target);
    config.cranelift_opt_level(OptLevel::Speed).wasm_branch_hinting(true).target(target.triple)?;
    // wasmtime-wasi enables it by default. The runtime is built without it, and refuses code whose
    // configuration differs.
    config.wasm_component_model(false);
    for feature in target.features {
        let flag = format!("has_{}", feature.replace('.', ""));
        // SAFETY: each flag promises a CPU feature. The runtime checks all of them before it loads
        // the code (`check_cpu` in src/sandbox/engine.rs).
        unsafe { config.cranelift_flag_enable(&flag) };
    }
    let code = Engine::new(&config)?.precompile_module(module)?;
    // Cargo only warns about a `[patch]` that it does not use.
    let is_patched = code.windows(PATCHED.len()).any(|name| name == PATCHED);
    ensure!(
        is_patched != cfg!(feature = "stock"),
        "the code generator is {}, not the requested one: build with scripts/build-python",
        if is_patched { "patched" } else { "stock" }
    );
    Ok(code)
}

/// Refuses a module that imports anything but functions.
///
/// Patched code keeps the base of the module's own memory in a register
/// (`patches/wasmtime-internal-cranelift/0004-base-of-memory-in-a-register.patch`). An imported
/// memory would be accessed at the wrong base.
fn check_imports(module: &[u8]) -> Result<()> {
    for payload in Parser::new(0).parse_all(module) {
        if let Payload::ImportSection(imports) = payload? {
            for import in imports.into_imports() {
                let import = import?;
                if !matches!(import.ty, TypeRef::Func(_)) {
                    bail!(
                        "the module imports {}.{}, but only functions are allowed",
                        import.module,
                        import.name
                    );
                }
            }
        }
    }
    Ok(())
}
