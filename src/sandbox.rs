//! Runs untrusted Python: one engine, one Python image, and a fresh instance of it for every task,
//! under limits.
//!
//! A [`Job`] is input bytes and [`Limits`]; a [`Program`] makes one from Python code. An
//! [`Outcome`] is a JSON value or a named [`Failure`], with the fuel, memory and time that the task
//! used. [`HostCalls`] is the only way out of the sandbox, and the caller implements it.
//!
//! | file | contents |
//! |---|---|
//! | `api` | [`Sandbox`] and its builder |
//! | `job`, `limits`, `outcome`, `error` | the data that goes in and comes out |
//! | `host`, `functions` | the trait that answers host calls, and one implementation |
//! | `abi` | the constants that the guest knows, too |
//! | `engine`, `codegen` | wasmtime's configuration, and the image in use |
//! | `image` | image files and their manifests |
//! | `instance`, `state` | one task in one instance |
//! | `turns`, `turn_queue` | which guest runs next |
//! | `restore`, `image_data`, `pages` | the memory of a finished instance, reset |
//! | `calls`, `pending` | the `host` imports |
//! | `wasi`, `clock`, `random` | the WASI imports |
//! | `raw_outcome`, `reply` | from a guest's output to an outcome |
//! | `files`, `returned_files` | files that go in, and those that come back |
//! | `offload`, `depth` | large texts are read on another thread; deep ones are refused |

mod abi;
mod api;
mod calls;
mod clock;
mod codegen;
mod depth;
mod engine;
mod error;
mod files;
mod functions;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod host;
#[cfg(all(test, target_os = "linux"))]
mod hygiene;
mod image;
#[cfg(target_os = "linux")]
mod image_data;
mod instance;
mod job;
mod limits;
mod offload;
mod outcome;
#[cfg(target_os = "linux")]
mod pages;
mod pending;
mod random;
mod raw_outcome;
mod reply;
#[cfg(target_os = "linux")]
mod restore;
#[cfg(not(target_os = "linux"))]
#[path = "sandbox/no_restore.rs"]
mod restore;
mod returned_files;
mod state;
#[cfg(test)]
mod stock;
mod turn_queue;
mod turns;
mod wasi;

#[cfg(feature = "runner")]
pub(crate) use abi::FORGET;
pub use api::{Sandbox, SandboxBuilder};
pub use depth::MAX_DEPTH;
#[cfg(feature = "runner")]
pub(crate) use depth::is_deeper_than;
pub use engine::IMAGE_VERSION;
#[cfg(feature = "cli")]
pub(crate) use engine::embedded_image;
pub use error::SandboxError;
pub use files::{FileError, TaskFile, TaskFiles, TaskPath};
pub use functions::HostFunctions;
#[cfg(feature = "runner")]
pub(crate) use host::is_call_name;
pub use host::{Answer, HostCalls, METHOD_NOT_ALLOWED, NoHost, PendingAnswer, PendingCapacity};
pub use image::{ImageError, ImageInfo, ImagePackage};
#[cfg(feature = "cli")]
pub(crate) use image::{image_info, split as split_image};
#[cfg(feature = "runner")]
pub(crate) use instance::ReadyInstance;
pub use job::{Job, Program};
#[cfg(feature = "runner")]
pub(crate) use limits::seconds;
pub use limits::{Exceeded, FUEL_PER_SECOND, Limits, MAX_MEMORY};
#[cfg(feature = "runner")]
pub(crate) use offload::{BadParams, LARGE, call_params, parse as parse_offloaded};
pub use outcome::{Completed, Exception, Failure, Outcome, Usage};
#[cfg(feature = "runner")]
pub(crate) use pending::{TOTAL_PER_CALL, answer_text, check_answer_size, limit_answer, time_out};
#[cfg(feature = "runner")]
pub(crate) use raw_outcome::{Exit, RawOutcome};
