//! Proves that the native code of the Python image stays within its sandbox.

mod aarch64;
mod analysis;
mod elf;
mod error;
mod image;
mod layout;
mod module;
mod report;
mod x64;

pub use error::Error;
pub use report::{Counts, Finding, Report};

use analysis::world::World;
use image::{Image, Machine};
use module::Module;

/// The count of the elements that code takes the table to have.
const TABLE_LENGTH: &str = "image: length of the table";

/// Examines an image: the content of a file `python.cwasm`.
///
/// With the WebAssembly module that it was made of, the numbers of imports, functions and globals
/// and the length of the table must be the module's, and functions must take off the stack what callers
/// expect of their signature. Without, that is trusted.
pub fn verify(file: &[u8], module: Option<&[u8]>) -> Result<Report, Error> {
    let image = Image::parse(file)?;
    let module = module.map(module::parse).transpose()?;
    let mut report = match image.machine {
        Machine::Aarch64 => World::verify::<aarch64::Instruction>(&image, module.as_ref()),
        Machine::X86_64 => World::verify::<x64::Instruction>(&image, module.as_ref()),
    };
    if let Some(module) = module {
        compare(&image, &module, &mut report);
    }
    Ok(report)
}

/// Compares what an image states with the module that it was made of.
fn compare(image: &Image<'_>, module: &Module, report: &mut Report) {
    let functions = image.functions.iter().filter(|f| f.name.starts_with("wasm[0]::function["));
    let pairs = [
        ("imported functions", image.layout.imports(), module.imports),
        ("functions", functions.count() as u64, module.functions.len() as u64),
        ("globals", image.layout.globals_count(), module.globals),
        ("elements of the table", report.counted(TABLE_LENGTH), module.table),
    ];
    for (what, image, module) in pairs {
        if image == module {
            report.count("module: numbers that agree with it");
        } else {
            report.findings.push(Finding {
                function: "the whole image".to_owned(),
                offset: 0,
                instruction: String::new(),
                reason: format!("it has {image} {what}, and its module has {module}"),
            });
        }
    }
}

/// Tests call `attempt` with the functions of an image, and with a way to examine one of them in
/// changed code.
#[doc(hidden)]
pub fn with_changes<R>(
    file: &[u8],
    attempt: impl FnOnce(Changes<'_, '_>) -> R,
) -> Result<R, Error> {
    let image = Image::parse(file)?;
    let world = match image.machine {
        Machine::Aarch64 => World::new::<aarch64::Instruction>(&image).0,
        Machine::X86_64 => World::new::<x64::Instruction>(&image).0,
    };
    Ok(attempt(Changes { image: &image, world: &world }))
}

/// The functions of an image that tests change.
#[doc(hidden)]
pub struct Changes<'a, 'b> {
    image: &'a Image<'b>,
    world: &'a World<'b>,
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
        match self.image.machine {
            Machine::Aarch64 => self.world.examine_changed::<aarch64::Instruction>(text, function),
            Machine::X86_64 => self.world.examine_changed::<x64::Instruction>(text, function),
        }
    }
}
