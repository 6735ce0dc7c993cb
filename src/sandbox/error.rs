//! The error of building a sandbox.

use super::image::ImageError;

/// A sandbox cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// The CPU is older than the native code in this executable expects.
    #[error("this CPU lacks {missing}: this build of serpentarium needs {baseline} or newer")]
    #[non_exhaustive]
    Cpu {
        /// The name of the CPU level.
        baseline: &'static str,
        /// The missing features.
        missing: String,
    },
    /// The engine refused its configuration, or the address space is too small for the slots.
    #[error("cannot start the WebAssembly engine: {0:#}")]
    Engine(#[source] wasmtime::Error),
    /// The Python image does not fit the engine: the executable or the image was built wrongly.
    #[error("cannot load the Python image: {0:#}")]
    Image(#[source] wasmtime::Error),
    /// The file of the image cannot be used.
    #[error(transparent)]
    ImageFile(#[from] ImageError),
}
