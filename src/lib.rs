//! Serpentarium runs untrusted Python behind glass: each task in a fresh CPython, compiled to WebAssembly, inside
//! wasmtime, under fuel, memory and time limits, with no files, no network and no environment.
//!
//! # Layout
//!
//! A task is a piece of data that walks one way through these rooms and comes back out; each knows the next one's door
//! and nothing behind it:
//!
//! ```text
//! broker ──frames──▶ protocol ──messages──▶ runner ──Job──▶ workers ══pipe══▶ sandbox ──stdin──▶ guest (wasm/)
//!        ◀──────────          ◀──────────         ◀─Outcome─        ◀════════         ◀─stdout, host calls─
//! ```
//!
//! | module | what it is |
//! |---|---|
//! | [`protocol`] | the vocabulary of n8n's task broker, serde only |
//! | [`runner`] | one broker session after another: register, offer, accept, run, answer, reconnect, drain, shut down |
//! | [`workers`] | a pool of worker processes that run sandboxes |
//! | [`sandbox`] | one engine, one image, one fresh instance for each task, under limits |
//! | [`broker`] | a small local broker, for the demo, for tests, and for people without n8n |
//! | [`allocator`] | large pages for large messages |
//! | [`config`], [`fuel`], [`logging`], [`cli`] | every setting once; fuel for people; the log; the command line |
//!
//! # Running a piece of Python
//!
//! ```
//! use std::sync::Arc;
//! use serpentarium::{
//!     protocol::{NodeMode, TaskSettings},
//!     sandbox::{End, Job, Limits, NoHost, Sandbox, SandboxConfig},
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
//! # runtime.block_on(async {
//! let sandbox = Sandbox::new(SandboxConfig::default())?;
//! let items = serde_json::value::to_raw_value(&[serde_json::json!({"json": {"n": 20}})])?;
//! let settings = TaskSettings::new("return _items[0]['json']['n'] + 1", NodeMode::AllItems, items);
//! let job = Job { input: settings.to_input()?, limits: Limits::default(), deterministic: None };
//! let outcome = sandbox.run(job, Arc::new(NoHost)).await;
//! assert!(matches!(outcome.end, End::Returned(value) if value.get() == "21"));
//! # Ok(())
//! # })
//! # }
//! ```
#![deny(missing_docs)]

pub mod allocator;
#[cfg(feature = "broker")]
pub mod broker;
#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "cli")]
mod config;
#[cfg(feature = "cli")]
mod error_reports;
pub mod fuel;
#[cfg(feature = "cli")]
pub mod logging;
#[cfg(feature = "network")]
mod net;
#[cfg(feature = "network")]
pub mod protocol;
#[cfg(feature = "runner")]
pub mod runner;
pub mod sandbox;
mod sync;
#[cfg(feature = "runner")]
pub mod workers;
