//! Verifies an image and says what was proved.
//!
//! ```text
//! serpentarium-verify python.cwasm [COUNTS.json [MODULE.wasm]]
//! ```

use std::{env, ffi::OsString, fs, process::ExitCode};

const USAGE: &str = "usage: serpentarium-verify IMAGE [COUNTS.json [MODULE.wasm]]";
/// Findings that are shown; an image that is wrong in one way is often wrong in many places.
const SHOWN: usize = 20;

fn main() -> ExitCode {
    let paths: Vec<_> = env::args_os().skip(1).collect();
    let (image, counts, module) = match paths.as_slice() {
        [image] => (image, None, None),
        [image, counts] => (image, Some(counts), None),
        [image, counts, module] => (image, Some(counts), Some(module)),
        _ => return fail(USAGE),
    };
    let read = |path: &OsString| {
        fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
    };
    let (file, module) =
        match read(image).and_then(|file| Ok((file, module.map(read).transpose()?))) {
            Ok(files) => files,
            Err(reason) => return fail(&reason),
        };
    let report = match serpentarium_verifier::verify(&file, module.as_deref()) {
        Ok(report) => report,
        Err(error) => return fail(&error.to_string()),
    };
    for finding in report.findings.iter().take(SHOWN) {
        eprintln!("not proved: {finding}");
    }
    if report.findings.len() > SHOWN {
        eprintln!("… and {} more", report.findings.len() - SHOWN);
    }
    println!("{}", report.summary());
    if let Some(path) = counts
        && let Err(error) = fs::write(path, report.json())
    {
        return fail(&format!("cannot write {}: {error}", path.display()));
    }
    if report.findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn fail(reason: &str) -> ExitCode {
    eprintln!("error: {reason}");
    ExitCode::FAILURE
}
