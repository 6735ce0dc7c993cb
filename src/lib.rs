//! Serpentarium runs untrusted Python behind glass: each task in a fresh CPython, compiled to WebAssembly, inside
//! wasmtime, under limits.
#![deny(missing_docs)]

pub mod cli;
pub mod fuel;
pub mod protocol;
pub mod sandbox;
pub mod workers;
