//! The crate's integration tests, one binary.

mod cases;
mod changes;
mod conformance;
mod documents;
mod limits;
