//! The program from outside: the real binary on real folders, SQLite files and a local HTTP endpoint.

#![allow(clippy::unwrap_used, reason = "what fails here is a failed test")]

mod bad_input;
mod commands;
mod destinations;
mod faults;
mod guards;
mod jobs;
mod kills;
mod map;
mod memory;
mod server;
mod story;
mod support;
mod telemetry;
mod try_and_hook;
mod warehouse;
