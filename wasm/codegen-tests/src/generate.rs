//! Generates modules with wasm-smith.

use std::sync::LazyLock;

use arbitrary::{Arbitrary, Unstructured};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};
use wasm_smith::{Config, Module};

/// Bytes of randomness of one module.
const ENTROPY: usize = 8192;

/// Rounds of loops and calls after which a module of [`Mode::Ending`] stops itself.
const ROUNDS: u32 = 2000;

/// The functions of the host that a module may import.
static IMPORTS: LazyLock<Vec<u8>> =
    LazyLock::new(|| wat(include_str!("imports.wat")).expect("the text is a module"));

fn wat(text: &str) -> Result<Vec<u8>, wast::Error> {
    let buffer = wast::parser::ParseBuffer::new(text)?;
    wast::parser::parse::<wast::Wat>(&buffer)?.encode()
}

/// How a module comes to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It counts its rounds, and stops in every engine at the same place.
    Ending,
    /// It runs until its fuel is consumed.
    OutOfFuel,
}

/// The bytes that determine one module.
pub fn entropy(seed: u64) -> Vec<u8> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut bytes = vec![0; ENTROPY];
    random.fill_bytes(&mut bytes);
    bytes
}

/// Makes the module of these bytes. `None`: they make none.
pub fn module(entropy: &[u8], mode: Mode) -> Option<Vec<u8>> {
    let mut bytes = Unstructured::new(entropy);
    // Each module has other features and sizes.
    let config = limited(Config::arbitrary(&mut bytes).ok()?, &mut bytes).ok()?;
    let mut module = Module::new(config, &mut bytes).ok()?;
    if mode == Mode::Ending {
        module.ensure_termination(ROUNDS).ok()?;
    }
    Some(module.to_bytes())
}

/// Limits a configuration to what the image's settings allow, and to one result in all engines.
fn limited(config: Config, bytes: &mut Unstructured) -> arbitrary::Result<Config> {
    let pages = bytes.int_in_range(1..=8)?;
    Ok(Config {
        available_imports: Some(IMPORTS.clone()),
        exports: None,
        module_shape: None,
        export_everything: true,
        // The bits of a NaN are free otherwise.
        canonicalize_nans: true,
        // A trap in the start function would leave nothing to compare.
        allow_start_export: false,
        allow_floats: true,
        disallow_traps: false,
        min_funcs: 1,
        max_funcs: 12,
        max_instructions: bytes.int_in_range(20..=400)?,
        min_memories: 1,
        max_memories: 1,
        // A grown memory must still be hashed.
        max_memory32_bytes: pages << 16,
        memory_max_size_required: true,
        max_table_elements: 200,
        table_max_size_required: true,
        min_tables: 1,
        max_tables: 3,
        bulk_memory_enabled: true,
        multi_value_enabled: true,
        reference_types_enabled: true,
        saturating_float_to_int_enabled: true,
        sign_extension_ops_enabled: true,
        tail_call_enabled: true,
        extended_const_enabled: true,
        simd_enabled: true,
        // What the image's settings or the patches refuse.
        relaxed_simd_enabled: false,
        memory64_enabled: false,
        exceptions_enabled: false,
        gc_enabled: false,
        custom_descriptors_enabled: false,
        custom_page_sizes_enabled: false,
        threads_enabled: false,
        shared_everything_threads_enabled: false,
        wide_arithmetic_enabled: false,
        allow_invalid_funcs: false,
        ..config
    })
}
