//! An image, and the trial of changes in its functions.

use std::{env, fs, ops::Range, path::PathBuf};

use serpentarium_verifier::{Changes, with_changes};

/// Changes of each kind that are tried, at most one in a function.
const TRIED: usize = 60;
/// Sizes of the functions that are changed, in bytes: most code is in such functions.
const SIZES: Range<u32> = 300..6000;

/// The image for an architecture.
fn path(architecture: &str) -> PathBuf {
    let build = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../build");
    if architecture != env::consts::ARCH {
        return build.join(format!("{architecture}-unknown-linux-gnu/python.cwasm"));
    }
    let own = env::var_os("SERPENTARIUM_BUILD_IMAGE");
    own.map_or_else(|| build.join("python.cwasm"), PathBuf::from)
}

/// Tries a kind of change in many functions. Returns how many were tried and the ones not found.
///
/// `find` yields the place of a change in a function and the new bytes. Its last argument is a number
/// that differs from function to function.
pub(crate) fn try_all(
    architecture: &str,
    kind: &str,
    find: impl Fn(&[u8], &Range<u32>, usize) -> Option<(usize, Vec<u8>)>,
) -> (usize, Vec<String>) {
    let path = path(architecture);
    let file = fs::read(&path).unwrap_or_else(|error| {
        let build = "scripts/build-python --target";
        panic!(
            "{error}: {}; build it with {build} {architecture}-unknown-linux-gnu",
            path.display()
        )
    });
    let (tried, missed) = with_changes(&file, |changes| attempt(&changes, &find)).unwrap();
    println!("{architecture}: {kind}: {} of {tried} found", tried - missed.len());
    (tried, missed)
}

fn attempt(
    changes: &Changes<'_, '_>,
    find: &impl Fn(&[u8], &Range<u32>, usize) -> Option<(usize, Vec<u8>)>,
) -> (usize, Vec<String>) {
    let functions = changes.functions();
    let mut text = changes.text().to_vec();
    let (mut tried, mut missed) = (0, Vec::new());
    // A prime step spreads the tries over the image.
    for step in 0..functions.len() {
        let number = step * 7919 % functions.len();
        let (name, range) = &functions[number];
        if tried == TRIED
            || !SIZES.contains(&(range.end - range.start))
            || !name.contains("::function[")
        {
            continue;
        }
        let Some((at, bytes)) = find(&text, range, step) else { continue };
        let old = text[at..at + bytes.len()].to_vec();
        if old == bytes {
            continue;
        }
        text[at..at + bytes.len()].copy_from_slice(&bytes);
        let report = changes.examine(&text, number);
        text[at..at + bytes.len()].copy_from_slice(&old);
        tried += 1;
        if report.findings.is_empty() {
            missed.push(format!("{name} at {at:#x}: {old:02x?} -> {bytes:02x?}"));
        }
    }
    (tried, missed)
}

/// All changes of a kind must be found.
pub(crate) fn assert_found(kind: &str, (tried, missed): (usize, Vec<String>)) {
    assert!(tried >= 20, "{kind}: only {tried} places to change");
    assert!(missed.is_empty(), "{kind}: {missed:#?}");
}
