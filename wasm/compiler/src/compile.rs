//! WebAssembly to native code, ahead of time.

use wasmparser::{Parser, Payload, TypeRef};
use wasmtime::{Engine, OptLevel, Result, bail, ensure};

use crate::codegen;

/// The triple of the machine that this tool was built for; the image runs on the same kind.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
const TARGET: &str = "x86_64-unknown-linux-gnu";
#[cfg(all(target_arch = "aarch64", target_os = "linux"))]
const TARGET: &str = "aarch64-unknown-linux-gnu";

/// What only the patched code generator (`patches/`) makes: the call for fuel that preserves all registers. The other patches of
/// that crate come with it, and do not compile without those of the other crates.
const PATCHED: &[u8] = b"wasmtime_patchable_builtin_out_of_gas";

/// Compiles for the named baseline, not for the CPU that this happens to run on.
pub fn native(module: &[u8]) -> Result<Vec<u8>> {
    stands_alone(module)?;
    let mut config = codegen::config();
    config.cranelift_opt_level(OptLevel::Speed).wasm_branch_hinting(true).target(TARGET)?;
    // On by default where wasmtime-wasi is linked; the running side is built without it.
    config.wasm_component_model(false);
    for feature in codegen::BASELINE {
        let flag = format!("has_{}", feature.replace('.', ""));
        // SAFETY: the flag promises a CPU feature; the running side checks for each of them before it loads the code.
        unsafe { config.cranelift_flag_enable(&flag) };
    }
    let code = Engine::new(&config)?.precompile_module(module)?;
    // A patch that cargo did not use is no error to cargo.
    let is_patched = code.windows(PATCHED.len()).any(|name| name == PATCHED);
    ensure!(is_patched, "the code generator is not the patched one: build this tool with scripts/build-python");
    Ok(code)
}

/// Refuses a module that shares anything with another one: the base of its own memory is in a register for all of its code
/// (`patches/wasmtime-internal-cranelift/0004-base-of-memory-in-a-register.patch`).
fn stands_alone(module: &[u8]) -> Result<()> {
    for payload in Parser::new(0).parse_all(module) {
        if let Payload::ImportSection(imports) = payload? {
            for import in imports.into_imports() {
                let import = import?;
                if !matches!(import.ty, TypeRef::Func(_)) {
                    bail!("the module may import functions of the host only, not {}.{}", import.module, import.name);
                }
            }
        }
    }
    Ok(())
}
