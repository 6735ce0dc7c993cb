//! The command line. Each subcommand has a file.

mod absent;
mod bench;
mod broker;
mod budget;
mod command_line;
mod config;
mod console;
mod demo;
mod exec;
mod exit_code;
mod files_in;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod harness;
mod image;
mod items;
mod notices;
mod pretty;
mod profile;
mod program;
mod runner;
mod usage;
mod worker;

pub use command_line::main;
