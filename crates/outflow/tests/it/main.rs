//! The program from outside: the real binary on real folders, SQLite files and a local HTTP endpoint.

#![allow(clippy::unwrap_used, reason = "what fails here is a failed test")]

mod bad_input;
mod commands;
mod guards;
mod kills;
mod map;
mod story;
mod support;
mod warehouse;
