//! Headers of image files. An image is trusted: its code runs as it is. wasmtime promises only to
//! refuse one of another version, target or configuration, by its header.
//!
//! The input replaces bytes of the header: pairs of an offset and a value.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use object::{Object, ObjectSection};
use serpentarium::fuzzing::Guest;

const IMAGE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/guest.cwasm"));

/// The place of the section `.wasmtime.engine`: version, target and configuration.
static HEADER: LazyLock<std::ops::Range<usize>> = LazyLock::new(|| {
    let object = object::File::parse(IMAGE).unwrap();
    let section = object.section_by_name(".wasmtime.engine").unwrap();
    let (start, size) = section.file_range().unwrap();
    start as usize..(start + size) as usize
});

fuzz_target!(|input: &[u8]| {
    let mut image = IMAGE.to_vec();
    let header = &mut image[HEADER.clone()];
    for edit in input.chunks_exact(3) {
        let offset = usize::from(u16::from_le_bytes([edit[0], edit[1]])) % header.len();
        header[offset] = edit[2];
    }
    // SAFETY: code, data and tables are those that wasmtime made, whatever the header says.
    let loaded = unsafe { Guest::load(&image) };
    // SAFETY: no code runs, and a cut image has no section to load.
    let cut = unsafe { Guest::load(&image[..input.len().min(IMAGE.len() - 1)]) };
    assert!(cut.is_err());
    if image == IMAGE {
        assert!(loaded.is_ok());
    }
});
