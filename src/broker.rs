//! A small broker that speaks n8n's task-broker protocol: for the demo, tests, benchmarks and use
//! without n8n.
//!
//! ```text
//! Broker::submit ──▶ Matching ◀──offers── RunnerConnection ◀──▶ runner
//! TaskHandle ◀──events──┘                       ▲
//!                                             http (grant tokens, upgrade)
//! ```
//!
//! | file | owns |
//! |---|---|
//! | `server` | [`Broker`]: start, submit, drain, shutdown |
//! | `settings` | [`BrokerConfig`] and [`BrokerError`] |
//! | `http` | the grant-token endpoint and the WebSocket upgrade |
//! | `connection` | the frames and the heartbeat of one WebSocket |
//! | `outbox` | the bounded queue to one connection's writer |
//! | `matching`, `runners`, `task` | the state: one struct behind one short lock, without I/O |
//! | `shared` | that lock, and the wake-ups after each change of the state |
//! | `handle` | [`TaskHandle`]: events, result and cancellation of one task |
//! | `hooks`, `workflow` | the answers to calls of tasks |
//!
//! The reference is n8n's own broker and its message types:
//! [`task-broker`](https://github.com/n8n-io/n8n/tree/master/packages/cli/src/task-runners/task-broker)
//! and
//! [`message-types.ts`](https://github.com/n8n-io/n8n/blob/master/packages/@n8n/task-runner/src/message-types.ts).

mod connection;
mod grants;
mod handle;
mod hooks;
mod http;
mod matching;
mod outbox;
mod runners;
mod server;
mod settings;
mod shared;
mod task;
mod workflow;

pub use crate::net::descriptors::TooFewDescriptors;
pub use handle::TaskHandle;
pub use hooks::{HookFuture, Hooks, NoWorkflow};
pub use server::Broker;
pub use settings::{BrokerConfig, BrokerError};
pub use task::{TaskEvent, TaskReport, TaskResult, print_text};
pub use workflow::{Workflow, WorkflowError};
