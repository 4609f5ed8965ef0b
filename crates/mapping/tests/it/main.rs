//! The crate's integration tests, one binary.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may")]

mod cases;
mod changes;
mod conformance;
mod dates;
mod documents;
mod limits;
