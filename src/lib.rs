//! Runs untrusted Python: each task in a fresh CPython, compiled to WebAssembly, inside wasmtime.
//!
//! A task has limits of fuel, memory and time. It reaches its input and the functions that the host
//! offers, and nothing else: no files, no network, no environment.
//!
//! ```
//! use serpentarium::sandbox::{Limits, NoHost, Program, Sandbox};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let sandbox = Sandbox::builder().build()?;
//! let program = Program::new("return sum(input)")
//!     .input([1, 2, 3])?
//!     .limits(Limits::default().memory(128 << 20));
//! let outcome = sandbox.run(program, NoHost).await;
//! assert_eq!(outcome.result?.value.get(), "6");
//! # Ok(())
//! # }
//! ```
//!
//! `docs/embedding.md` and `examples/` show limits, host functions and concurrency.
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | none (`default-features = false`) | the sandbox alone: [`sandbox`], [`fuel`], [`allocator`] |
//! | `network` | HTTP requests of tasks, to hosts that the program allows |
//! | `runner` | a task runner for n8n's broker, and a pool of worker processes |
//! | `broker` | a small local broker |
//! | `cli` (default) | the `serpentarium` command |
//!
//! # Modules
//!
//! | module | contents | feature |
//! |---|---|---|
//! | [`sandbox`] | programs, limits, outcomes, host calls | |
//! | [`fuel`] | amounts of fuel as text | |
//! | [`allocator`] | a global allocator for large messages | |
#![cfg_attr(
    feature = "network",
    doc = "| [`fetch`] | HTTP requests to allowed hosts | `network`, `runner`, `broker` |"
)]
#![cfg_attr(
    feature = "network",
    doc = "| [`protocol`] | messages of n8n's task broker | `runner`, `broker` |"
)]
#![cfg_attr(
    feature = "runner",
    doc = "| [`workers`] | worker processes that run sandboxes | `runner` |"
)]
#![cfg_attr(feature = "runner", doc = "| [`runner`] | sessions with a broker | `runner` |")]
#![cfg_attr(feature = "broker", doc = "| [`broker`] | the local broker | `broker` |")]
//!
//! A task of n8n travels through them and back:
//!
//! ```text
//! broker ─frames▶ protocol ─messages▶ runner ─Job──▶ workers ═pipe▶ sandbox ─stdin─▶ guest
//!        ◀────────         ◀──────────       ◀Outcome         ◀═════        ◀─reply, host calls
//! ```
#![deny(missing_docs)]

pub mod allocator;
#[cfg(feature = "broker")]
pub mod broker;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
#[cfg(feature = "cli")]
mod config;
#[cfg(feature = "cli")]
mod error_reports;
#[cfg(feature = "network")]
pub mod fetch;
pub mod fuel;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
#[cfg(feature = "cli")]
mod logging;
#[cfg(feature = "network")]
mod net;
mod platform;
#[cfg(feature = "network")]
pub mod protocol;
#[cfg(feature = "runner")]
pub mod runner;
pub mod sandbox;
mod sync;
#[cfg(feature = "network")]
mod text;
#[cfg(feature = "runner")]
pub mod workers;

/// The code of docs/embedding.md, for `cargo test --doc`.
#[cfg(doctest)]
#[doc = include_str!("../docs/embedding.md")]
mod embedding {}
