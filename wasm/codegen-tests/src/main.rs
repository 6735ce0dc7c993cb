//! Tests the code generator that makes the Python image, with its patches and without:
//!
//! - `spec` runs the WebAssembly specification's own tests;
//! - `differential` runs generated modules in this code generator, in the other one (`--peer`, the
//!   executable of the other build) and in the interpreter wasmi, and compares what they do;
//! - `serve` is the peer's side of that.
//!
//! `scripts/test-codegen` builds both executables and runs all of it.

#[path = "../../../src/sandbox/codegen.rs"]
mod codegen;
mod compare;
mod execute;
mod filter;
mod generate;
mod host;
mod interpret;
mod peer;
mod settings;
mod spec;

use std::{env, path::PathBuf, process::ExitCode, thread};

const USAGE: &str = "usage: serpentarium-codegen-tests spec
       serpentarium-codegen-tests serve
       serpentarium-codegen-tests differential PEER SEED COUNT FAILURES_DIR";

/// Bytes of stack: the image's settings give 8 MiB to WebAssembly alone.
const STACK: usize = 64 << 20;

fn main() -> ExitCode {
    let tests = thread::Builder::new().stack_size(STACK).spawn(run);
    tests.ok().and_then(|tests| tests.join().ok()).unwrap_or(ExitCode::FAILURE)
}

fn run() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let result = match words[..] {
        ["spec"] => spec::run(),
        ["serve"] => peer::serve(),
        ["differential", peer, seed, count, failures] => match (seed.parse(), count.parse()) {
            (Ok(seed), Ok(count)) => {
                compare::run(&PathBuf::from(peer), seed, count, &PathBuf::from(failures))
            }
            _ => Err(wasmtime::Error::msg(USAGE)),
        },
        _ => Err(wasmtime::Error::msg(USAGE)),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:?}");
            ExitCode::FAILURE
        }
    }
}
