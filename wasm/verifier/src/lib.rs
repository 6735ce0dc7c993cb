//! Proves that the native code of the Python image stays within its sandbox.

mod elf;
mod error;
mod image;
mod layout;
mod report;
mod x64;

pub use error::Error;
pub use report::{Counts, Finding, Report};

use image::{Image, Machine};

/// Examines an image: the content of a file `python.cwasm`.
pub fn verify(file: &[u8]) -> Result<Report, Error> {
    let image = Image::parse(file)?;
    Ok(match image.machine {
        Machine::X86_64 => x64::verify(&image),
    })
}

/// Tests call `attempt` with the functions of an image, and with a way to examine one of them in
/// changed code.
#[doc(hidden)]
pub fn with_changes<R>(
    file: &[u8],
    attempt: impl FnOnce(Changes<'_, '_>) -> R,
) -> Result<R, Error> {
    let image = Image::parse(file)?;
    let (world, _) = x64::World::new(&image);
    Ok(attempt(Changes { image: &image, world: &world }))
}

/// The functions of an image that tests change.
#[doc(hidden)]
pub struct Changes<'a, 'b> {
    image: &'a Image<'b>,
    world: &'a x64::World<'b>,
}

impl Changes<'_, '_> {
    /// The code.
    pub fn text(&self) -> &[u8] {
        self.image.text
    }

    /// Names and ranges of all functions.
    pub fn functions(&self) -> Vec<(String, std::ops::Range<u32>)> {
        let functions = self.image.functions.iter();
        functions.map(|function| (function.name.clone(), function.start..function.end)).collect()
    }

    /// Examines a function, by its place in the list, in changed code.
    pub fn examine(&self, text: &[u8], function: usize) -> Report {
        self.world.examine_changed(text, function)
    }
}
