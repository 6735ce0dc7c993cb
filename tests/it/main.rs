//! The integration tests: one module for each capability, one binary for all of them.
//!
//! `scripts/test --test it limits::` runs one module. The tests share a process: a test that needs
//! a process of its own, because it measures memory or page faults, starts with
//! [`support::own_process`].

mod abi;
mod bench;
mod broker;
mod buffers;
mod calls;
mod cli;
mod conformance;
mod conventions;
mod cost;
mod demo;
mod determinism;
mod documents;
mod error_output;
mod errors;
mod examples;
mod exec_alone;
mod fairness;
mod foreign_text;
mod fuel_corpus;
mod health;
mod hints;
mod http_clients;
mod hygiene;
mod images;
mod isolation;
mod launcher;
mod life_cycle;
mod limits;
mod listeners;
mod lockdown;
mod logging;
mod long_work;
mod packages;
mod policy;
mod profile;
mod profile_exports;
mod programs;
mod protocol;
mod python_api;
mod python_semantics;
mod runner_calls;
mod runner_life;
mod settings;
mod stress;
mod support;
mod task_files;
mod workers;
mod workflow;
