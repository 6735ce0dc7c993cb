//! A task runner for n8n's broker: connects, registers, offers capacity, runs tasks, reconnects.
//!
//! | file | task |
//! |---|---|
//! | `run` | the outer loop: connect, serve, back off |
//! | `session`, `phase` | one connection from registration to its end |
//! | `connection`, `socket`, `frames`, `message_queue`, `read_activity` | the WebSocket |
//! | `incoming` | reads frames, large ones on another thread |
//! | `auth`, `endpoint` | the grant token, HTTP addresses |
//! | `offers`, `task` | state of the offers and of the tasks |
//! | `config`, `variables` | settings, and the environment variables of the limits |
//! | `calls` | host calls of a task, over the broker |
//! | `effects` | checks what a task changed beside its result |
//! | `answer` | turns an outcome into the message that ends the task, and sends it |
//! | `report` | log lines |
//! | `health` | the health endpoint |
//! | `descriptors` | the division of the file descriptors |
//! | `shutdown` | SIGTERM and SIGINT |

mod answer;
mod auth;
mod backoff;
mod calls;
mod config;
mod connection;
pub(crate) mod descriptors;
pub(crate) mod effects;
mod endpoint;
mod error;
mod error_output;
mod frames;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod health;
mod incoming;
mod message_queue;
mod offers;
mod phase;
mod read_activity;
mod report;
mod run;
mod session;
pub mod shutdown;
mod socket;
mod task;
pub(crate) mod variables;

pub use config::{Credentials, HealthConfig, RunnerConfig};
pub use error::RunnerError;
pub use run::run;
