//! Changes real functions of images in ways that break the sandbox: each change must be found.
//!
//! The images are those that `scripts/build-python` made, for x86-64 and for aarch64, or for this
//! machine's architecture the one of `SERPENTARIUM_BUILD_IMAGE`. A change that leaves the code as safe
//! as before need not be found; such changes are left out by a reason that the test checks, or the
//! test says why.

mod aarch64;
mod image;
mod x64;
